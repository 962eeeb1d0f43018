"""The kinds of content that the sanitizer removes, and a warning for each."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from m365_mcp.mail.report import Note, Weight


class Removal(Enum):
    """A kind of removed content: its singular, its plural, and the reason."""

    SCRIPT = "script", "scripts", "mail programs do not run them and distrust mail with scripts"
    EVENT_HANDLER = "event handler", "event handlers", "mail programs do not run scripts"
    STYLE_SHEET = (
        "linked style sheet",
        "linked style sheets",
        "loading one tells its server who reads the mail; write its rules into <style>",
    )
    ACTIVE_STYLE = "style", "styles", "such styles can load remote content or run code"
    REMOTE_IMAGE = (
        "remote image",
        "remote images",
        "loading one tells its server who reads the mail, and when; attach it inline and write its cid: address",
    )
    DATA_IMAGE = (
        "image inside the HTML",
        "images inside the HTML",
        "mail programs do not show data: images; attach it inline and write its cid: address",
    )
    LINK = (
        "link target",
        "link targets",
        "only complete http, https, mailto and tel addresses can be opened from a mail",
    )
    FORM = "form element", "form elements", "mail programs do not send forms"
    FRAME = "embedded page or object", "embedded pages or objects", "mail programs do not load them"
    MEDIA = "audio or video element", "audio or video elements", "mail programs do not load them"
    DRAWING = "drawing or formula tag", "drawing or formula tags", "mail programs do not show svg and math"
    PAGE = "page instruction", "page instructions", "base and meta have no effect in a mail"
    OTHER = "unknown tag", "unknown tags", "mail programs would ignore such tags; the text between them stays"


def removal_notes(removed: Mapping[Removal, int]) -> tuple[Note, ...]:
    """Return one note for each kind in `removed`, in the order of `Removal`."""
    return tuple(Note(Weight.LOOK, _sentence(kind, removed[kind])) for kind in Removal if removed.get(kind))


def _sentence(kind: Removal, count: int) -> str:
    singular, plural, reason = kind.value
    return f"{count} {singular if count == 1 else plural} {'was' if count == 1 else 'were'} removed, because {reason}."
