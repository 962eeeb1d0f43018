"""Renders Markdown as the HTML of a letter.

The dialect is CommonMark 0.31 with the tables, strikethrough, task lists and footnotes of GitHub, changed where people
who write letters mean something else; docs/composing.md lists the changes. `parser` puts the rules together; `blocks`,
`emphasis`, `escapes`, `links` and `footnotes` hold the rules that differ; `styles` writes attributes onto the tokens,
because mail programs ignore style sheets, and Outlook ignores much of CSS. HTML inside Markdown passes through, so the
caller must sanitise the result (`mail.html.sanitizing`).

The parser is markdown-it-py, because each of its rules is a separate function that can be switched off, replaced and
counted. comrak and cmark-gfm are much faster, and comrak knows emphasis in Chinese, Japanese and Korean. But cmark-gfm
reads a signature below a name ("Ada", "-- ") as a heading, and comrak as a table; both drop a footnote that nothing
refers to, read an indented line as code and take a backslash from `\\\\server`, and have no option against it. To
correct that, we would have to rewrite the text before they read it, and so to know which of it is code, a list or a
link: to parse it first. docs/architecture.md has the comparison.
"""

from __future__ import annotations

from m365_mcp.mail.markdown.limits import MAX_CELLS, MAX_CHARACTERS, MAX_NESTING, MAX_STEPS
from m365_mcp.mail.markdown.parser import render_markdown

__all__ = ["MAX_CELLS", "MAX_CHARACTERS", "MAX_NESTING", "MAX_STEPS", "render_markdown"]
