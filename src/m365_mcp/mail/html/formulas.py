"""Writes a formula in MathML (MathML Core) as text with <sup> and <sub>, because no mail program shows MathML."""

from __future__ import annotations

from collections.abc import Iterator

from m365_mcp.mail.html.separators import Separator
from m365_mcp.mail.html.tokens import End, Start, Text, Token

_VOID = frozenset({"mspace", "none", "mprescripts", "maligngroup", "malignmark"})
# What stands before and after the second and the third child of an element; None: nothing.
_SUP, _SUB = (Start("sup"), End("sup")), (Start("sub"), End("sub"))
_SCRIPTS: dict[str, dict[int, tuple[Token, Token]]] = {
    "msup": {2: _SUP},
    "msub": {2: _SUB},
    "msubsup": {2: _SUB, 3: _SUP},
    "mover": {2: _SUP},
    "munder": {2: _SUB},
    "munderover": {2: _SUB, 3: _SUP},
}
_GROUPED = frozenset({"mfrac", "msup", "msub", "msubsup"})  # their first child needs brackets if it is a row
ANNOTATIONS = frozenset({"annotation", "annotation-xml"})


class Formula:
    """One formula: it takes the tags inside a <math> and returns what stands for them in the mail."""

    def __init__(self) -> None:
        self._open: list[tuple[str, tuple[Token, ...]]] = []  # the open elements, and what closes each
        self._children: list[int] = [0]

    def start(self, name: str) -> Iterator[Token | Separator]:
        """Return what stands for a start tag."""
        parent = self._open[-1][0] if self._open else ""
        self._children[-1] += 1
        before, after = self._around(parent, self._children[-1], name)
        yield from before
        if name in ("mtd", "mtr"):
            yield Separator.BLANK if name == "mtd" else Separator.LINE
        if name in ("msqrt", "mroot"):
            yield Text("√(")
            after = (Text(")"), *after)
        if name in _VOID:
            yield from after
        else:
            self._open.append((name, after))
            self._children.append(0)

    def end(self, name: str) -> Iterator[Token]:
        """Return what stands for an end tag; it closes what is open inside the element as well."""
        if all(name != other for other, _ in self._open):
            return
        closed = ""
        while closed != name:
            closed, after = self._open.pop()
            self._children.pop()
            yield from after

    def close(self) -> Iterator[Token]:
        """Return what closes the formula."""
        while self._open:
            yield from self._open.pop()[1]

    @staticmethod
    def _around(parent: str, child: int, name: str) -> tuple[tuple[Token, ...], tuple[Token, ...]]:
        scripts = _SCRIPTS.get(parent, {}).get(child)
        before: tuple[Token, ...] = scripts[:1] if scripts else ()
        after: tuple[Token, ...] = scripts[1:] if scripts else ()
        if child == 2 and parent == "mfrac":
            before = (Text("/"),)
        if child == 2 and parent == "mroot":
            before = (Text("; "),)
        is_row = name in ("mrow", "mfrac") and parent in _GROUPED
        if is_row and (child == 1 or parent == "mfrac"):
            return (*before, Text("(")), (Text(")"), *after)
        return before, after
