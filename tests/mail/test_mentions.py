"""Tags that a text is about stay text: "use the <b> tag"; tags that format stay markup."""

from __future__ import annotations

import re
from html import unescape

import pytest

from m365_mcp.mail.html.angle_brackets import escape_text
from m365_mcp.mail.html.mentions import find_mentions
from tests.mail.composing import build, build_html

MENTIONED = [
    "Use <div> for layout and <span> for text",
    "Use the <b> tag, not <strong>.",
    "See <table> 3 and <h2> 4",
    "Press <Enter>, then <a> for all",
    "The <head> of the <body> and the <html> element",
    "A <p> element, or the <li> tag, das <td> hier",
    "Options: <select>, <option>, <input> and <img>",
    "Wrap it in <b> and </b> please",
    "Put it between <head> and </head>, or <ul> to </ul>",
    "The closing </div> is missing here",
    "It ends with (</table>).",
    'Write "<br>", the <br> tag or the <hr> element',
    "Replace <title> and <textarea> with yours",
    "\u8bf7\u4f7f\u7528<div>\u6807\u7b7e\u548c<b>\u6807\u7b7e",
    "in \u201c<center>\u201d, \u00ab<font>\u00bb or (<u>)",
    "Use `<b>x</b>` and `<p>`, or ``<i>y</i>``",
    "`List<String>` and `a <b c=d> e`",
    "the <script> and the <style> tag",
    "in „<br>“, „<hr>”, ‘<br>’ or ”<hr>” and '<wbr>'",
    "THE <br> tag, an <hr> element, Each <br> tag, EIN <hr> element, every <br> tags and no <hr> element",
    "one <br> tag, this <hr> element, Use <wbr> tag, a <br> tag",
    "한<div>국, ｆ<span>ｆ 字<b>文",
    "Put it in <b>",
    "Put it in <nobr>, or a <label>",
]


@pytest.mark.parametrize("text", MENTIONED)
@pytest.mark.parametrize("frame", ["{}", "<p>{}</p>", "<div><p>Hi</p><p style='color:red'>{}</p></div>"])
def test_k2_element_that_a_sentence_names_stays(text: str, frame: str) -> None:
    """K2: a tag without a partner among the words of a line is shown as it is written."""
    clean, warnings = build_html(frame.format(text))

    assert unescape(re.sub("<[^<>]*>", "", clean)).removeprefix("Hi").strip() == text
    assert warnings == ()


@pytest.mark.parametrize("text", MENTIONED)
def test_k2_element_that_markdown_names_stays(text: str) -> None:
    """K2: the same holds for a body in Markdown."""
    body = build(body=f"**Hi**\n\n{text}", content_type="Markdown").body

    assert unescape(re.sub("<[^<>]*>", "", body)).split("Hi\n", 1)[1].strip() == text.replace("`", "")


FORMATTING = [
    "Smith <b>&</b> Co, Home <span>/</span> Blog, wait <b>...</b> now",
    "Title <br> Elements of style <br> elements of it <br> tags",
    "Line one <br> line two <br/> line three <hr> four",
    "Note: <b>Important</b> and <i> spaced </i> words",
    "Hello <b>world",
    "Hi Grace, <p> The numbers are in. <p> Regards",
    "<ul><li> apples <li> pears</ul>",
    "To buy <li> Apples <li> Pears",
    "<table><tr><td> a <td> b <tr><td> c </table>",
    "<div> a <div> b </div></div>",
    "<div>hello <div>\nworld</div></div>",
    "<p>foo <span> bar <span> baz</span></span></p>",
    "'a'<br>'b' and \"c\"<br>\"d\"",
    "x'<br>' y and a '<br>'y z",
    "It`s <b>bold</b> and that`s it",
    "<table><tr><td>`</td><td>`</td></tr></table>",
    "Text <center> middle </center>",
    "<table>\n  <tr>\n    <td>\n      <b>x</b>\n    </td>\n  </tr>\n</table>",
    "Dear <i> you </i>, see <a href='https://x.example'> this </a> now",
]


@pytest.mark.parametrize("html", FORMATTING)
def test_k2_tags_that_format_stay_markup(html: str) -> None:
    """K2: a tag with its partner, and one that may be left open, formats the text."""
    assert find_mentions(html) == {}


@pytest.mark.parametrize(
    ("html", "shown"),
    [
        ("Use <b> for bold, as in <b>x</b>.", "Use &lt;b> for bold, as in <b>x</b>."),
        ("<p>Use <p> here</p>", "<p>Use &lt;p> here</p>"),
        ("<b>x </b> and </b> y", "<b>x </b> and &lt;/b> y"),
        ("use <b>\nthis", "use &lt;b>\nthis"),
        ("A <body> here. <table><td>x</table>", "A &lt;body> here. <table><td>x</table>"),
        ("<math><mtext>a <mspace/> b</mtext></math>", "<math><mtext>a <mspace/> b</mtext></math>"),
        ("Dear <b> you </b>, see <b>", "Dear <b> you </b>, see &lt;b>"),
        ("<p>The <style> element</p><style>p{}</style>", "<p>The &lt;style> element</p><style>p{}</style>"),
        ("<font color=red>a <font> b</font>", "<font color=red>a &lt;font> b</font>"),
    ],
)
def test_k2_tag_without_partner_is_told_from_its_namesake(html: str, shown: str) -> None:
    """K2: of two equal tags, the one that stands as a word and has no end tag is text."""
    assert escape_text(html).html == shown


@pytest.mark.parametrize(
    "code",
    [
        "```html\n<p>Hi</p>\n<br>\n```",
        "~~~\n<b>x</b>\n~~~",
        "- a\n- `<p>x</p>`",
        "| a | b |\n|---|---|\n| `<p>x</p>` | y |",
    ],
)
def test_k1_k2_tags_in_code_do_not_make_html_of_markdown(code: str) -> None:
    """K1, K2: a body without a format, whose only tags are in code, is read as Markdown and shows them."""
    message = build(body=f"Here you go:\n\n{code}\n\nAda")

    assert message.warnings == (
        "The body has Markdown marks and no HTML that sets its lines, so it was read as Markdown.",
    )
    tags = re.findall("<[^<>]+>", code)
    assert tags == [unescape(tag) for tag in re.findall("&lt;[^<>]+?&gt;", message.body)]
