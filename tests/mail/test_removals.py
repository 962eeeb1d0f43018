"""The warnings about what the sanitizer removes."""

from __future__ import annotations

import pytest

from m365_mcp.mail.html.removals import Removal, removal_notes
from m365_mcp.mail.report import warnings_of

WORDING = {
    Removal.SCRIPT: ("script", "scripts", "mail programs do not run them and distrust mail with scripts"),
    Removal.EVENT_HANDLER: ("event handler", "event handlers", "mail programs do not run scripts"),
    Removal.STYLE_SHEET: (
        "linked style sheet",
        "linked style sheets",
        "loading one tells its server who reads the mail; write its rules into <style>",
    ),
    Removal.ACTIVE_STYLE: ("style", "styles", "such styles can load remote content or run code"),
    Removal.REMOTE_IMAGE: (
        "remote image",
        "remote images",
        "loading one tells its server who reads the mail, and when; attach it inline and write its cid: address",
    ),
    Removal.DATA_IMAGE: (
        "image inside the HTML",
        "images inside the HTML",
        "mail programs do not show data: images; attach it inline and write its cid: address",
    ),
    Removal.LINK: (
        "link target",
        "link targets",
        "only complete http, https, mailto and tel addresses can be opened from a mail",
    ),
    Removal.FORM: ("form element", "form elements", "mail programs do not send forms"),
    Removal.FRAME: ("embedded page or object", "embedded pages or objects", "mail programs do not load them"),
    Removal.MEDIA: ("audio or video element", "audio or video elements", "mail programs do not load them"),
    Removal.DRAWING: ("drawing or formula tag", "drawing or formula tags", "mail programs do not show svg and math"),
    Removal.PAGE: ("page instruction", "page instructions", "base and meta have no effect in a mail"),
    Removal.OTHER: ("unknown tag", "unknown tags", "mail programs would ignore such tags; the text between them stays"),
}


@pytest.mark.parametrize("kind", Removal, ids=lambda kind: kind.name)
def test_each_kind_has_its_sentence(kind: Removal) -> None:
    """Singular and plural have one sentence, with the reason."""
    singular, plural, reason = WORDING[kind]

    assert warnings_of(removal_notes({kind: 1})) == (f"1 {singular} was removed, because {reason}.",)
    assert warnings_of(removal_notes({kind: 3})) == (f"3 {plural} were removed, because {reason}.",)


def test_warnings_have_the_order_of_the_kinds() -> None:
    """The order of `Removal` decides, not the order of the counts; a kind with count 0 has no warning."""
    warnings = warnings_of(removal_notes({Removal.OTHER: 1, Removal.SCRIPT: 2, Removal.LINK: 0}))

    assert [sentence.split(" ", 2)[:2] for sentence in warnings] == [["2", "scripts"], ["1", "unknown"]]
