"""Puts the rules of style sheets into the style attributes of the elements, before the sanitizer runs.

Mail programs drop style sheets, so a look that is written in one would be lost. css-inline does the cascade. It builds
the tree with a browser's parser, so it gets only HTML with one possible reading, without any element that such a
parser treats specially: those become comments for the time. It gets the rules apart, without `@import`, and no
`<link>`; loading is switched off besides.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator
from html import escape
from itertools import chain

from css_inline import CSSInliner

from m365_mcp.mail.html import limits
from m365_mcp.mail.html.css import declarations_of, write_declarations
from m365_mcp.mail.html.elements import OPTIONAL_END_TAG, VOID_ELEMENTS
from m365_mcp.mail.html.rules import ALLOWED_ELEMENTS
from m365_mcp.mail.html.selector_cost import ElementCounts
from m365_mcp.mail.html.style_sheets import Rule, StyleSheets, read_style_sheets
from m365_mcp.mail.html.tokens import End, Start, Text, Token, close_tags, read_tokens, write_tokens

_STYLE = re.compile(r"<style[\s/>]", re.IGNORECASE)
_BRACKETS = re.compile(r"[(\[{]")
_LITERAL = ("xmp", "plaintext")  # what is between their tags is text, `<` included
_PAGE = ("html", "body")


def has_style_sheets(html: str) -> bool:
    """Return whether `html` may have a style element."""
    return bool(_STYLE.search(html))


def inline_style_sheets(html: str) -> tuple[str, StyleSheets]:
    """Return `html` with the rules of its style elements in style attributes, and what the style sheets say.

    Raises:
        BodyTooComplex: the HTML or its style sheets exceed a limit of `limits`.
    """
    tokens = list(_within_limits(read_tokens(html)))
    sheets = read_style_sheets(
        token.content
        for token in tokens
        if isinstance(token, Start) and token.name == "style" and _is_of_screen(token.attributes.get("media", ""))
    )
    page = _Page(tokens, sheets)
    rules = page.counts.matching(sheets.rules)
    inlined = _run(page.document(), rules) if rules else page.document()
    return page.restored(inlined), sheets


def _within_limits(tokens: Iterable[Token]) -> Iterator[Token]:
    elements = attributes = 0
    for token in tokens:
        if isinstance(token, Start):
            elements += 1
            attributes += len(token.attributes)
            limits.check_count(elements, limits.MAX_SHEET_ELEMENTS, "HTML tags beside a style sheet")
            limits.check_count(attributes, limits.MAX_ATTRIBUTES, "HTML attributes")
        yield token


def _run(document: str, rules: list[Rule]) -> str:
    css = "\n".join(f"{rule.selector}{{{write_declarations(rule.declarations)}}}" for rule in rules)
    inliner = CSSInliner(
        inline_style_tags=False,
        keep_style_tags=False,
        keep_link_tags=False,
        keep_at_rules=False,
        minify_css=False,
        base_url=None,
        load_remote_stylesheets=False,
        extra_css=css,
        apply_width_attributes=False,
        apply_height_attributes=False,
        resolve_css_variables=False,
    )
    return inliner.inline(document)


class _Page:
    """A page without its style elements; what no parser may interpret stands in comments.

    Attributes:
        counts: its elements.
    """

    def __init__(self, tokens: Iterable[Token], sheets: StyleSheets) -> None:
        self._sheets = sheets
        self.counts = ElementCounts()
        self._mark = secrets.token_hex(8)  # no text of the mail can be one of our comments
        self._kept: list[str] = []
        self._attributes: dict[str, dict[str, str]] = {name: {} for name in _PAGE}
        self._body = write_tokens(self._counted(close_tags(chain.from_iterable(map(self._replaced, tokens)))))

    def document(self) -> str:
        """Return the page for css-inline."""
        html, body = (write_tokens([Start(name, self._attributes[name])]) for name in _PAGE)
        return f"{html}<head></head>{body}{self._body}</body></html>"

    def restored(self, inlined: str) -> str:
        """Return the page as it was, with what css-inline wrote into it."""
        tokens = read_tokens(inlined[: inlined.index("</head>")])
        html = next(token for token in tokens if isinstance(token, Start))
        content = inlined[inlined.index("</head>") + len("</head>") :]
        outer = write_tokens([Start("body", html.attributes)]) if html.attributes else ""
        return outer + re.sub(rf"<!--{self._mark}(\d+)-->", lambda found: self._kept[int(found[1])], content)

    def _replaced(self, token: Token) -> Iterator[Token]:
        if isinstance(token, Text):
            yield token
        elif token.name in _PAGE:
            if isinstance(token, Start):
                for name, value in token.attributes.items():
                    if "<" not in value:
                        self._attributes[token.name].setdefault(name, value)
        elif token.name == "style":
            return
        elif token.name in _LITERAL:
            yield from (Start("pre"), Text(escape(token.content))) if isinstance(token, Start) else (End("pre"),)
        elif token.name in ALLOWED_ELEMENTS:
            if isinstance(token, Start):
                self._prepare_style(token.attributes)
                yield token
            elif token.name not in VOID_ELEMENTS:
                yield token
        else:
            self._kept.append(write_tokens([token]) + (token.content if isinstance(token, Start) else ""))
            yield Text(f"<!--{self._mark}{len(self._kept) - 1}-->")

    def _prepare_style(self, attributes: dict[str, str]) -> None:
        style = attributes.get("style", "")
        if "var(" in style.lower():
            style = write_declarations(
                (name, self._sheets.substituted(value)) for name, value in declarations_of(style)
            )
            attributes["style"] = style
        # The sanitizer drops a style with brackets in brackets in brackets; before, it could cost css-inline much.
        if len(_BRACKETS.findall(style)) > limits.MAX_SHEET_DEPTH:
            attributes["style"] = ""

    def _counted(self, tokens: Iterator[Token]) -> Iterator[Token]:
        depth = 2
        self.counts.add(Start("html"), 0)
        self.counts.add(Start("body", self._attributes["body"]), 1)
        for token in tokens:
            if isinstance(token, Start):
                self.counts.add(token, depth)
                depth += _levels(token.name)
            elif isinstance(token, End):
                depth -= _levels(token.name)
            yield token


def _is_of_screen(media: str) -> bool:
    return not media.strip() or any(word in media.lower() for word in ("screen", "all"))


def _levels(name: str) -> int:
    """Return how much deeper the content of an element is; end tags of rows, cells and paragraphs may be missing."""
    if name in VOID_ELEMENTS or name in OPTIONAL_END_TAG:
        return 0
    return 4 if name == "table" else 1
