"""Checks the subject of a mail, and tells what readers would see of it as characters.

A subject is plain text: a mail program shows HTML and Markdown in it as they are. Graph encodes it for the header, so
an encoded word (RFC 2047) in it would be shown as it is too.
"""

from __future__ import annotations

import re

from m365_mcp.errors import EmptySubject, InvalidArgument
from m365_mcp.mail.markup import find_tags, has_entities
from m365_mcp.mail.report import Note, Weight, listed
from m365_mcp.mail.rules import MAX_SUBJECT
from m365_mcp.mail.text import has_control_characters, shows_nothing

_ENCODED_WORD = re.compile(r"=\?[!-~]+\?[bBqQ]\?[!-~]*\?=")
_MARKS = re.compile(r"\*\*[^\s*](?:[^*]*[^\s*])?\*\*|\[[^\[\]]+\]\(https?://|^#{1,6} +[^\s\d]")
_ESCAPE = re.compile(r"\\u[0-9a-fA-F]{4}|\w\\n(?![a-z])")


def read_subject(subject: str, *, as_written: bool) -> tuple[str, tuple[Note, ...]]:
    """Return the subject, and a note if it looks as if it were in another format than text.

    Args:
        as_written: whether the caller means the subject exactly so; then it may be empty, and nothing is noted.

    Raises:
        EmptySubject: it shows nothing; not with `as_written`.
        InvalidArgument: it is too long, or has a line break.
    """
    if not as_written and shows_nothing(subject) and not has_control_characters(subject.strip()):
        raise EmptySubject
    if len(subject) > MAX_SUBJECT:
        raise InvalidArgument(
            f"'subject' has {len(subject):,} characters, and Exchange Online allows {MAX_SUBJECT}.",
            advice="Shorten the subject; put longer text into the body.",
        )
    if has_control_characters(subject):
        raise InvalidArgument(
            "'subject' contains a line break or another control character.",
            advice="Write the subject in one line.",
        )
    return subject, () if as_written else _form_notes(subject)


def _form_notes(subject: str) -> tuple[Note, ...]:
    kinds = {
        "HTML tags": bool(find_tags(subject)),
        "HTML entities": has_entities(subject),
        "encoded words": bool(_ENCODED_WORD.search(subject)),
        "Markdown marks": bool(_MARKS.search(subject)),
        "backslash escapes": bool(_ESCAPE.search(subject)),
    }
    found = [kind for kind, is_there in kinds.items() if is_there]
    if not found:
        return ()
    sentence = f"The subject is plain text; readers see its {listed(found)} as characters."
    return (Note(Weight.FORM, sentence),)
