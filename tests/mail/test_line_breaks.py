"""Line breaks in a text with some HTML in it: which were meant."""

from __future__ import annotations

import pytest

from m365_mcp.mail.line_breaks import keep_line_breaks
from m365_mcp.mail.markup import find_tags

LONG = "a line that a program has wrapped where sixty characters"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Hi<br>\nnext\nhere\n\nAda", "Hi<br>\nnext<br>here<br><br>Ada"),
        ("# Plan\n\nOne<br>two\n\n- a", "# Plan<br><br>One<br>two<br><br>- a"),
        ("Hi<br>\n\nyou\n\nAda", "Hi<br>\n\n<br>you<br><br>Ada"),
        ("\n\nHi<br>you\n\nAda", "\n\nHi<br>you<br><br>Ada"),
        ("a<br>\n<br>\n\n<br>b\n\nc", "a<br>\n<br>\n\n<br><br>b<br><br>c"),
        ("Plan:<br>a\n\n- a <b>x\ny</b>\n- b", "Plan:<br>a<br><br>- a <b>x<br>y</b><br>- b"),
        ("<p>x</p>\na <b\nid=b>b\nc</b>\nd\n\ne", "<p>x</p>\na <b\nid=b>b<br>c</b><br>d<br><br>e"),
        ("<p>a\n\nb", "<p>a<br><br>b"),
        ("<div>a\n\nb</div>", "<div>a<br><br>b</div>"),
        ("<section>a\n\nb</section>", None),
        ('<p id="a">a\n\nb</p>', None),
        ("<p>a\nb", None),
        ("<p>a\nb</p>\nc\n\nd", "<p>a\nb</p>\nc<br><br>d"),
        ("<pre>- a\n- b</pre>", None),
        ("<td>- a\n- b</td>", "<td>- a<br>- b</td>"),
        ("<h1>A</h1>\n</h1>\nb\n", None),
        ("<p>a</p>\n\n<p>b\n</p>\n<p>c</p>\n", None),
        ("<script>x</script>\na\n\nb", "<script>x</script>\na<br><br>b"),
        ("<style>x</style>\na\n\nb", "<style>x</style>\na<br><br>b"),
        ("<title>x</title>\na\n\nb", "<title>x</title>\na<br><br>b"),
        *((f"<td><p>a<{x}>b</{x}>\nc\n\nd", f"<td><p>a<{x}>b</{x}>\nc<br><br>d") for x in ("script", "style", "title")),
        ("<p>x</p>\na<br>\nb\n\nc", "<p>x</p>\na<br>\nb<br><br>c"),
        ("<p>x</p><hr>\na\nb", "<p>x</p><hr>\na<br>b"),
        ('<div id="a"><p>x</div>a\n\nb', '<div id="a"><p>x</div>a<br><br>b'),
        ('<div id="a"><p>x<p>y</p></div>a\n\nb', '<div id="a"><p>x<p>y</p></div>a<br><br>b'),
        ("<p>x</p><section>y</p>\na\n\nb</section>", None),
        ("<p>x<section>y</section>\na\n\nb", "<p>x<section>y</section>\na<br><br>b"),
        (f"<p>x</p>\n{LONG}\nb cd ef gh", f"<p>x</p>\n{LONG}<br>b cd ef gh"),
        (f"<p>x</p>\n{LONG}\nabc cd ef", None),
        ("<html>\na\n\nb", None),
        ("a <b>b</b>\nc", "a <b>b</b><br>c"),
    ],
)
def test_line_break_that_was_meant_is_kept(text: str, kept: str | None) -> None:
    """A break in a letter is kept, and one that only wraps the source is not."""
    assert keep_line_breaks(text, find_tags(text)) == (text if kept is None else kept)
