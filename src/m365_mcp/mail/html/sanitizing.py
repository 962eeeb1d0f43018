"""Sanitises HTML: it removes and reports everything that runs code, loads content or hides text.

First, text in angle brackets is told from markup (`angle_brackets`), and style sheets become style attributes
(`inlining`). Then two parsers work one after the other. The first reads tokens, removes what the rules do not allow,
replaces what a mail cannot show by what a reader sees of it, closes open tags, and writes HTML with only one possible
reading. So the second, `nh3`, never gets input that costs it much time or memory. `nh3` builds the tree as a browser
does and lets only allowed HTML through. The sanitizer repeats both until the result does not change.
"""

from __future__ import annotations

from collections.abc import Iterable

from m365_mcp.errors import InvalidArgument
from m365_mcp.mail.html import limits
from m365_mcp.mail.html.angle_brackets import escape_text
from m365_mcp.mail.html.data_pictures import DataPictures
from m365_mcp.mail.html.inlining import has_style_sheets, inline_style_sheets
from m365_mcp.mail.html.look import adjust_look
from m365_mcp.mail.html.removals import LookReport, Removal, Removals
from m365_mcp.mail.html.source_filter import SourceFilter
from m365_mcp.mail.html.token_filter import TokenFilter
from m365_mcp.mail.html.tokens import Token, read_tokens, write_tokens

_MAX_REPEATS = 5


def sanitize_html(
    html: str,
    pictures: DataPictures | None = None,
    look: LookReport | None = None,
    *,
    applies_style_sheets: bool = True,
) -> tuple[str, Removals]:
    """Return the sanitised `html`, and how many removals there were of each kind.

    Args:
        html: the HTML as a person, a model or a program wrote it.
        pictures: takes the pictures inside the HTML, which become inline attachments; None: they are removed.
        look: collects what changes of the look.
        applies_style_sheets: whether the rules of its style elements are put inline; else the elements are removed.

    Raises:
        BodyTooComplex: the HTML exceeds a limit of `limits`.
        InvalidArgument: the HTML still changes after the last repeat, so it is ambiguous.
    """
    limits.check_size(html)
    look = LookReport() if look is None else look
    removed = Removals()
    html, open_comments = escape_text(html)
    imports = 0
    if applies_style_sheets and has_style_sheets(html):
        html, sheets = inline_style_sheets(html)
        look.generated, imports = sheets.generated, sheets.imports
    first = SourceFilter(removed, pictures, look)
    clean = first.clean_html(html)
    removed.count(Removal.OPEN_COMMENT, open_comments)
    removed.count(Removal.STYLE_SHEET, imports)
    tokens: Iterable[Token] = list(adjust_look(read_tokens(clean), look))
    clean = write_tokens(tokens)
    for _ in range(_MAX_REPEATS):
        again = TokenFilter(Removals(), before=first).clean(tokens)
        if again == clean:
            return clean, removed
        clean, tokens = again, read_tokens(again)
    raise InvalidArgument("'body' has HTML that programs read in different ways.", advice="Close every tag, in order.")
