"""What the report says about attachments: what recipients may be unable to open, or may distrust or misread.

Sources: RFC 5545 section 3.1 (folded lines) and 3.8.4 (ORGANIZER, ATTENDEE); RFC 5546 section 1.4 (who sends which
method); RFC 5322 section 3.6.2 (From, Reply-To).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from email.parser import BytesHeaderParser
from email.utils import getaddresses
from typing import TYPE_CHECKING

from m365_mcp.errors import InvalidArgument
from m365_mcp.mail.addresses import comparable_address
from m365_mcp.mail.attachment_types import extension_of
from m365_mcp.mail.file_signatures import can_be
from m365_mcp.mail.media_types import kind_of
from m365_mcp.mail.recipient import read_recipient
from m365_mcp.mail.report import Note, Weight, counted, named, quote
from m365_mcp.mail.rules import DISTRUSTED

if TYPE_CHECKING:
    from m365_mcp.mail.attachments import Attachment

_MAX_NAMED = 5  # entries that a sentence names; it counts the others
_MAX_PEOPLE = 3  # people of one file whom the report names
_PARSED_BYTES = 64_000  # of a mail's headers
_PARSED_CHARACTERS = 2_000  # of one header
_FOLDS = (b"\r\n ", b"\r\n\t", b"\n ", b"\n\t")
_PERSON = re.compile(
    rb'^(ORGANIZER|ATTENDEE)(?:;(?:[^":\r\n]|"[^"\r\n]*")*+)?:[ \t]*mailto:([^\s<>]+)', re.IGNORECASE | re.MULTILINE
)
_ATTENDEES_METHODS = frozenset({"reply", "refresh", "counter"})  # an attendee sends these, all others the organizer


def attachment_notes(attachments: Sequence[Attachment], senders: Sequence[str]) -> tuple[Note, ...]:
    """Return what the sender should know about the attachments.

    Args:
        senders: the addresses that are the sender's; empty where none is known.
    """
    known = {comparable_address(sender) for sender in senders}
    entries: dict[tuple[Weight, str], list[int]] = {}
    for number, attachment in enumerate(attachments, start=1):
        for fault in (*_type_faults(attachment), *_person_faults(attachment, known)):
            entries.setdefault(fault, []).append(number)
    empty = sum(not attachment.size for attachment in attachments)
    sentence = f"{counted(empty, 'attachment is', 'attachments are')} empty (0 bytes)."
    notes = (Note(weight, f"{text}: {_places(numbers)}.") for (weight, text), numbers in entries.items())
    return (*((Note(Weight.LOST, sentence),) if empty else ()), *notes)


def notes_on_names(names: Sequence[str]) -> tuple[Note, ...]:
    """Return what the sender should know about the files of the argument `files`, whose content is not there yet."""
    entries: dict[tuple[Weight, str], list[int]] = {}
    for number, name in enumerate(names, start=1):
        for fault in _distrust(extension_of(name)):
            entries.setdefault(fault, []).append(number)
    return tuple(Note(weight, f"{text}: {_places(numbers, 'files')}.") for (weight, text), numbers in entries.items())


def _places(numbers: Sequence[int], argument: str = "attachments") -> str:
    return named((f"'{argument}' entry {number}" for number in numbers), _MAX_NAMED)


def _type_faults(attachment: Attachment) -> Iterator[tuple[Weight, str]]:
    extension, kind = extension_of(attachment.name), kind_of(attachment.content_type)
    if attachment.size and can_be(extension, attachment.content) is False:
        text = f"The content is not what the extension .{extension} says, so recipients may be unable to open it"
        yield Weight.MISLEADING, text
    elif attachment.size and can_be(kind, attachment.content) is False:
        yield Weight.MISLEADING, f"The content is not what content_type says (a file like .{kind})"
    yield from _distrust(extension if extension in DISTRUSTED else kind)


def _distrust(kind: str | None) -> Iterator[tuple[Weight, str]]:
    if kind in DISTRUSTED:
        yield Weight.MISLEADING, f"Mail systems may block a .{kind} file, and recipients may distrust it"


def _person_faults(attachment: Attachment, senders: set[str]) -> Iterator[tuple[Weight, str]]:
    kind = kind_of(attachment.content_type)
    people = _organizers(attachment) if kind == "ics" else _correspondents(attachment) if kind == "eml" else ()
    for role, written in people:
        try:
            address = read_recipient("", written).address
        except InvalidArgument:
            continue  # mail programs cannot show it as a person either
        if comparable_address(address) not in senders:
            yield Weight.MISLEADING, f"{role} is {quote(address)}; check that this is meant"


def _organizers(attachment: Attachment) -> list[tuple[str, str]]:
    """Return the people who appear to send an invitation, or an answer to one, with their role."""
    _, _, method = attachment.content_type.lower().partition("method=")
    is_answer = method.partition(";")[0] in _ATTENDEES_METHODS
    wanted, role = (b"attendee", "The attendee who answers") if is_answer else (b"organizer", "The organizer")
    unfolded = attachment.content
    for fold in _FOLDS:
        unfolded = unfolded.replace(fold, b"")
    found = _PERSON.finditer(unfolded)
    people = dict.fromkeys(match[2] for match in found if match[1].lower() == wanted)
    return [(f"{role} in a calendar file", person.decode("utf-8", "replace")) for person in [*people][:_MAX_PEOPLE]]


def _correspondents(attachment: Attachment) -> list[tuple[str, str]]:
    """Return the sender of an attached mail, and who gets the answers to it, with their role."""
    headers = BytesHeaderParser().parsebytes(attachment.content[:_PARSED_BYTES])
    roles = {"From": "The sender of an attached mail", "Reply-To": "The address for answers to an attached mail"}
    return [
        (role, address)
        for name, role in roles.items()
        for _, address in getaddresses([str(headers.get(name, ""))[:_PARSED_CHARACTERS]])[:_MAX_PEOPLE]
    ]
