"""Media types of files: from the name, from the caller, and from the content of an invitation.

The table is fixed, so a file has the same type on every machine. Python's own table stands behind it, without the
machine's files.
Sources: IANA "Media Types"; RFC 2045 section 5.1 (parameters); RFC 6838 section 4.2 (names); RFC 6047 section 2.4
(the method of an invitation).
"""

from __future__ import annotations

import mimetypes
import re

from m365_mcp.errors import InvalidArgument
from m365_mcp.mail.rules import MailRules
from m365_mcp.mail.text import words

UNKNOWN = "application/octet-stream"
_OOXML = "application/vnd.openxmlformats-officedocument"
_TABLE = f"""
application/epub+zip epub
application/geo+json geojson
application/gzip gz tgz
application/json json map ipynb
application/msword doc dot
application/onenote one onepkg
application/pdf pdf
application/pgp-encrypted pgp gpg
application/pgp-signature asc sig
application/pkcs7-mime p7m
application/pkcs7-signature p7s
application/postscript ps eps
application/rtf rtf
application/vnd.apple.keynote key
application/vnd.apple.numbers numbers
application/vnd.apple.pages pages
application/vnd.google-earth.kml+xml kml
application/vnd.google-earth.kmz kmz
application/vnd.ms-excel xls xlt
application/vnd.ms-excel.addin.macroenabled.12 xlam
application/vnd.ms-excel.sheet.binary.macroenabled.12 xlsb
application/vnd.ms-excel.sheet.macroenabled.12 xlsm
application/vnd.ms-excel.template.macroenabled.12 xltm
application/vnd.ms-outlook msg
application/vnd.ms-powerpoint ppt pot pps
application/vnd.ms-powerpoint.addin.macroenabled.12 ppam
application/vnd.ms-powerpoint.presentation.macroenabled.12 pptm
application/vnd.ms-powerpoint.slideshow.macroenabled.12 ppsm
application/vnd.ms-powerpoint.template.macroenabled.12 potm
application/vnd.ms-project mpp
application/vnd.ms-word.document.macroenabled.12 docm
application/vnd.ms-word.template.macroenabled.12 dotm
application/vnd.oasis.opendocument.graphics odg
application/vnd.oasis.opendocument.presentation odp
application/vnd.oasis.opendocument.spreadsheet ods
application/vnd.oasis.opendocument.text odt
{_OOXML}.presentationml.presentation pptx
{_OOXML}.presentationml.slideshow ppsx
{_OOXML}.presentationml.template potx
{_OOXML}.spreadsheetml.sheet xlsx
{_OOXML}.spreadsheetml.template xltx
{_OOXML}.wordprocessingml.document docx
{_OOXML}.wordprocessingml.template dotx
application/vnd.rar rar
application/vnd.sqlite3 sqlite sqlite3
application/vnd.visio vsd
application/vnd.ms-visio.drawing vsdx
application/x-7z-compressed 7z
application/x-bzip2 bz2
application/x-mspublisher pub
application/x-parquet parquet
application/x-tar tar
application/x-xz xz
application/xhtml+xml xhtml xht
application/xml xml xsd xsl
application/yaml yaml yml
application/zip zip
application/zstd zst
audio/aac aac
audio/aiff aif aiff
audio/amr amr
audio/flac flac
audio/mp4 m4a
audio/mpeg mp3
audio/ogg ogg oga opus
audio/wav wav
font/otf otf
font/ttf ttf
font/woff woff
font/woff2 woff2
image/avif avif
image/bmp bmp dib
image/gif gif
image/heic heic
image/heif heif
image/jpeg jpg jpeg jpe jfif
image/jxl jxl
image/png png
image/svg+xml svg
image/tiff tif tiff
image/vnd.adobe.photoshop psd
image/vnd.dwg dwg
image/vnd.dxf dxf
image/vnd.microsoft.icon ico
image/webp webp
message/rfc822 eml
model/stl stl
text/calendar ics ifb
text/css css
text/csv csv
text/html html htm shtml
text/markdown md markdown
text/plain txt text log ini conf sql toml
text/tab-separated-values tsv tab
text/vcard vcf
text/vtt vtt
video/3gpp 3gp
video/mp4 mp4 m4v
video/mpeg mpeg mpg
video/ogg ogv
video/quicktime mov qt
video/webm webm
video/x-matroska mkv
video/x-ms-wmv wmv
video/x-msvideo avi
"""
_ROWS = [row.split() for row in _TABLE.split("\n") if row]
_BY_EXTENSION = {extension: row[0] for row in _ROWS for extension in row[1:]}
_STANDARD = mimetypes.MimeTypes(filenames=()).types_map[True]
# Media types that only files have which Outlook blocks. The extension is what the operator's list names.
_BLOCKED_TABLE = """
application/appinstaller appinstaller
application/ecmascript js
application/hta hta
application/java-archive jar
application/javascript js
application/msix msix
application/rdp rdp
application/vnd.ms-appx appx
application/vnd.ms-htmlhelp chm
application/vnd.microsoft.portable-executable exe
application/x-bat bat
application/x-cd-image iso
application/x-dosexec exe
application/x-iso9660-image iso
application/x-java-archive jar
application/x-java-jnlp-file jnlp
application/x-javascript js
application/x-ms-application application
application/x-ms-installer msi
application/x-ms-shortcut lnk
application/x-ms-xbap xbap
application/x-msdos-program exe
application/x-msdownload exe
application/x-msi msi
application/x-powershell ps1
application/x-rdp rdp
application/x-vbs vbs
application/x-vbscript vbs
text/ecmascript js
text/javascript js
text/scriptlet sct
text/vbs vbs
text/vbscript vbs
text/x-component htc
text/x-ms-iqy iqy
text/x-python py
"""
_KINDS = {row[0]: row[1] for row in [*_ROWS, *map(str.split, _BLOCKED_TABLE.strip().split("\n"))]}
# They describe parts of a message, and no file (RFC 2046 sections 5.1 and 5.2).
_NO_FILES = re.compile(r"multipart/.*|message/(?:partial|external-body)")
_WORD = r"[\w!#$%&'*+.^`|~-]+"
_ESSENCE = re.compile(r"[a-z0-9][\w!#$&^.+-]{0,126}/[a-z0-9][\w!#$&^.+-]{0,126}", re.ASCII)
_PARAMETER = re.compile(rf'[ \t]*;[ \t]*(?:({_WORD})=({_WORD}|"(?:[ !#-\[\]-~]|\\[ -~])*"))?', re.ASCII)
_MAX_LENGTH = 500
_METHOD = re.compile(rb"^METHOD[^:\r\n]{0,100}:[ \t]*([a-z]{3,20})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_METHODS = words("publish request reply add cancel refresh counter declinecounter")  # RFC 5546
_CALENDAR_HEAD = 4096  # bytes in which METHOD stands: before the first component (RFC 5545 section 3.6)


def content_type_of(extension: str, start: bytes = b"") -> str:
    """Return the media type of a file with this extension; `start` is the beginning of its content, if it is known."""
    known = _BY_EXTENSION.get(extension) or _STANDARD.get(f".{extension}", UNKNOWN)
    return with_method(known, start)


def kind_of(content_type: str) -> str | None:
    """Return the usual extension of files of a media type, or None if the type says nothing about the content."""
    return _KINDS.get(content_type.partition(";")[0])


def read_content_type(where: str, written: str, rules: MailRules) -> str:
    """Return the caller's media type in its usual spelling, with its parameters.

    Raises:
        InvalidArgument: it is no media type, or one of a file that the operator's rules block.
    """
    text = written.strip()
    essence = text.partition(";")[0].rstrip().lower()
    parameters = _read_parameters(text.removeprefix(text.partition(";")[0])) if len(text) <= _MAX_LENGTH else None
    if not _ESSENCE.fullmatch(essence) or parameters is None:
        raise InvalidArgument(f"{where} has a content_type that cannot be read.", advice="Write it like image/png.")
    if _NO_FILES.fullmatch(essence):
        raise InvalidArgument(f"{where} has a content_type that no file has.", advice="Leave content_type out.")
    kind = _KINDS.get(essence)
    if kind in rules.blocked_extensions:
        raise InvalidArgument(
            f"{where} has the content_type of a file that this server does not attach (.{kind}).",
            advice="Leave content_type out; then the name decides.",
        )
    return "; ".join([essence, *parameters])


def _read_parameters(text: str) -> list[str] | None:
    parameters: list[str] = []
    place = 0
    while place < len(text):
        found = _PARAMETER.match(text, place)
        if not found:
            return None
        place = found.end()
        if found[1]:
            parameters.append(f"{found[1].lower()}={found[2]}")
    return parameters


def with_method(content_type: str, start: bytes) -> str:
    """Return the type of a calendar file with the method of its content, by which Outlook shows an invitation."""
    essence, *parameters = content_type.split("; ")
    if essence != "text/calendar" or any(parameter.startswith("method=") for parameter in parameters):
        return content_type
    head, _, _ = start[:_CALENDAR_HEAD].partition(b"BEGIN:VEVENT")
    found = _METHOD.search(head)
    method = found[1].decode().lower() if found else ""
    if method not in _METHODS:
        return content_type
    charset = [] if any(parameter.startswith("charset=") for parameter in parameters) else ["charset=UTF-8"]
    return "; ".join([essence, f"method={method.upper()}", *parameters, *charset])
