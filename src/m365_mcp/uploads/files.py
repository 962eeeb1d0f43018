"""Parses and checks the files that a caller announces; does no input or output."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from m365_mcp.errors import FileTooLarge, Filled, InvalidArgument
from m365_mcp.mail import MailRules, check_attachment_name

MAX_FILE_BYTES = 150_000_000  # Graph, "Attach large files to Outlook messages"
MAX_FILES = 50
_FORM = 'Write each file like {"name": "report.pdf", "size": 12345}; size, in bytes, is optional.'


@dataclass(frozen=True)
class ExpectedFile:
    """An announced file; `size` is in bytes, or None when the caller does not know it."""

    name: str
    size: int | None


def parse_files(
    entries: Sequence[Mapping[str, Any]], rules: MailRules, attached: Sequence[str] = ()
) -> tuple[ExpectedFile, ...]:
    """Return the files that a caller announces.

    Args:
        entries: the argument `files` of the tool.
        rules: the operator's rules for attachments.
        attached: names of the files that the message already has.

    Raises:
        InvalidArgument: an entry is wrong; the error names the entry and the fault.
        FileTooLarge: one file, or all files together, exceed the limit of Graph.
    """
    if not 1 <= len(entries) <= MAX_FILES:
        raise InvalidArgument(f"'files' has {len(entries):,} entries; the limit is {MAX_FILES}, and the minimum is 1.")
    files = tuple(_parse_file(f"'files' entry {number}", entry, rules) for number, entry in enumerate(entries, start=1))
    names = [unicodedata.normalize("NFC", name).casefold() for name in (*(file.name for file in files), *attached)]
    if len(names) != len(set(names)):
        # When a response of Graph is lost, the server looks for the file in the draft by its name.
        raise InvalidArgument("Two of the attachments have the same name.", advice="Give each file a different name.")
    if sum(file.size or 0 for file in files) > MAX_FILE_BYTES:
        raise FileTooLarge(f"The files together have more than {MAX_FILE_BYTES:,} bytes.")
    return files


def _parse_file(where: str, entry: Mapping[str, Any], rules: MailRules) -> ExpectedFile:
    name, size = entry.get("name"), entry.get("size")
    if set(entry) - {"name", "size"} or not isinstance(name, str):
        raise InvalidArgument(f"{where} is not an object with a name and a size.", advice=_FORM)
    if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 0):
        raise InvalidArgument(f"{where} has a size that is not a number of bytes.", advice=_FORM)
    check_size(size or 0)
    return ExpectedFile(check_attachment_name(name, rules, where), size)


def check_size(size: int) -> None:
    """Raise FileTooLarge when `size` bytes are more than Graph accepts for one file."""
    if size > MAX_FILE_BYTES:
        raise FileTooLarge(
            Filled(
                "The file has %(size)s bytes; the limit for an attachment is %(limit)s bytes.",
                size=f"{size:,}",
                limit=f"{MAX_FILE_BYTES:,}",
            )
        )
