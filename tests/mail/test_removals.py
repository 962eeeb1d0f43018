"""What is said of what was taken out of a mail."""

from __future__ import annotations

import pytest

from m365_mcp.mail.html.removals import Removal, in_words

SAID = {
    Removal.SCRIPT: ("script", "scripts", "mail programs do not run them and distrust mail that has them"),
    Removal.EVENT_HANDLER: ("event handler", "event handlers", "mail programs do not run scripts"),
    Removal.STYLE_SHEET: ("style sheet", "style sheets", "many mail programs ignore them; use style attributes"),
    Removal.ACTIVE_STYLE: ("style", "styles", "such styles can load something from elsewhere, or run"),
    Removal.STYLE: ("style", "styles", "mail programs do not know such styles, or text could be hidden with them"),
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
    Removal.PAGE: ("page instruction", "page instructions", "base and meta have no place in a mail"),
    Removal.OTHER: ("unknown tag", "unknown tags", "mail programs would ignore such tags; the text between them stays"),
}


@pytest.mark.parametrize("kind", Removal, ids=lambda kind: kind.name)
def test_each_kind_has_its_sentence(kind: Removal) -> None:
    """One of a kind and several of it are told in one sentence, with the reason."""
    one, many, reason = SAID[kind]

    assert in_words({kind: 1}) == (f"1 {one} was removed, because {reason}.",)
    assert in_words({kind: 3}) == (f"3 {many} were removed, because {reason}.",)


def test_kinds_are_told_in_their_order_and_absent_ones_are_not() -> None:
    """The order of the kinds decides, not the order in which they were met."""
    said = in_words({Removal.OTHER: 1, Removal.SCRIPT: 2, Removal.LINK: 0})

    assert [sentence.split(" ", 2)[:2] for sentence in said] == [["2", "scripts"], ["1", "unknown"]]
