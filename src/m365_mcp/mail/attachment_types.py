"""Checks whether a file may be attached, by its name and its first bytes.

Sources: Microsoft Support, "Blocked attachments in Outlook"; Microsoft Learn, "Naming Files, Paths, and Namespaces".
"""

from __future__ import annotations

import re
import unicodedata

from m365_mcp.errors import InvalidArgument
from m365_mcp.mail.rules import MailRules
from m365_mcp.mail.text import cannot_be_mailed, find_invisible, has_control_characters

SNIFFED_BYTES = 8  # how many bytes `check_attachment_start` needs
MAX_FILE_NAME_BYTES = 255  # the limit of common file systems

_PLAIN_NAME = "Give the file a plain name such as report.pdf."
_NOT_BY_MAIL = "Share it by a link, for example from OneDrive, instead of attaching it."

# The first bytes of programs: PE and COFF; ELF(5); Mach-O in both byte orders, 32 and 64 bits, and for several
# processors (mach-o/loader.h, mach-o/fat.h); a script with an interpreter (execve(2)).
_PROGRAMS = (
    b"MZ",
    b"\x7fELF",
    b"\xfe\xed\xfa\xce",
    b"\xfe\xed\xfa\xcf",
    b"\xce\xfa\xed\xfe",
    b"\xcf\xfa\xed\xfe",
    b"\xca\xfe\xba\xbe",
    b"\xbe\xba\xfe\xca",
    b"#!",
    b"\xef\xbb\xbf#!",
)

_CONTENT_TYPES = {
    "csv": "text/csv",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "eml": "message/rfc822",
    "gif": "image/gif",
    "html": "text/html",
    "ics": "text/calendar",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "json": "application/json",
    "md": "text/markdown",
    "pdf": "application/pdf",
    "png": "image/png",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "svg": "image/svg+xml",
    "txt": "text/plain",
    "webp": "image/webp",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "xml": "application/xml",
    "zip": "application/zip",
}


def check_attachment_name(name: str, rules: MailRules, where: str = "The attachment") -> str:
    """Return `name` if the operator's rules allow a file with this name.

    Args:
        name: the file's name, as the caller wrote it.
        rules: the operator's choices.
        where: the name of the attachment in errors.

    Raises:
        InvalidArgument: the name is a path, has an invisible or control character, is too long, or has a blocked
            extension.
    """
    if cannot_be_mailed(name) or len(name.encode()) > MAX_FILE_NAME_BYTES:
        raise InvalidArgument(f"{where} has a name of more than {MAX_FILE_NAME_BYTES} bytes.", advice=_PLAIN_NAME)
    if has_control_characters(name) or find_invisible(name, in_file_name=True):
        raise InvalidArgument(f"{where} has a control or an invisible character in its name.", advice=_PLAIN_NAME)
    plain = unicodedata.normalize("NFKC", name).strip()  # turns a full-width slash or dot into a plain one
    if plain in ("", ".", ".."):
        raise InvalidArgument(f"{where} has no name.", advice=_PLAIN_NAME)
    if "/" in plain or "\\" in plain:
        raise InvalidArgument(f"{where} has a path for a name.", advice=_PLAIN_NAME)
    _check_extensions(plain, rules, where)
    return name


def _check_extensions(plain: str, rules: MailRules, where: str) -> None:
    # All extensions are checked, because a mail program may show report.exe.pdf as report.exe. Windows drops spaces
    # and dots at the end, and the text after a colon names a stream of the file.
    _, *extensions = re.split(r"[.:]", plain.lower())
    if any(extension.strip() in rules.blocked_extensions for extension in extensions):
        raise InvalidArgument(f"{where} is of a type that this server does not attach.", advice=_NOT_BY_MAIL)


def check_attachment_start(start: bytes, rules: MailRules, where: str = "The attachment") -> None:
    """Refuse a program, whatever its name is. If the operator blocks no types, every file passes.

    Args:
        start: the first `SNIFFED_BYTES` bytes of the file, or the whole file if it is shorter.
        rules: the operator's choices.
        where: the name of the attachment in errors.

    Raises:
        InvalidArgument: the file is a program.
    """
    if rules.blocked_extensions and start.startswith(_PROGRAMS):
        raise InvalidArgument(f"{where} is a program, by its content.", advice=_NOT_BY_MAIL)


def content_type_of(name: str) -> str:
    """Return the media type of a file named `name`."""
    return _CONTENT_TYPES.get(name.rpartition(".")[2].lower(), "application/octet-stream")
