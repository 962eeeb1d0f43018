"""Reads the style sheets of a mail: the rules that apply to a usual screen, in order, in the form css-inline gets.

Sources: CSS Syntax 3, Media Queries 4, Selectors 4, CSS Custom Properties 1. tinycss2 parses; it loads nothing. A rule
for another medium (print, a small screen, a dark theme) or another state (`:hover`) does not apply.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import tinycss2
from tinycss2.ast import AtRule, Declaration, LiteralToken, Node, ParseError, QualifiedRule, StringToken

from m365_mcp.mail.html import limits
from m365_mcp.mail.html.css import VARIABLE

WIDTH = 800  # pixels; a screen is at least so wide, and how much wider nobody knows
_CONDITION = re.compile(r"\(([^()]*)\)")
_LEAST_WIDTH = re.compile(r"(?:min-(?:device-)?width:|width>=?)(\d+\.?\d*)(px|em|rem)?")
_MOST_SUBSTITUTED = 200  # characters of a value, so that variables in variables do not multiply
_STATES = re.compile(
    r":(?:hover|focus(?:-within|-visible)?|active|visited|target|checked|disabled|enabled|placeholder-shown|selection"
    r"|host|fullscreen|indeterminate|valid|invalid|required|optional|:?-(?:webkit|moz|ms|o)-[\w-]+)\b",
    re.IGNORECASE,
)
_GENERATED = re.compile(r"::?(?:before|after)\s*$", re.IGNORECASE)
_EMPTY_CONTENT = re.compile(r"(?:\s|\"\s*\"|'\s*'|none|normal|!important)*")
_PSEUDO_ELEMENT = re.compile(r"::|:(?:first-line|first-letter|marker|backdrop|placeholder)\b", re.IGNORECASE)
_SILENT = ("mso-", "-webkit-", "-moz-", "-ms-", "-o-", "transition", "animation", "box-shadow", "text-shadow")
_STILL_READ = frozenset(
    {"-webkit-text-fill-color", "-webkit-background-clip", "-webkit-clip-path", "-webkit-transform"}
)
_OF_ALL = frozenset({":root", "html", "body", "*"})


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule with one selector.

    Attributes:
        size: the characters of its declarations.
    """

    selector: str
    declarations: tuple[tuple[str, str], ...]
    size: int


@dataclass
class StyleSheets:
    """All style sheets of a mail.

    Attributes:
        rules: those that apply, in order.
        variables: the custom properties, with their values.
        imports: how many other style sheets they would load.
        generated: the texts that rules add with `::before` or `::after`.
    """

    rules: list[Rule] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    imports: int = 0
    generated: list[str] = field(default_factory=list)

    def substituted(self, value: str) -> str:
        """Return `value` with the custom properties in it replaced by their values or fallbacks."""
        for _ in range(4):
            if "var(" not in value.lower() or len(value) > _MOST_SUBSTITUTED:
                return value
            value = VARIABLE.sub(lambda found: self.variables.get(found[1], found[2] or "").strip(), value)
        return value


def read_style_sheets(sheets: Iterable[str]) -> StyleSheets:
    """Return the rules of `sheets` that apply to a usual screen.

    Raises:
        BodyTooComplex: the style sheets exceed a limit of `limits`.
    """
    css = "\n".join(map(_without_markup_comments, sheets))
    limits.check_count(len(css), limits.MAX_SHEET_CHARACTERS, "characters of style sheets")
    limits.check_count(css.count("{"), limits.MAX_SHEET_RULES, "rules of style sheets")
    nodes = tinycss2.parse_stylesheet(css, skip_comments=True)
    _check_nesting(nodes)
    found = StyleSheets()
    blocks = [_read_block(rule, found) for rule in _applying(nodes, found)]
    for selectors, declarations in blocks:
        values = tuple((name, found.substituted(value)) for name, value in declarations if not name.startswith("--"))
        size = sum(len(name) + len(value) + 2 for name, value in values)
        for selector in selectors:
            _add(Rule(selector, values, size), found)
        limits.check_count(len(found.rules), limits.MAX_SHEET_RULES, "rules of style sheets")
    return found


def _without_markup_comments(css: str) -> str:
    return css.replace("<!--", " ").replace("-->", " ")  # Word writes its sheet into an HTML comment


