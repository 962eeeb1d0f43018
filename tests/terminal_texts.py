"""The texts of the domain `terminal`: what the doctor prints, what settings may have wrong, and errors of no page.

A text of the modules below is a string of some words, or one in a `Filled`. What a page shows, too, is in the pages'
catalogue only.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog

from m365_mcp.commands.doctor.printing import TITLES
from m365_mcp.commands.reference import every_error
from m365_mcp.errors import Filled
from m365_mcp.errors.base import M365Error

SOURCES = Path(__file__).parents[1] / "src" / "m365_mcp"
MODULES = [
    *sorted((SOURCES / "commands" / "doctor").glob("*.py")),
    *(SOURCES / "commands" / f"{name}.py" for name in ("audit_in_force", "in_force")),
    *(path for path in sorted((SOURCES / "settings").glob("*.py")) if path.stem not in ("__init__", "product")),
    *(SOURCES / name for name in ("redirects.py", "urls.py", "entra/client_credential.py", "storage/opening.py")),
]
_NOT_SHOWN = {"description", "examples"}  # keywords of a setting's field


def texts(pages: Catalog) -> Catalog:
    """Return every text of the domain, without translations and without those that `pages` has."""
    catalogue = Catalog()
    for text, place in [*_texts_of_doctor(), *_texts_of_errors()]:
        if pages.get(text) is None:
            catalogue.add(text, locations=[(place, 1)])
    return catalogue


def _texts_of_errors() -> Iterator[tuple[str, str]]:
    kinds: list[type[M365Error]] = [M365Error, *every_error()]
    yield from ((text, "errors.zh-Hant.md") for text in ("Code", "What happened", "What to do"))
    for kind in kinds:
        yield from ((text, kind.code) for text in (kind.sentence, kind.advice))


def _texts_of_doctor() -> Iterator[tuple[str, str]]:
    yield from ((title, "printing.py") for title in TITLES.values())
    for path in MODULES:
        for node in _shown(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and is_sentence(node.value):
                if path.stem != "opening":  # its other texts are of the log
                    yield node.value, path.name
            elif isinstance(node, ast.Call) and ast.unparse(node.func) == Filled.__name__:
                yield from ((str(one.value), path.name) for one in node.args if isinstance(one, ast.Constant))


def is_sentence(text: str) -> bool:
    """Return whether a string is of words that people read."""
    return text.strip().count(" ") > 1 or (text.endswith(".") and " " in text)


def formatted(path: Path) -> list[str]:
    """Return the f-strings of a module that are sentences: a translation could not be filled in."""
    found = [node for node in _shown(ast.parse(path.read_text())) if isinstance(node, ast.JoinedStr)]
    written = [(ast.unparse(node), "".join(_constant(part) for part in node.values)) for node in found]
    return [source for source, text in written if is_sentence(text)]


def _constant(part: ast.expr) -> str:
    return str(part.value) if isinstance(part, ast.Constant) else "…"


def _shown(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node and what is in it, without docstrings, annotations, and what only programs read."""
    yield node
    for child in ast.iter_child_nodes(node):
        is_docstring = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
        is_of_program = isinstance(child, ast.keyword) and child.arg in _NOT_SHOWN
        is_pattern = isinstance(child, ast.Call) and ast.unparse(child.func) == "re.compile"
        is_assertion = isinstance(child, ast.Raise) and "AssertionError" in ast.unparse(child)
        is_unseen = is_docstring or is_of_program or is_pattern or is_assertion
        if not (is_unseen or isinstance(node, ast.JoinedStr)):
            yield from _shown(child)
