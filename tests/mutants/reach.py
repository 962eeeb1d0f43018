"""Which tests run which functions of a package, so that a mutant meets only the tests that can notice it."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path

import coverage
import pytest

Reach = dict[str, dict[str, list[str]]]
"""The tests, by module and by the line where a function's body begins; under `WHOLE_MODULE` those of all."""
WHOLE_MODULE = ""


class Recorder:
    """A pytest plugin that records which tests run which functions.

    Args:
        root: the folder of the product.
        package: the package in it whose functions matter.
    """

    def __init__(self, root: Path, package: str) -> None:
        self._root = root
        self._modules = sorted((root / package).rglob("*.py"))
        self._coverage = coverage.Coverage(data_file=None, config_file=False, include=[f"{root / package}/*"])

    def pytest_sessionstart(self) -> None:
        """Begin to record."""
        self._coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Record under the name of the test, its fixtures included."""
        self._coverage.switch_context(item.nodeid)
        result = yield
        self._coverage.switch_context("")
        return result

    def reach(self, without: Collection[str]) -> Reach:
        """Return what was recorded, without these tests."""
        self._coverage.stop()
        found: Reach = {}
        for path in self._modules:
            by_function: dict[str, set[str]] = {}
            for line, tests in self._coverage.get_data().contexts_by_lineno(str(path)).items():
                function = function_at(path.read_text(), line)
                by_function.setdefault(function, set()).update(set(tests) - {"", *without})
            whole = set().union(*by_function.values())
            named = {name: sorted(tests) for name, tests in {**by_function, WHOLE_MODULE: whole}.items()}
            found[str(path.relative_to(self._root))] = named
        return found


def function_at(source: str, line: int) -> str:
    """Return the line where the body of the outermost function around `line` begins, or `WHOLE_MODULE`."""
    return next((str(first) for first, last in _functions_of(source) if first <= line <= last), WHOLE_MODULE)


@cache
def _functions_of(source: str) -> tuple[tuple[int, int], ...]:
    return tuple(_spans(ast.parse(source)))


def _spans(node: ast.AST) -> Iterator[tuple[int, int]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child.body[0].lineno, child.end_lineno or child.lineno  # a default is a constant of the module
        else:
            yield from _spans(child)
