"""The catalogues of the pages' texts: what has to be translated, and `python -m tests.catalogues`, which updates them.

A text is in a template (`_("…")`) or in the class of an error that a page can show (`title`, `sentence`, `advice`,
`for_person`). A new language is one more folder in `src/m365_mcp/locale`, with an empty .po file to begin with.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_file
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from m365_mcp.commands.reference import every_error
from m365_mcp.errors import (
    AdministratorNeeded,
    InternalError,
    M365Error,
    SignInAlreadyDone,
    SignInNeeded,
    Unavailable,
)
from m365_mcp.errors import client_metadata as client_metadata_errors
from m365_mcp.errors import sign_in as sign_in_errors
from m365_mcp.errors import uploads as upload_errors
from m365_mcp.web.pages.languages import ENGLISH

SOURCES = Path(__file__).parents[1] / "src" / "m365_mcp"
TEMPLATES = SOURCES / "web" / "pages" / "templates"
CATALOGUES = sorted((SOURCES / "locale").glob("*/LC_MESSAGES/m365_mcp.po"))
_OPTIONS = {"newstyle_gettext": "true", "trimmed": "true"}
_SHOWN_KINDS = (AdministratorNeeded, InternalError, SignInAlreadyDone, SignInNeeded, Unavailable)
_SHOWN_MODULES = (client_metadata_errors.__name__, sign_in_errors.__name__, upload_errors.__name__)


def shown_errors() -> list[type[M365Error]]:
    """Return the errors that a person can meet on a page."""
    return [kind for kind in every_error() if issubclass(kind, _SHOWN_KINDS) or kind.__module__ in _SHOWN_MODULES]


def texts() -> Catalog:
    """Return every text that has to be translated, without translations."""
    catalogue = Catalog()
    # Its translation is what a language calls itself; the other languages link to it by that name.
    catalogue.add(ENGLISH.name, auto_comments=["Write the name of your own language here, in that language."])
    for template in sorted(TEMPLATES.glob("*.html")):
        for _, message, comments, _ in extract_from_file("jinja2.ext:babel_extract", template, options=_OPTIONS):
            catalogue.add(message, locations=[(template.name, 1)], auto_comments=comments)
    for kind in shown_errors():
        for text in (kind.title, kind.sentence, advice_of(kind)):
            catalogue.add(text, locations=[(kind.code, 1)])
    return catalogue


def advice_of(kind: type[M365Error]) -> str:
    """Return the advice that a page shows: the administrator's, folded away, or the person's."""
    return kind.advice if kind.needs_administrator or kind.for_person is None else kind.for_person


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
    catalogue.update(texts(), no_fuzzy_matching=True, update_creation_date=False)
    catalogue.obsolete.clear()
    with path.open("wb") as file:
        write_po(file, catalogue, width=0, ignore_obsolete=True, include_lineno=False)
    path.with_suffix(".mo").write_bytes(compiled(catalogue))


if __name__ == "__main__":
    for one in CATALOGUES:
        update(one)
