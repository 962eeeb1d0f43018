"""The small bugs that a module can have: mutmut's operators, applied to every statement of it.

mutmut itself leaves out what stands outside functions (our tables and regular expressions) and every decorated function
(our properties and context managers). Left out here are imports, docstrings, annotations, decorators, type aliases and
log events.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

import libcst as cst
from libcst import matchers as m
from libcst.metadata import MetadataWrapper, WhitespaceInclusivePositionProvider
from mutmut.mutation.mutators import mutation_operators, operator_string

_LOG = m.Call(func=m.Attribute(value=m.Name("_log")))
_TYPES = m.Subscript(value=m.Name("Literal") | m.Name("Callable") | m.Name("Annotated") | m.Name("ClassVar"))
_UNTOUCHED = (
    m.Annotation()
    | m.Decorator()
    | m.Import()
    | m.ImportFrom()
    | m.Expr(value=m.SimpleString() | m.ConcatenatedString())
    | m.Expr(value=_LOG)
    | m.Assign(targets=[m.AssignTarget(target=m.Name("_log"))])
    | m.Assign(value=_TYPES | m.Call(func=m.Name("TypeVar")))
    | m.Call(func=m.Name("cast"))
    | _TYPES
)


@dataclass(frozen=True)
class Mutant:
    """A module with one small bug.

    Attributes:
        line: where the bug is.
        before: the lines it changes, joined and without indentation.
        after: the same lines with the bug.
        source: the whole module with the bug.
    """

    line: int
    before: str
    after: str
    source: str


def mutants_of(source: str) -> list[Mutant]:
    """Return every mutant of a module that is another program than the module, each once."""
    wrapper = MetadataWrapper(cst.parse_module(source), unsafe_skip_copy=True)
    finder = _Finder(source)
    wrapper.visit(finder)
    found: dict[str, Mutant] = {}
    for line, changed in finder.found:
        if changed != source and changed not in found and _compiles(changed):
            found[changed] = Mutant(line, *_difference(source, changed), changed)
    return list(found.values())


class _Finder(cst.CSTVisitor):
    """Finds the places that can be mutated; the new text is put in by position, which takes no time."""

    METADATA_DEPENDENCIES = (WhitespaceInclusivePositionProvider,)

    def __init__(self, source: str) -> None:
        super().__init__()
        self.found: list[tuple[int, str]] = []
        self._source, self._module = source, cst.parse_module("")
        self._lines = [0, *accumulate(len(line) for line in source.splitlines(keepends=True))]

    def on_visit(self, node: cst.CSTNode) -> bool:
        if m.matches(node, _UNTOUCHED):
            return False
        place = self.get_metadata(WhitespaceInclusivePositionProvider, node, None)
        if place is not None:
            start = self._lines[place.start.line - 1] + place.start.column
            end = self._lines[place.end.line - 1] + place.end.column
            for new in _mutations(node):
                text = self._module.code_for_node(new)
                self.found.append((place.start.line, self._source[:start] + text + self._source[end:]))
        return True


def _mutations(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    for kind, operator in mutation_operators:
        if isinstance(node, kind):
            mutations = list(operator(node))
            # Of a sentence one change is enough; the case of a key or of a pattern matters by itself.
            is_sentence = operator is operator_string and isinstance(node, cst.SimpleString) and " " in node.value
            yield from mutations[:1] if is_sentence else mutations


def _compiles(source: str) -> bool:
    try:
        compile(source, "mutant", "exec")
    except (SyntaxError, ValueError):
        return False
    return True


def _difference(source: str, changed: str) -> tuple[str, str]:
    """Return the lines that differ, before and after, without what is equal around them."""
    # A call of several lines comes back with another indentation.
    before, after = ([line.strip() for line in text.splitlines()] for text in (source, changed))
    start = 0
    while start < min(len(before), len(after)) and before[start] == after[start]:
        start += 1
    end = 0
    while end < min(len(before), len(after)) - start and before[-1 - end] == after[-1 - end]:
        end += 1
    cut = [lines[start : len(lines) - end] for lines in (before, after)]
    one, two = (" ".join(lines) for lines in cut)
    return one, two
