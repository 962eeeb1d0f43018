"""The warnings about what the sanitizer removes."""

from __future__ import annotations

import pytest

from m365_mcp.mail.html.removals import LookReport, Removal, Removals, removal_notes
from m365_mcp.mail.report import Note, Weight, warnings_of

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
        "remote picture",
        "remote pictures",
        "loading one tells its server who reads the mail, and when; attach it and write its cid: address",
    ),
    Removal.DATA_IMAGE: (
        "picture inside the HTML",
        "pictures inside the HTML",
        "the data is no PNG, JPEG, GIF, WebP or BMP; attach a picture and write its cid: address",
    ),
    Removal.SVG_IMAGE: (
        "SVG picture inside the HTML",
        "SVG pictures inside the HTML",
        "mail programs do not show SVG; attach it as PNG and write its cid: address",
    ),
    Removal.BACKGROUND_IMAGE: ("background picture", "background pictures", "many mail programs do not show any"),
    Removal.LINK: (
        "link target",
        "link targets",
        "only complete http, https, mailto and tel addresses can be opened from a mail",
    ),
    Removal.FRAME: (
        "embedded page or object",
        "embedded pages or objects",
        "mail programs do not load them; a link stays",
    ),
    Removal.MEDIA: (
        "audio or video element",
        "audio or video elements",
        "mail programs do not play them; a link stays",
    ),
    Removal.DRAWING: (
        "drawing or formula",
        "drawings or formulas",
        "mail programs do not show svg and math; their text stays",
    ),
    Removal.FORM: ("form control", "form controls", "nobody can fill in a mail; their state stays as text"),
    Removal.OTHER: ("unknown tag", "unknown tags", "mail programs know no such tags; the text between them stays"),
}


def _counted(**counts: int) -> Removals:
    removed = Removals()
    removed.update({Removal[name]: count for name, count in counts.items()})
    return removed


@pytest.mark.parametrize("kind", WORDING, ids=lambda kind: kind.name)
def test_each_kind_has_its_sentence(kind: Removal) -> None:
    """Singular and plural have one sentence, with the reason."""
    singular, plural, reason = WORDING[kind]

    assert warnings_of(removal_notes(_counted(**{kind.name: 1}))) == (f"1 {singular} was removed, because {reason}.",)
    assert warnings_of(removal_notes(_counted(**{kind.name: 3}))) == (f"3 {plural} were removed, because {reason}.",)


def test_k2_comment_without_end_is_counted_and_said() -> None:
    """An open comment is text, and the report says so."""
    one, two = _counted(OPEN_COMMENT=1), _counted(OPEN_COMMENT=2)

    assert warnings_of(removal_notes(one)) == ("1 comment has no end (-->), so it stays as text.",)
    assert warnings_of(removal_notes(two)) == ("2 comments have no end (-->), so they stay as text.",)


def test_every_kind_has_wording() -> None:
    """No kind of removal is without a sentence of this file."""
    assert set(Removal) - set(WORDING) == {Removal.OPEN_COMMENT}


def test_k14_lost_content_comes_first_and_harmless_removals_last() -> None:
    """A lost picture weighs more than a look, and a look more than a script; a kind with count 0 has no warning."""
    warnings = warnings_of(removal_notes(_counted(OTHER=1, SCRIPT=2, FORM=1, REMOTE_IMAGE=1, LINK=0)))

    assert [sentence.split(" ", 2)[:2] for sentence in warnings] == [
        ["1", "remote"],
        ["1", "form"],
        ["2", "scripts"],
        ["1", "unknown"],
    ]


def test_k14_removals_are_named_once_and_at_most_three() -> None:
    """The report names what was removed, each once, and counts the rest."""
    removed = Removals()
    for name in ("<a-b>", "<a-b>", "<c-d>", "<e-f>", "<g-h>", "<i-j>"):
        removed.add(Removal.OTHER, name)

    assert warnings_of(removal_notes(removed))[0].startswith("6 unknown tags (<a-b>, <c-d>, <e-f> and 2 more) were")


def test_k3_what_changed_of_the_look_is_said() -> None:
    """One sentence for each kind of change, with numbers and the beginning of the text."""
    report = LookReport(
        declared=["a &amp;", "b"], disguised=["x" * 70], pale=["p"], generated=["New", "New", "Old"], recolored=1
    )
    report.lose(["zoom", "clip"])
    report.lose(["clip"])

    assert report.notes() == (
        Note(Weight.MISLEADING, f'Text that the styles disguise was removed (70 characters): "{"x" * 59}…"'),
        Note(
            Weight.MISLEADING,
            'Text has almost the colour of its background, so readers may overlook it (1 character): "p"',
        ),
        Note(Weight.LOOK, 'Text that the styles do not display was removed (5 characters): "a & b"'),
        Note(
            Weight.LOOK,
            "clip and zoom were removed from 2 elements, because mail programs do not follow such styles.",
        ),
        Note(Weight.LOOK, "The text colour of 1 element was changed, because its background could not stay as it was."),
        Note(Weight.LOST, 'Style sheets add text, which a mail cannot have; write it into the body: "New Old"'),
    )
    assert LookReport(pale=[" "]).notes() == ()


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        (["zoom"], "zoom was removed from 1 element"),
        (["gradient"], "background gradients were removed from 1 element"),
        (list("fedcba"), "a, b, c, d, e and f were removed from 1 element"),
        (list("gfedcba"), "a, b, c, d, e, f and others were removed from 1 element"),
    ],
)
def test_k3_lost_properties_are_named(properties: list[str], said: str) -> None:
    """The most frequent first, six at most."""
    report = LookReport()
    report.lose(properties)
    (note,) = report.notes()

    assert note.sentence.startswith(f"{said}, because")


def test_k3_recoloured_elements_are_counted() -> None:
    """In the plural from two on."""
    (note,) = LookReport(recolored=2).notes()

    assert note.sentence.startswith("The text colour of 2 elements was changed")
