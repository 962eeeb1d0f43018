"""Counts, before css-inline runs, how much work the rules of a style sheet are for the elements of a mail.

css-inline looks at every element that the last part of a selector may mean, and from there at its ancestors or
siblings. So a selector costs as many steps as there are such elements, times how far it looks.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from m365_mcp.mail.html import limits
from m365_mcp.mail.html.style_sheets import Rule
from m365_mcp.mail.html.tokens import Start

_FUNCTIONS = re.compile(r"\((?:[^()]|\([^()]*\))*\)|\[[^\]]*\]")
_NAME = re.compile(r"([.#]?)(-?[a-zA-Z_\u0080-\uffff][\w\u0080-\uffff-]*)")
_PSEUDO = re.compile(r"::?[\w-]+")
_SIMPLE = re.compile(r"[.#:\[*]|[\w-]+")
_COMBINATOR = re.compile(r"[\s>+~]+")
_FAR = re.compile(r"~|:has\(|:not\([^)]*[\s>+~]|:(?:is|where)\([^)]*[\s>+~]|\bof\b", re.IGNORECASE)


class ElementCounts:
    """How many elements of a mail have a name, a class or an id, and how deep they are.

    Attributes:
        total: the number of elements.
    """

    def __init__(self) -> None:
        self.total = 0
        self._depths = 0
        self._counts: Counter[str] = Counter()
        self._depth_of: Counter[str] = Counter()

    def add(self, tag: Start, depth: int) -> None:
        """Count an element with `depth` ancestors."""
        self.total += 1
        self._depths += depth
        names = {tag.name, *(f".{name}" for name in tag.attributes.get("class", "").split())}
        if identifier := tag.attributes.get("id"):
            names.add(f"#{identifier}")
        limits.check_count(len(names), limits.MAX_CLASSES, "classes of one element")
        self._counts.update(names)
        for name in names:
            self._depth_of[name] += depth

    def matching(self, rules: Iterable[Rule]) -> list[Rule]:
        """Return the rules that may apply to an element.

        Raises:
            BodyTooComplex: they are too much work, or would write too much.
        """
        applying = []
        steps = written = 0
        for rule in rules:
            most, looked_at = self._candidates(rule.selector)
            if most:
                applying.append(rule)
                steps += looked_at
                written += most * rule.size
                limits.check_count(steps, limits.MAX_SHEET_STEPS, "steps to find the elements of style rules")
                limits.check_count(written, limits.MAX_SHEET_OUTPUT, "characters of style rules on elements")
        return applying

    def _candidates(self, selector: str) -> tuple[int, int]:
        """Return how many elements the selector may mean at most, and how many steps it takes to tell."""
        bare = _PSEUDO.sub("", _FUNCTIONS.sub("", selector)).strip()
        if "\\" in bare:  # a class as `.sm\:left`; css-inline reads it
            return self.total, self.total * self.total
        if any(not self._counts[_key(*name)] for name in _NAME.findall(bare)):
            return 0, 0
        last = [_key(*name) for name in _NAME.findall(_COMBINATOR.split(bare)[-1])]
        key = min(last, key=lambda name: self._counts[name]) if last else None
        count, depths = (self._counts[key], self._depth_of[key]) if key else (self.total, self._depths)
        looked_at = count * len(_SIMPLE.findall(selector))
        if _FAR.search(selector):
            return count, looked_at + self.total * self.total
        if " " in bare:
            looked_at += depths * (2 if ">" in bare or "+" in bare else 1)
        return count, looked_at


def _key(kind: str, name: str) -> str:
    return f"{kind}{name}" if kind else name.lower()
