"""Which format a body has, whatever `content_type` says."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m365_mcp.errors import BodyFormMismatch
from m365_mcp.mail import MailRules
from m365_mcp.mail.body_form import BodyForm, read_form
from m365_mcp.mail.report import Weight
from tests.mail import forms
from tests.mail.composing import build, build_html
from tests.yardstick import idle_core_seconds

FORMATS = ("HTML", "Text", "Markdown")


def unsaid(text: str) -> BodyForm:
    return read_form(text, "HTML", as_written=False)


def sentences(form: BodyForm) -> str:
    return " ".join(note.sentence for note in form.notes)


@pytest.mark.parametrize("name", forms.PLAIN)
def test_k1_plain_text_under_the_default_is_text_without_a_word(name: str) -> None:
    """Where nothing is HTML and nothing is Markdown, the body is plain text, unchanged, and no warning is given."""
    assert unsaid(forms.PLAIN[name]) == BodyForm("Plain", forms.PLAIN[name])


@pytest.mark.parametrize("name", forms.MARKDOWN)
def test_k1_markdown_under_the_default_is_rendered_and_said(name: str) -> None:
    """A heading, a list, a fence, a table or two marks in the text make it Markdown."""
    form = unsaid(forms.MARKDOWN[name])

    assert (form.format, form.text) == ("Markdown", forms.MARKDOWN[name])
    assert "read as Markdown" in sentences(form)


@pytest.mark.parametrize("name", forms.HTML)
def test_k1_html_stays_as_it_is_without_a_word(name: str) -> None:
    """HTML that sets its own lines is not touched."""
    assert unsaid(forms.HTML[name]) == BodyForm("HTML", forms.HTML[name])


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        ("<b>Hi</b> Grace,\n\nText.\nAda", "<b>Hi</b> Grace,<br><br>Text.<br>Ada"),
        ("See <a\nhref='https://a.example'>it</a>\r\nAda", "See <a\nhref='https://a.example'>it</a><br>Ada"),
        ("Tom &amp; Jerry\n\nBye", "Tom &amp; Jerry<br><br>Bye"),
        ("Hi<br>\n\nText\nhere\n\nAda", "Hi<br>\n\n<br>Text<br>here<br><br>Ada"),
        ("<div>Hi,\n\nText\n\nAda</div>", "<div>Hi,<br><br>Text<br><br>Ada</div>"),
        ("<p>Items:\n- a\n- b</p>", "<p>Items:<br>- a<br>- b</p>"),
        ("Hi,\n\nhere:\n<hr>\nRegards,\nAda", "Hi,<br><br>here:\n<hr>\nRegards,<br>Ada"),
        ("<p>Hi</p>\n\nRegards,\nAda", "<p>Hi</p>\n\nRegards,<br>Ada"),
        ("Hi <!-- a\nb -->\nAda", "Hi <!-- a\nb --><br>Ada"),
    ],
)
def test_k1_line_breaks_of_a_text_with_some_html_are_kept_and_said(body: str, kept: str) -> None:
    """Where HTML sets no lines, or text stands outside all blocks, each line break becomes one in the mail."""
    form = unsaid(body)

    assert (form.format, form.text) == ("HTML", kept)
    assert "line breaks were kept" in sentences(form)


@pytest.mark.parametrize(
    "body", ["<p>**Hi** and **bye**</p>", "<h1>A</h1>\n# B\n\ntext", "<p>a</p>\n\n- a\n- b", "**a** **b**<br>c"]
)
def test_k1_html_with_markdown_marks_is_sent_as_html_and_said(body: str) -> None:
    """Block elements decide for HTML; the marks are named."""
    form = unsaid(body)

    assert form.format == "HTML"
    assert "readers see as characters" in sentences(form)


@pytest.mark.parametrize(
    "body", ["<p>- a</p><p>- b</p>", "- a<br>- b", "<p>1. a</p>\n<p>2. b</p>", "<pre># a\n**b** **c**</pre>"]
)
def test_k1_a_list_that_html_sets_and_code_are_no_markdown(body: str) -> None:
    """Hyphens at the beginning of HTML's own lines read well, and code is as written."""
    assert unsaid(body).notes == ()