def _check_nesting(nodes: Iterable[Node]) -> None:
    """Check how deep the brackets are that tinycss2 has found; it writes nodes by recursion."""
    depth = 0
    while nodes := [inner for node in nodes for inner in _inside(node)]:
        depth += 1
        limits.check_count(depth, limits.MAX_SHEET_DEPTH, "brackets of a style sheet open in one another")


def _inside(node: Node) -> Iterator[Node]:
    for part in ("prelude", "content", "arguments"):
        yield from getattr(node, part, None) or ()


def _applying(nodes: Iterable[Node], found: StyleSheets) -> Iterator[QualifiedRule]:
    for node in nodes:
        if isinstance(node, QualifiedRule):
            yield node
        elif isinstance(node, AtRule):
            name = node.lower_at_keyword
            found.imports += name == "import"
            if node.content is not None and _does_apply(name, tinycss2.serialize(node.prelude)):
                yield from _applying(tinycss2.parse_rule_list(node.content), found)


def _does_apply(name: str, condition: str) -> bool:
    if name == "media":
        return any(_is_usual_screen("".join(query.lower().split())) for query in condition.split(","))
    return name == "layer" or (name == "supports" and not condition.strip().lower().startswith("not"))


def _is_usual_screen(query: str) -> bool:
    medium, _, _ = query.partition("(")
    if medium.removeprefix("only").removesuffix("and") not in ("", "all", "screen"):
        return False
    return all(_holds(condition) for condition in _CONDITION.findall(query))


def _holds(condition: str) -> bool:
    if condition == "prefers-color-scheme:light":
        return True
    found = _LEAST_WIDTH.fullmatch(condition)
    return found is not None and float(found[1]) * (1 if found[2] in (None, "px") else 16) <= WIDTH


def _read_block(rule: QualifiedRule, found: StyleSheets) -> tuple[list[str], list[tuple[str, str]]]:
    """Return the selectors and the declarations of a rule, and remember the custom properties that it sets."""
    nodes = tinycss2.parse_blocks_contents(rule.content)
    pairs = [_declaration(node) for node in nodes if isinstance(node, Declaration)]
    declarations = [pair for pair in pairs if pair]
    selectors = [selector for selector in map(_text_of, _parts(rule.prelude)) if selector]
    for name, value in declarations:
        if name.startswith("--") and len(value) <= _MOST_SUBSTITUTED:
            if _OF_ALL.isdisjoint(selectors):  # for a part of the mail only; better than nothing for the others
                found.variables.setdefault(name, value)
            else:
                found.variables[name] = value
    return selectors, declarations


def _declaration(node: Declaration) -> tuple[str, str] | None:
    name = node.name if node.name.startswith("--") else node.lower_name
    if name.startswith(_SILENT) and name not in _STILL_READ:
        return None
    value = " ".join(tinycss2.serialize(node.value).split())
    if not value or "<" in value or any(isinstance(part, ParseError) for part in node.value):
        return None
    return name, f"{value} !important" if node.important and not name.startswith("--") else value


def _parts(prelude: Iterable[Node]) -> Iterator[list[Node]]:
    part: list[Node] = []
    for node in prelude:
        if isinstance(node, LiteralToken) and node.value == ",":
            yield part
            part = []
        else:
            part.append(node)
    yield part


def _text_of(part: list[Node]) -> str:
    selector = " ".join(tinycss2.serialize(part).split())
    return "" if any(isinstance(node, ParseError) for node in part) or "<" in selector else selector


def _generated_text(content: str) -> str:
    nodes = tinycss2.parse_component_value_list(content)
    strings = [node.value for node in nodes if isinstance(node, StringToken)]
    return "".join(strings).strip() or content


def _add(rule: Rule, found: StyleSheets) -> None:
    if _STATES.search(rule.selector):
        return
    if generated := _GENERATED.search(rule.selector):
        values = dict(rule.declarations)
        if not _EMPTY_CONTENT.fullmatch(content := values.get("content", "none")):
            found.generated.append(_generated_text(content))
        if not values.get("clear", "").startswith("both"):
            return
        # The "clearfix": without what it adds, nothing keeps floats inside their box.
        rule = Rule(rule.selector[: generated.start()], (("display", "flow-root"),), len("display:flow-root"))
    if rule.declarations and rule.selector and not _PSEUDO_ELEMENT.search(rule.selector):
        found.rules.append(rule)
