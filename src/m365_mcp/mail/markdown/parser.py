"""The parser: the library's rules, with those of this package, counted in steps."""

from __future__ import annotations

from typing import Any

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from m365_mcp.errors import InvalidArgument
from m365_mcp.mail.html.limits import MAX_ELEMENTS, check_count
from m365_mcp.mail.markdown import links
from m365_mcp.mail.markdown.blocks import USED_LABELS, enable_block_rules, labels_used
from m365_mcp.mail.markdown.emphasis import InlineParser, keep_name
from m365_mcp.mail.markdown.escapes import read_backslash
from m365_mcp.mail.markdown.footnotes import enable_footnotes
from m365_mcp.mail.markdown.limits import ADDRESS_STEPS, BLOCK_STEPS, MAX_NESTING, Steps, check_cells
from m365_mcp.mail.markdown.styles import PAGE, enable_rendering, style_tokens


def _parse_inline(state: StateCore) -> None:
    """Parse inline markup as the library's rule does, but copy a text without markup as it is, which is much faster."""
    inline = state.md.inline
    for token in state.tokens:
        if token.type == "inline":
            token.children = token.children or []
            if inline.terminator_re.search(token.content):
                inline.parse(token.content, state.md, state.env, token.children)
            elif token.content:
                token.children.append(Token("text", "", 0, content=token.content))


class _Parser(MarkdownIt):
    def __init__(self, markdown: str) -> None:
        super().__init__()
        self._steps = Steps()
        self.inline = InlineParser()
        self.helpers = links.HELPERS  # type: ignore[assignment]  # the library's is a module with these three functions
        self.configure("commonmark", {"html": True, "breaks": True, "maxNesting": MAX_NESTING, "tasklists": True})
        self.enable(["table", "strikethrough"])
        self.core.ruler.at("inline", _parse_inline)
        self.inline.terminator_re = links.pattern_of_stops(self.inline.terminator_re, markdown)
        self.inline.ruler.at("escape", read_backslash)
        self.inline.ruler.before("emphasis", "name", keep_name)
        self.inline.ruler.before("text", "address", links.link_address)
        self.inline.ruler.before("address", "steps", self._inline_step)
        enable_block_rules(self)
        enable_footnotes(self)
        enable_rendering(self)
        self.block.ruler.before("table", "steps", self._block_step, {"alt": ["paragraph", "blockquote", "list"]})

    def validateLink(self, url: str) -> bool:  # noqa: N802, the library's name
        # The sanitizer checks and reports addresses. If the parser refused one, its raw Markdown would stay.
        return True

    def normalizeLink(self, url: str) -> str:  # noqa: N802, the library's name
        self._steps.add(ADDRESS_STEPS)
        return super().normalizeLink(links.complete(url))

    def _inline_step(self, state: StateInline, silent: bool) -> bool:
        self._steps.add(1)
        return False  # this rule matches nothing, so the parser tries the next one

    def _block_step(self, state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
        self._steps.add(1 if silent else BLOCK_STEPS)
        return False


def render_markdown(markdown: str) -> str:
    """Return the HTML of `markdown`.

    Raises:
        BodyTooComplex: the Markdown exceeds a limit of `limits`.
        InvalidArgument: its quotes or lists are nested too deeply.
    """
    check_cells(markdown)
    parser = _Parser(markdown)
    env: dict[str, Any] = {USED_LABELS: labels_used(markdown)}
    tokens = parser.parse(markdown, env)
    if any(token.level >= MAX_NESTING - 1 for token in tokens):  # the library drops deeper text
        raise InvalidArgument("'body' has Markdown quotes or lists nested too deeply.", advice="Nest them less.")
    _check_elements(tokens)
    style_tokens(tokens)
    return f'<div style="{PAGE}">\n{parser.renderer.render(tokens, parser.options, env)}</div>'


def _check_elements(tokens: list[Token]) -> None:
    """Refuse what the sanitizer would refuse for its number of tags, before it is written and read again."""
    elements = sum(token.nesting == 1 and not token.hidden for token in tokens)
    elements += sum(child.nesting == 1 for token in tokens for child in token.children or ())
    check_count(elements, MAX_ELEMENTS, "HTML tags")