def test_k1_one_mark_is_left_and_said() -> None:
    """One piece in bold proves nothing, but its reader sees the asterisks."""
    form = unsaid("A **bold** text")

    assert (form.format, form.text) == ("Plain", "A **bold** text")
    assert "content_type Markdown formats them" in sentences(form)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("**Hi**", "Markdown marks as"),
        ("# Report\n\ntext", "Markdown marks as"),
        ("Hi<br>you", "HTML tags as"),
        ("a &nbsp; b &gt; c", "entities as"),
        ("<b>Hi</b> **you** &amp; me", "Markdown marks, HTML tags and entities as"),
        ("Code:\n<p>Hi</p>", "HTML tags as"),
    ],
)
def test_k1_marks_in_text_are_sent_as_written_and_said(body: str, said: str) -> None:
    """Text is believed, and the warning names what its readers see as characters."""
    form = read_form(body, "Text", as_written=False)

    assert (form.format, form.text) == ("Text", body)
    assert said in sentences(form)


@pytest.mark.parametrize("body", [*forms.PLAIN.values(), "- a\n- b", "a\r\nb\r\n\r\nc", "1. a\n2. b"])
def test_k1_plain_text_said_to_be_text_is_unchanged_without_a_word(body: str) -> None:
    """Also line ends and a list with hyphens, which reads well in plain text."""
    assert read_form(body, "Text", as_written=False) == BodyForm("Text", body)


@pytest.mark.parametrize(
    "body",
    [
        "<p>Hi</p>",
        "<p>a<p>b",
        "<!doctype html><html>Hi</html>",
        " <div><b>Hi</b></div>\n<br><table><tr><td>a</table>\n",
    ],
)
def test_k1_html_said_to_be_text_is_refused_with_the_right_type(body: str) -> None:
    """A whole document or only block elements: the advice names HTML, and `as_written` sends the tags."""
    with pytest.raises(BodyFormMismatch, match=r'body_form: .*"HTML".*as_written=true'):
        read_form(body, "Text", as_written=False)

    assert read_form(body, "Text", as_written=True) == BodyForm("Text", body)


def test_k1_document_said_to_be_markdown_is_read_as_html() -> None:
    """So its indentation does not become code; HTML around Markdown stays Markdown."""
    form = read_form(forms.MENDED["indented document"], "Markdown", as_written=False)

    assert form.format == "HTML"
    assert "HTML document" in sentences(form)
    assert read_form("<div>\n\n# Title\n\n</div>", "Markdown", as_written=False).format == "Markdown"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("&lt;p&gt;Hi&lt;/p&gt;", "<p>Hi</p>"),
        ("Hi,&lt;br&gt;&lt;b&gt;Ada&lt;/b&gt; &amp;amp; co", "Hi,<br><b>Ada</b> &amp; co"),
    ],
)
def test_k1_escaped_tags_are_unescaped_once_and_said(body: str, text: str) -> None:
    """Where all tags are escaped, they were meant as tags."""
    form = unsaid(body)

    assert (form.format, form.text) == ("HTML", text)
    assert "escaped" in sentences(form)


def test_k1_escaped_tags_in_markdown_are_said() -> None:
    """Markdown is believed, and the warning tells what its readers see."""
    form = read_form("&lt;p&gt;Hi&lt;/p&gt;", "Markdown", as_written=False)

    assert (form.format, form.text) == ("Markdown", "&lt;p&gt;Hi&lt;/p&gt;")
    assert "escaped" in sentences(form)


def test_k1_escaped_tags_beside_real_ones_stay_text() -> None:
    """HTML that shows a tag is right as it is."""
    assert unsaid("<p>Write &lt;p&gt;Hi&lt;/p&gt;</p>").notes == ()


