"""The operator's choices about mail, and Microsoft's limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from m365_mcp.mail.text import words

MAX_RECIPIENTS = 500  # Exchange Online limits: recipients in one message, the default
MAX_SUBJECT = 255  # Exchange Online limits: subject length
MAX_ATTACHMENTS = 250  # Exchange Online limits: attachments in one message
MAX_NAME = 256  # characters of a display name that Exchange stores
MAX_REQUEST_BYTES = 4_000_000  # Graph accepts about 4 MB in one write request
MAX_INLINE_ATTACHMENT_BYTES = 3_000_000  # Graph, "Attach large files": from 3 MB on, an upload session is needed

# Microsoft Support, "Blocked attachments in Outlook", and BlockedFileTypes of Outlook on the web. Besides: what
# installs apps (App Installer, MSIX), opens a connection (RDP), or makes Excel or Explorer fetch from elsewhere.
DEFAULT_BLOCKED = words(
    "ade adp app appcontent-ms appinstaller application appref-ms appx appxbundle asp aspx asx bas bat bgi cab cdxml "
    "cer chm cmd cnt com cpl crt csh der diagcab dqy exe fxp gadget grp hlp hpj hta htc img inf ins iqy iso isp its "
    "jar jnlp js jse ksh library-ms lnk mad maf mag mam maq mar mas mat mau mav maw mcf mda mdb mde mdt mdw mdz mht "
    "mhtml msc msh msh1 msh1xml msh2 msh2xml mshxml msi msix msixbundle msp mst msu ops oqy osd pcd pif pl plg prf "
    "prg printerexport ps1 ps1xml ps2 ps2xml psc1 psc2 psd1 psdm1 pssc pst py pyc pyo pyw pyz pyzw rdp reg rqy scf "
    "scr sct search-ms searchconnector-ms settingcontent-ms shb shs slk theme tmp udl url vb vbe vbp vbs vhd vhdx "
    "vsmacros vsw webpnp website ws wsb wsc wsf wsh xbap xll xnk"
)
# What Outlook attaches, and mail gateways and readers often distrust: pages that run scripts, documents with macros,
# and archives that scanners cannot look into.
DISTRUSTED = words(
    "7z ace arj docm dotm htm html lha lzh one onepkg potm ppam ppsm pptm rar shtml sldm svg svgz xht xhtml xlam xlsb "
    "xlsm xltm"
)


SendLevel = Literal["send", "draft", "off"]


@dataclass(frozen=True)
class MailRules:
    """The operator's choices about mail.

    Attributes:
        allowed_domains: the domains that mail may go to, compared exactly; None allows all, empty allows none.
        max_recipients: the largest number of recipients of one message.
        allow_bcc: whether a message may have blind copies.
        allow_from: whether another mailbox than the person's own may send a message.
        blocked_extensions: file name extensions that are refused, lower case, without a dot; empty refuses none.
        level: whether the tools may send mail, only leave drafts, or only read.
        approval: which mail waits for the person's approval: none, what has an address outside, or all.
        max_inline_attachment_bytes: the largest total size of the attachments inside a call, before base64.
    """

    allowed_domains: tuple[str, ...] | None = None
    max_recipients: int = MAX_RECIPIENTS
    allow_bcc: bool = False
    allow_from: bool = False
    blocked_extensions: frozenset[str] = DEFAULT_BLOCKED
    level: SendLevel = "send"
    approval: Literal["off", "external", "all"] = "off"
    max_inline_attachment_bytes: int = MAX_INLINE_ATTACHMENT_BYTES
