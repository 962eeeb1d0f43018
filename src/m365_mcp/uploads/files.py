"""Pure: the files a caller announces, read and checked."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from m365_mcp.errors import FileTooLarge, InvalidArgument
from m365_mcp.mail import MailRules, check_attachment_name

MAX_FILE_BYTES = 150_000_000  # Graph, "Attach large files to Outlook messages"
MAX_FILES = 50
_FORM = 'Write each file like {"name": "report.pdf", "size": 12345}; size, in bytes, may be left out.'


@dataclass(frozen=True)
class ExpectedFile:
    """A file that is to come; `size` is None when the caller does not know it."""

    name: str
    size: int | None


def read_files(
    given: Sequence[Mapping[str, Any]], rules: MailRules, others: Sequence[str] = ()
) -> tuple[ExpectedFile, ...]:
    """Return the files a caller announces.

    Args:
        given: as they come.
        rules: the operator's choices.
        others: names of what is attached already.

    Raises:
        InvalidArgument: naming the entry and what is wrong with it.
        FileTooLarge: one, or all together, are more than a message may have.
    """
    if not 1 <= len(given) <= MAX_FILES:
        raise InvalidArgument(f"'files' has {len(given):,} entries; from 1 to {MAX_FILES} can be uploaded.")
    files = tuple(_read_file(f"'files' entry {number}", entry, rules) for number, entry in enumerate(given, start=1))
    names = [unicodedata.normalize("NFC", name).casefold() for name in (*(file.name for file in files), *others)]
    if len(names) != len(set(names)):
        # By its name a file is found in the draft when an answer of Graph got lost.
        raise InvalidArgument("Two of the attachments have the same name.", advice="Give each its own name.")
    if sum(file.size or 0 for file in files) > MAX_FILE_BYTES:
        raise FileTooLarge(f"The files are more than {MAX_FILE_BYTES:,} bytes together.")
    return files


def _read_file(where: str, entry: Mapping[str, Any], rules: MailRules) -> ExpectedFile:
    name, size = entry.get("name"), entry.get("size")
    if set(entry) - {"name", "size"} or not isinstance(name, str):
        raise InvalidArgument(f"{where} is not a name with a size.", advice=_FORM)
    if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 0):
        raise InvalidArgument(f"{where} has a size that is not a number of bytes.", advice=_FORM)
    check_size(size or 0)
    return ExpectedFile(check_attachment_name(name, rules, where), size)


def check_size(size: int) -> None:
    """Raise FileTooLarge when no mail can carry a file of `size` bytes."""
    if size > MAX_FILE_BYTES:
        raise FileTooLarge(f"The file has {size:,} bytes, and {MAX_FILE_BYTES:,} can be attached to a mail.")