FENCES = [
    ("```html\n<p>Hi</p>\n```", "HTML", "HTML", "<p>Hi</p>"),
    ("```html\n<p>Hi</p>\n```", "Text", "HTML", "<p>Hi</p>"),
    ("\n~~~~ HTML\r\n<p>Hi</p>\r\n~~~~\n", "Markdown", "HTML", "<p>Hi</p>"),
    ("```markdown\n# Hi\n\n```python\nx\n```\nBye\n```", "HTML", "Markdown", "# Hi\n\n```python\nx\n```\nBye"),
    ("```md\na\n```\nb\n```\nc\n```", "Text", "Markdown", "a\n```\nb\n```\nc"),
    ("````md\n```\na\n```\n````", "HTML", "Markdown", "```\na\n```"),
    ("```text\nHi\n**you**\n```", "HTML", "Plain", "Hi\n**you**"),
    ("```\nHi\nyou\n```", "HTML", "Plain", "Hi\nyou"),
    ("```\nHi\nyou\n```", "Text", "Text", "Hi\nyou"),
    ("```python\nx = 1\n```", "Text", "Text", "x = 1"),
]


@pytest.mark.parametrize(("body", "said", "kind", "text"), FENCES)
def test_k1_whole_body_in_a_fence_is_unwrapped_and_said(body: str, said: str, kind: str, text: str) -> None:
    """The content is read by the language of the fence, whatever content_type says."""
    form = read_form(body, said, as_written=False)  # type: ignore[arg-type]

    assert (form.format, form.text) == (kind, text)
    assert "fence was removed" in sentences(form)


@pytest.mark.parametrize("said", ["HTML", "Markdown"])
def test_k1_fence_of_a_program_stays_a_block_of_code(said: str) -> None:
    """Code is no letter: it is rendered as code, and its comment is no heading."""
    form = read_form("```python\nx = 1\n# y\n```", said, as_written=False)  # type: ignore[arg-type]

    assert (form.format, form.text) == ("Markdown", "```python\nx = 1\n# y\n```")
    assert "block of code" in sentences(form)


@pytest.mark.parametrize(
    "body",
    [
        "```a\nb\n```\ntext\n```c\nd\n```",
        "```\na\n```\ntext\n```\nb\n```",
        "```md\na\n```\nb\n```md\nc\n```",
        "```html\n<p>Hi</p>",
        "```",
    ],
)
def test_k1_what_is_not_one_fence_is_not_unwrapped(body: str) -> None:
    """Two fences with text between them, and a fence that stays open, are read as they are."""
    assert unsaid(body).text == body


@pytest.mark.parametrize("name", forms.ALL)
@pytest.mark.parametrize("said", FORMATS)
def test_k1_as_written_means_exactly_so(name: str, said: str) -> None:
    """Nothing is mended, unwrapped, refused or said."""
    body = forms.ALL[name]

    assert read_form(body, said, as_written=True) == BodyForm(said, body)  # type: ignore[arg-type]


PIECES = st.sampled_from(
    [
        *(
            "<p>",
            "</p>",
            "<b>",
            "</b>",
            "<br>",
            "<div class=a>",
            "<a href='x'>",
            "<ada@b.example>",
            "<!--",
            "-->",
            "<pre>",
        ),
        *(
            "</pre>",
            "<html>",
            "&lt;p&gt;",
            "&amp;",
            "**",
            "- a",
            "# b",
            "1. ",
            "2. ",
            "> ",
            "```",
            "```html",
            "|",
            "---|---",
        ),
        *("\\n", "\\u00fc", "C:\\", '"', "\n", "\n\n", "\r\n", "\t", " ", "    ", "Hi Grace,", "Ada", "王", "שלום"),
    ]
)
BODIES = st.lists(PIECES, min_size=1, max_size=25).map("".join)


def _is_accepted(**arguments: object) -> bool:
    try:
        return bool(build(MailRules(), attachments=[{"name": "a.txt", "content_base64": "aGk="}], **arguments))
    except BodyFormMismatch:
        return False


def _check_spellings(body: str) -> None:
    refused = [said for said in FORMATS if not _is_accepted(body=body, content_type=said)]
    assert all(_is_accepted(body=body, content_type=said, as_written=True) for said in FORMATS)
    assert len(refused) < len(FORMATS)


@pytest.mark.parametrize("name", forms.ALL)
def test_k1_no_body_is_refused_in_every_spelling(name: str) -> None:
    """Each body leaves under some content_type, and every refusal passes with as_written=true."""
    _check_spellings(forms.ALL[name])


