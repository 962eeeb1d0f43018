"""The catalogues of texts: what has to be translated, and `python -m tests.catalogues`, which updates them.

The domain `m365_mcp` has the texts of the pages, and `terminal` the others; see `tests.terminal_texts`.
A text of a page is in a template (`_("…")`), in the class of an error that a page can show (`title`, `sentence`,
`for_person`, `for_administrator`, `advice`), where the code raises such an error, in a meaning of Entra's refusals, or
in the form of a sentence with values (`Filled("…")`). A new language is one more folder in `src/m365_mcp/locale`, with
empty .po files to begin with.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_file
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from m365_mcp.commands.reference import every_error
from m365_mcp.entra import meanings
from m365_mcp.entra.meaning import Meaning
from m365_mcp.errors import (
    DraftUnknown,
    Filled,
    InvalidArgument,
    M365Error,
    SettingsMistake,
    TooManyHeld,
    composing,
    doctor,
)
from m365_mcp.web.pages import error_page
from m365_mcp.web.pages.languages import DOMAIN, ENGLISH
from tests import terminal_texts, translated_documents, translated_drawings

SOURCES = Path(__file__).parents[1] / "src" / "m365_mcp"
TEMPLATES = SOURCES / "web" / "pages" / "templates"
CATALOGUES = sorted((SOURCES / "locale").glob("*/LC_MESSAGES/*.po"))
_OPTIONS = {"newstyle_gettext": "true", "trimmed": "true"}
# Errors of the tools' arguments, of the start of the server and of the doctor: no browser meets them.
_OF_TOOLS = (DraftUnknown, InvalidArgument, SettingsMistake, TooManyHeld)
_MODULES_OF_TOOLS = (composing.__name__, doctor.__name__)
# Where errors that a page can show are raised. A sentence with a value in it is a `Filled`, or is not translated: in
# another language the sentence of an f-string's class stands there, which says the same without the value.
_RAISERS = [
    *(
        path
        for name in ("auth", "entra", "storage", "uploads", "web")
        for path in sorted((SOURCES / name).rglob("*.py"))
    ),
    *(SOURCES / "graph" / f"{name}.py" for name in ("attachments", "decipher", "upload_session")),
    *(
        SOURCES / "sending" / f"{name}.py"
        for name in ("approvals", "delivery", "draft_inspection", "group_lookup", "mailbox_slots", "policy_check")
    ),
    SOURCES / "policy" / "decision_point.py",
]


def shown_errors() -> list[type[M365Error]]:
    """Return the errors that a person can meet on a page, and the one that stands for all others."""
    found = [kind for kind in every_error() if kind not in _OF_TOOLS and kind.__module__ not in _MODULES_OF_TOOLS]
    return [M365Error, *found]


def meanings_of_refusals() -> list[Meaning]:
    """Return every meaning of a refusal of Entra."""
    return [one for one in vars(meanings).values() if isinstance(one, Meaning)]


def texts_of(path: Path) -> Catalog:
    """Return every text of the domain of a .po file, without translations."""
    pages = texts()
    return pages if path.stem == DOMAIN else terminal_texts.texts(pages)


def texts() -> Catalog:
    """Return every text of the pages, without translations."""
    catalogue = Catalog()
    # Its translation is what a language calls itself; the other languages link to it by that name.
    catalogue.add(ENGLISH.name, auto_comments=["Write the name of your own language here, in that language."])
    for template in sorted(TEMPLATES.glob("*.html")):
        for _, message, comments, _ in extract_from_file("jinja2.ext:babel_extract", template, options=_OPTIONS):
            catalogue.add(message, locations=[(template.name, 1)], auto_comments=comments)
    found = [*_texts_of_pages(), *_texts_of_classes(), *_texts_of_meanings(), *_texts_of_raisers(), *_forms()]
    for text, place in found:
        catalogue.add(text, locations=[(place, 1)])
    return catalogue


def _texts_of_pages() -> Iterator[tuple[str, str]]:
    yield from ((text, "error_page.py") for text in (error_page.SENTENCE_AND_ADVICE, error_page.FOR_IT))


def _texts_of_classes() -> Iterator[tuple[str, str]]:
    for kind in shown_errors():
        for text in (kind.title, kind.sentence, *advice_of(kind)):
            yield text, kind.code


def advice_of(kind: type[M365Error]) -> list[str]:
    """Return the advice that a page shows: the person's, and the administrator's where one must act."""
    person = kind.for_person or (None if kind.needs_administrator else kind.advice)
    administrator = (kind.for_administrator or kind.advice) if kind.needs_administrator else None
    return [text for text in (person, administrator) if text]


def _texts_of_meanings() -> Iterator[tuple[str, str]]:
    for one in meanings_of_refusals():
        for text in (one.sentence, one.for_person, one.for_administrator if one.needs_administrator else None):
            if text:
                yield text, one.kind.code


def _texts_of_raisers() -> Iterator[tuple[str, str]]:
    """Find the sentence and the advice of every call that makes a shown error: literals, and constants of a module."""
    shown = {kind.__name__: kind for kind in shown_errors()}
    for path in _RAISERS:
        tree = ast.parse(path.read_text())
        constants = {
            target.id: node.value
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            for given, code in _given(node, shown):
                text = constants.get(given.id) if isinstance(given, ast.Name) else given
                if isinstance(text, ast.Constant) and isinstance(text.value, str):
                    yield text.value, code


def _forms() -> Iterator[tuple[str, str]]:
    """Find the form of every sentence with values that a page shows."""
    for path in sorted(set(SOURCES.rglob("*.py")) - set(terminal_texts.MODULES)):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == Filled.__name__:
                form = node.args[0]
                if isinstance(form, ast.Constant):
                    yield str(form.value), path.name


def _given(node: ast.AST, shown: Mapping[str, type[M365Error]]) -> Iterator[tuple[ast.expr, str]]:
    """Return what a call gives a shown error as its texts, or an assignment to its attributes, and the error's code."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in shown:
        kind = shown[node.func.id]
        yield from ((given, kind.code) for given in node.args[:1])
        names = ("sentence", "advice") if kind.needs_administrator or kind.for_person is None else ("sentence",)
        yield from ((one.value, kind.code) for one in node.keywords if one.arg in names)
    elif isinstance(node, ast.Assign) and getattr(node.targets[0], "attr", "") in ("for_person", "for_administrator"):
        yield node.value, ast.unparse(node.targets[0])


def read(path: Path) -> Catalog:
    """Return a catalogue as its .po file has it."""
    with path.open("rb") as file:
        return read_po(file, locale=path.parents[1].name)


def compiled(catalogue: Catalog) -> bytes:
    """Return a catalogue as a server reads it."""
    file = BytesIO()
    write_mo(file, catalogue)
    return file.getvalue()


def update(path: Path) -> None:
    """Bring one .po file up to date with the texts, and compile it. A text that is gone is dropped."""
    catalogue = read(path)
    catalogue.update(texts_of(path), no_fuzzy_matching=True, update_creation_date=False)
    catalogue.obsolete.clear()
    with path.open("wb") as file:
        write_po(file, catalogue, width=0, ignore_obsolete=True, include_lineno=False)
    path.with_suffix(".mo").write_bytes(compiled(catalogue))


if __name__ == "__main__":
    for one in CATALOGUES:
        update(one)
    translated_drawings.write()
    for named in sys.argv[1:]:
        translated_documents.stamp(Path(named).resolve())
