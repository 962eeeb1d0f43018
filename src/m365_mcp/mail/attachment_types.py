"""Checks whether a file may be attached, by its name and its first bytes.

Sources: Microsoft Support, "Blocked attachments in Outlook"; Microsoft Learn, "Naming Files, Paths, and Namespaces".
"""

from __future__ import annotations

import codecs
import re
import unicodedata

from m365_mcp.errors import FileIsProgram, InvalidArgument
from m365_mcp.mail.rules import MailRules
from m365_mcp.mail.text import cannot_be_mailed, find_control, find_invisible, strip_ends, strip_invisible

MAX_FILE_NAME_BYTES = 255  # the limit of common file systems

_PLAIN_NAME = "Give the file a plain name such as report.pdf."

# The first bytes of programs: PE and COFF; ELF(5); Mach-O in both byte orders, 32 and 64 bits, and for several
# processors (mach-o/loader.h, mach-o/fat.h); Android's DEX; a shortcut ([MS-SHLLINK] 2.1); a compiled help file.
_PROGRAMS = (
    b"MZ",
    b"\x7fELF",
    b"\xfe\xed\xfa\xce",
    b"\xfe\xed\xfa\xcf",
    b"\xce\xfa\xed\xfe",
    b"\xcf\xfa\xed\xfe",
    b"\xca\xfe\xba\xbe",
    b"\xbe\xba\xfe\xca",
    b"dex\n",
    b"L\0\0\0\x01\x14\x02\0",
    b"ITSF\x03",
)
# A script names its interpreter after #! (execve(2)); in any encoding of Unicode, with or without a byte order mark.
_SCRIPTS = tuple(
    mark + "#!".encode(encoding)
    for encoding, mark in [
        ("utf-8", codecs.BOM_UTF8),
        ("utf-16-le", codecs.BOM_UTF16_LE),
        ("utf-16-be", codecs.BOM_UTF16_BE),
        ("utf-32-le", codecs.BOM_UTF32_LE),
        ("utf-32-be", codecs.BOM_UTF32_BE),
    ]
    for mark in (mark, b"")
)


_DROPPED = re.compile(r"(?:;|%20|\s)+$")


def check_attachment_name(name: str, rules: MailRules, where: str = "The attachment") -> str:
    """Return `name`, without blanks at its ends, if the operator's rules allow a file with this name.

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
    bare = strip_ends(name)
    if control := find_control(bare):
        raise InvalidArgument(f"{where} has {control} in its name.", advice=_PLAIN_NAME)
    if invisible := find_invisible(bare, in_file_name=True):
        raise InvalidArgument(f"{where} has an invisible character ({invisible}) in its name.", advice=_PLAIN_NAME)
    plain = unicodedata.normalize("NFKC", bare)  # turns a full-width slash or dot into a plain one
    if plain in ("", ".", ".."):
        raise InvalidArgument(f"{where} has no name.", advice=_PLAIN_NAME)
    if "/" in plain or "\\" in plain:
        raise InvalidArgument(f"{where} has a path for a name.", advice=_PLAIN_NAME)
    if blocked := sorted(extensions_of(bare) & rules.blocked_extensions):
        raise InvalidArgument(
            f"{where} is of a type that this server does not attach (.{blocked[0]}).", advice=FileIsProgram.advice
        )
    return bare


def extensions_of(name: str) -> frozenset[str]:
    """Return every extension that may decide what opens a file of this name; see `extension_of`."""
    plain = unicodedata.normalize("NFKC", name)
    # On Windows, the text after a colon names a stream of the file. Mail programs drop what cannot be in a name.
    return frozenset(extension_of(_DROPPED.sub("", part)) for part in plain.split(":")) - {""}


def extension_of(name: str) -> str:
    """Return the extension that decides what opens the file: the last, in lower case, without a dot.

    Windows drops blanks and dots at the end of a name.
    """
    plain = strip_invisible(unicodedata.normalize("NFKC", name)).lower()
    _, dot, extension = plain.rstrip(". \t").rpartition(".")
    return extension.strip() if dot else ""


def check_attachment_start(start: bytes, rules: MailRules, where: str = "The attachment") -> None:
    """Refuse a program, whatever its name is. If the operator blocks no types, every file passes.

    Args:
        start: the beginning of the file, at least its first 12 bytes.
        rules: the operator's choices.
        where: the name of the attachment in errors.

    Raises:
        FileIsProgram: the file is a program.
    """
    if rules.blocked_extensions and start.startswith(_PROGRAMS + _SCRIPTS):
        raise FileIsProgram(f"{where} is a program and cannot be attached.")
