"""Rules of the house that a machine can check: sizes, docstrings, and what must not stand in a file."""

import ast
import gc
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(path for folder in ("src", "simulator/src") for path in (ROOT / folder).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))


@cache
def parsed(path: Path) -> ast.Module:
    """Parse a file while nothing is garbage-collected.

    The collector may find a failed task of an earlier test, whose logged traceback calls the parser within the parser.
    Python up to 3.11.7 answers that with "AST constructor recursion depth mismatch" (CPython issue 106905).
    """
    gc.disable()
    try:
        return ast.parse(path.read_text())
    finally:
        gc.enable()


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(parsed(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_module_is_small_and_says_what_it_is_for(path: Path) -> None:
    """At most 300 lines, no function over 40, and a docstring at the top."""
    text = path.read_text()

    assert len(text.splitlines()) <= 300
    assert [node.name for node in functions(path) if length(node) > 40] == []
    assert ast.get_docstring(parsed(path))


def test_functions_are_short_on_the_whole() -> None:
    """The median function of both packages has at most ten lines."""
    lengths = sorted(length(node) for path in SOURCES for node in functions(path))

    assert lengths[len(lengths) // 2] <= 10


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(ROOT / "tests")))
def test_every_test_states_its_behaviour(path: Path) -> None:
    """A test has a docstring of one sentence or more."""
    nameless = [node.name for node in functions(path) if node.name.startswith("test_") and not ast.get_docstring(node)]

    assert nameless == []


def test_no_file_names_a_package_registry_or_a_machine() -> None:
    """Where packages come from, and where this was written, stands nowhere."""
    words = ["pypi" + r"\.org", "python" + "hosted", "registry" + r"\.npmjs", "deb" + r"\.debian"]
    search = ["git", "grep", "-lE", "|".join(words)]
    found = subprocess.run(search, cwd=ROOT, capture_output=True, text=True, check=False)

    assert found.stdout == ""
