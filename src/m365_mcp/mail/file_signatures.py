"""Tells whether a file's content can be of the type that its name says, by its first bytes.

The question is not what a file is, which libraries of signatures answer with a list of guesses, but whether it can be
what it claims. So the table holds only formats whose beginning is certain.
Sources: the specifications of the formats; for text, WHATWG Encoding and WHATWG MIME Sniffing section 5.
"""

from __future__ import annotations

import codecs
import re

from m365_mcp.mail.text import words

_ZIP = rb"PK(?:\x03\x04|\x05\x06|\x07\x08)"  # a file, an empty archive, a spanned archive (APPNOTE.TXT)
_OLE = rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # [MS-CFB]; also an Office file with a password ([MS-OFFCRYPTO])
_RTF = rb"\s{0,64}\{\\rtf"
_BOM = rb"(?:\xef\xbb\xbf)?\s{0,64}"
_STARTS: dict[str, bytes] = {
    "png": rb"\x89PNG\r\n\x1a\n",
    "jpg jpeg jpe jfif": rb"\xff\xd8\xff",
    "gif": rb"GIF8[79]a",
    "webp": rb"RIFF.{4}WEBP",
    "bmp dib": rb"BM",
    "tif tiff": rb"II[*+]\0|MM\0[*+]",
    "heic heif avif mp4 m4a m4v 3gp": rb".{4}ftyp",
    "mov qt": rb".{4}(?:ftyp|moov|mdat|wide|free|skip|pnot)",
    "psd": rb"8BPS",
    "ico": rb"\0\0[\x01\x02]\0",
    "pdf": rb".{0,1020}%PDF",  # readers accept it within the first 1,024 bytes (ISO 32000-1, annex H)
    "ps eps": rb"%!|\xc5\xd0\xd3\xc6|\x04%!",
    "rtf": _RTF,
    "zip odt ods odp odg epub kmz": _ZIP,
    "docx docm dotx dotm xlsx xlsm xlsb xltx xltm pptx pptm ppsx ppsm potx potm vsdx": _ZIP + b"|" + _OLE,
    "doc dot": _OLE + b"|" + _RTF,
    "xls xlt": _OLE + rb"|\x09[\0\x02\x04\x08]",  # BIFF 2 to 4 stood in no container
    "ppt pps pot msg vsd pub mpp": _OLE,
    "gz tgz": rb"\x1f\x8b",
    "bz2": rb"BZh",
    "xz": rb"\xfd7zXZ\0",
    "zst": rb"[\x22-\x28]\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18",
    "7z": rb"7z\xbc\xaf\x27\x1c",
    "rar": rb"Rar!\x1a\x07",
    "mp3": rb"ID3|\xff[\xe0-\xff]",
    "wav": rb"(?:RIFF|RF64).{4}WAVE",
    "avi": rb"RIFF.{4}AVI ",
    "ogg oga ogv opus": rb"OggS",
    "flac": rb"fLaC|ID3",
    "webm mkv": rb"\x1a\x45\xdf\xa3",
    "wmv": rb"\x30\x26\xb2\x75",
    "woff": rb"wOFF",
    "woff2": rb"wOF2",
    "sqlite sqlite3": rb"SQLite format 3\0",
    "parquet": rb"PAR[1E]",
    "ics ifb": _BOM + rb"(?i:BEGIN:VCALENDAR)",
    "vcf": _BOM + rb"(?i:BEGIN:VCARD)",
}
_PATTERNS = {kind: re.compile(start, re.DOTALL) for kinds, start in _STARTS.items() for kind in kinds.split()}
_TEXTS = words(
    "txt text log ini conf sql toml csv tsv tab md markdown json geojson ipynb map xml xsd xsl yaml yml html htm shtml "
    "xhtml xht svg css eml kml vtt asc"
)
_WEAK = words("bmp dib mp3 gz tgz bz2 ps eps xls xlt ico")  # a few bytes, with which other content begins too
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x19\x1c-\x1f]")
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def can_be(kind: str | None, content: bytes) -> bool | None:
    """Return whether `content` can be a file with the extension `kind`; None if such files may begin with anything."""
    if kind in _PATTERNS:
        return bool(_PATTERNS[kind].match(content))
    return is_text(content) if kind in _TEXTS else None


def is_certainly(kind: str | None, content: bytes) -> bool:
    """Return whether `content` shows that it has the type of the extension `kind`; old text encodings show nothing."""
    if kind in _PATTERNS:
        return bool(_PATTERNS[kind].match(content))
    if kind in _TEXTS:
        return is_plain_text(content)
    return is_plain_text(content) or has_known_start(content)


def has_known_start(content: bytes) -> bool:
    """Return whether `content` begins as some known format does; formats with a start of two bytes do not count."""
    return any(pattern.match(content) for kind, pattern in _PATTERNS.items() if kind not in _WEAK)


def is_text(content: bytes) -> bool:
    """Return whether `content` can be text: Unicode, or an older encoding, in which no text has control characters."""
    return is_plain_text(content) or not _CONTROLS.search(content) or _decodes(content, "utf-8") or _is_utf_16(content)


def is_plain_text(content: bytes) -> bool:
    """Return whether `content` is certainly text: UTF-8 without control characters, or with a byte order mark."""
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if content.startswith(mark):
            return _decodes(content, encoding)
    return not _CONTROLS.search(content) and _decodes(content, "utf-8")


def _decodes(content: bytes, encoding: str) -> bool:
    try:
        content.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _is_utf_16(content: bytes) -> bool:
    """Return whether `content` looks like UTF-16 without a byte order mark: one byte of most pairs is zero."""
    if len(content) % 2 or len(content) < 4:
        return False
    fewer, more = sorted((content[::2].count(0), content[1::2].count(0)))
    return more * 4 > len(content) and fewer * 40 < len(content)