@given(BODIES)
def test_k1_no_generated_body_is_refused_in_every_spelling(body: str) -> None:
    """The same holds for bodies of pieces of every format in any order."""
    _check_spellings(body)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=200))
def test_k1_no_random_text_is_refused_by_its_form(body: str) -> None:
    """Any characters at all have a form."""
    assert all(read_form(body, said, as_written=False).format for said in FORMATS)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "html",
    [
        "<p title='a<b'>c</p>",
        "<p data-a data-b>c</p>",
        "<p @click='x' v-if>c</p>",
        "<o:p>c</o:p>",
        "<!DOCTYPE html>c",
    ],
)
def test_k1_format_is_html_where_the_sanitizer_finds_a_tag(html: str) -> None:
    """K1: one reader decides what is a tag, so a body that the sanitizer would clean is not read as plain text."""
    assert read_form(html, "HTML", as_written=False) == BodyForm("HTML", html)


def test_k1_data_in_angle_brackets_keeps_its_text_and_its_lines() -> None:
    """K1: an entity in data makes the body HTML, and the <br> for its lines makes no tags of the data."""
    body, _ = build_html("<book>\n  <title>A &amp; B</title>\n</book>")

    assert body == "&lt;book&gt;<br>  &lt;title&gt;A &amp; B&lt;/title&gt;<br>&lt;/book&gt;"


def test_every_form_is_tried() -> None:
    """The corpus has at least forty bodies."""
    assert len(forms.ALL) >= 40


LARGE: dict[str, Callable[[int], str]] = {
    piece: lambda length, piece=piece: (piece * (length // len(piece) + 1))[:length]  # type: ignore[misc]
    for piece in [
        *(
            "word ",
            "a line of text\n",
            "a\n\n",
            " ",
            "\t",
            "<",
            "<b>a</b>\n",
            "<p ",
            '<p "',
            "<!--",
            "&",
            "&amp;",
            "&lt;p&gt;a",
        ),
        *(
            "\\",
            "a.\\nA ",
            "\\u00fc",
            '"',
            "`a",
            "C:\\",
            "C:\\a ",
            "**a ",
            "**a** ",
            "- a\n",
            " - a\n * b\n",
            "- a\n  x\n* b\n",
        ),
        *(
            "# a\n",
            "```a\n",
            "```\n",
            "|-",
            "-|-\n",
            "[a](",
            "[a](https://a",
            "<div>a\n",
            "<p>a\n\n",
            "1. a\n 3. b\n",
            "> a\n",
        ),
    ]
}


MOST_SECONDS = 0.3  # quadratic time would be minutes


def _cost(body: str, said: str) -> float:
    def decide() -> None:
        with suppress(BodyFormMismatch):
            read_form(body, said, as_written=False)  # type: ignore[arg-type]

    return idle_core_seconds(decide, enough=MOST_SECONDS)


@pytest.mark.full
@pytest.mark.parametrize("piece", LARGE)
def test_k1_four_megabytes_are_decided_at_once(piece: str) -> None:
    """No shape of a body takes quadratic time, in any format."""
    assert max(_cost(LARGE[piece](4_000_000), said) for said in ("HTML", "Text")) < MOST_SECONDS
    assert _cost(LARGE[piece](200_000), "Markdown") < MOST_SECONDS


@pytest.mark.parametrize(
    "text",
    [
        "| a | b |\n|---|---|\n| x<br>y | 2 |",
        "# Plan\n\nOne<br>two\n\n- a\n- b",
        "Steps:<br>\n\n- a <b>c</b>\n- b",
        "Hi,<br/>\n\n```\nx\n```",
    ],
)
def test_k1_line_break_tag_in_markdown_leaves_it_markdown(text: str) -> None:
    """K1: a `<br>` among the lines of Markdown blocks, as in a cell of a table, does not make HTML of them."""
    form = read_form(text, "HTML", as_written=False)

    assert form.format == "Markdown"
    assert [note.weight for note in form.notes] == [Weight.FORM]


def test_k1_markdown_in_lines_that_tags_set_stays_html() -> None:
    """K1: where `<br>` alone sets the lines, there is no Markdown block to render."""
    assert read_form("Hello<br>**Hi**<br>- a<br>- b", "HTML", as_written=False).format == "HTML"
