"""Writes the generated parts of the documents; with `--check` it only tells whether they are up to date.

The tables of settings, tools, errors and refusals stand between `<!-- begin: name -->` and `<!-- end: name -->`. The
tool schemas and `.env.example` are files of their own. All of them are committed, so that a diff shows every change
that users see.
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Collection
from pathlib import Path
from typing import Any

from m365_mcp import errors
from m365_mcp.commands.languages import language_of_terminal
from m365_mcp.entra.refusals import REFUSALS
from m365_mcp.errors import M365Error
from m365_mcp.settings import Settings
from m365_mcp.settings.groups import HEADINGS
from m365_mcp.tools import TOOLSETS, tools_for
from m365_mcp.tools.published import publish
from m365_mcp.web.pages.languages import ENGLISH, Language

ROOT = Path(__file__).parents[3]
SETTINGS = ROOT / "docs" / "settings.md"
EXAMPLE = ROOT / ".env.example"
ERRORS = ROOT / "docs" / "errors.md"
ERRORS_IN_CHINESE = ROOT / "docs" / "errors.zh-Hant.md"
ENTRA_REFUSALS = ROOT / "docs" / "entra-refusals.md"
TOOLS_PAGE = ROOT / "docs" / "tools.md"
SCHEMAS = ROOT / "docs" / "tools.json"
# Arguments that a model knows by their names, so that the schemas do not describe them.
_WELL_KNOWN = {
    "subject": "One line.",
    "cc": "Copies, written like `to`.",
    "bcc": "Blind copies, written like `to`.",
    "request_read_receipt": "Request a read receipt.",
    "importance": "`low`, `normal` or `high`.",
    "top": "Maximum number of results, 1 to 50.",
    "folder": "`inbox` or `sentitems`.",
}


def settings_table() -> str:
    """Return every setting with its default and meaning, as a Markdown table for each group."""
    rows = []
    for name, field in Settings.model_fields.items():
        if name in HEADINGS:
            rows += ["", f"## {HEADINGS[name]}", "", "| Variable | Default | Meaning |", "|---|---|---|"]
        meaning = str(field.description).replace("|", "\\|")
        rows.append(f"| `{name.upper()}` | {_default(field)} | {meaning} |")
    return "\n".join([*rows, ""])


def _default(field: Any) -> str:
    if field.is_required():
        return "**required**"
    if field.default in (None, ()):
        return ""
    if isinstance(field.default, tuple):
        return f"`{','.join(field.default)}`"
    return f"`{str(field.default).lower() if isinstance(field.default, bool) else field.default}`"


def example_file() -> str:
    """Return the text of `.env.example`: every setting with its meaning, and its default or a sample value."""
    lines = [
        "# Copy to .env and fill in the two ids and the secret. Lines that begin with # show defaults and samples."
    ]
    for name, field in Settings.model_fields.items():
        if name in HEADINGS:
            lines += ["", f"# --- {HEADINGS[name]} ---"]
        lines += textwrap.wrap(f"# {field.description}", 118, subsequent_indent="# ", break_on_hyphens=False)
        lines.append(f"{'' if _is_set_in_example(field) else '# '}{name.upper()}={_sample(field)}")
    return "\n".join([*lines, ""])


def _is_set_in_example(field: Any) -> bool:
    if field.examples:
        return str(field.examples[0]).startswith("your-")  # must be replaced
    return field.default is not None and not isinstance(field.default, tuple)


def _sample(field: Any) -> str:
    value = field.examples[0] if field.examples else field.default
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def every_error() -> list[type[M365Error]]:
    """Return all error classes, in the order of the tree in `errors.base`."""

    def below(parent: type[M365Error]) -> list[type[M365Error]]:
        # A subclass outside `errors` is an implementation detail of one module, such as a connection that failed.
        children = [child for child in parent.__subclasses__() if child.__module__.startswith(errors.__name__)]
        return [kind for child in children for kind in (child, *below(child))]

    return below(M365Error)


def errors_table(language: Language = ENGLISH) -> str:
    """Return every error with its sentence and advice in a language, as a Markdown table."""
    headings = map(language.translate, ("Code", "What happened", "What to do"))
    rows = [f"| {' | '.join(headings)} |", "|---|---|---|"]
    for error in every_error():
        rows.append(f"| `{error.code}` | {language.translate(error.sentence)} | {language.translate(error.advice)} |")
    return "\n".join(rows)


def refusals_table() -> str:
    """Return every AADSTS number that this server knows, as a Markdown table."""
    rows = [
        "| Number | Error | What happened | Who acts | What to do | Source | Confirmed |",
        "|---|---|---|---|---|---|---|",
    ]
    for number, refusal in sorted(REFUSALS.items()):
        meaning = refusal.meaning
        sentence, advice = meaning.sentence or meaning.kind.sentence, meaning.advice or meaning.kind.advice
        confirmed = "yes" if refusal.is_confirmed else "**no**"
        rows.append(
            f"| AADSTS{number} | `{meaning.kind.code}` | {sentence} | {meaning.who} | {advice} "
            f"| {refusal.source} | {confirmed} |"
        )
    return "\n".join(rows)


def tool_schemas(switched_off: Collection[str] = ()) -> list[dict[str, Any]]:
    """Return the definition of each tool, as clients see it on a server where these names are switched off."""
    tools = [publish(function, switched_off).to_mcp_tool() for function in tools_for(tuple(TOOLSETS), may_ask=True)]
    return [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in tools]


def tools_table(schemas: list[dict[str, Any]]) -> str:
    """Return every argument of every tool, as a Markdown table."""
    rows = ["| Tool | Argument | Default | Meaning |", "|---|---|---|---|"]
    for tool in schemas:
        arguments = tool["inputSchema"].get("properties", {})
        rows += [_argument_row(tool, name, schema) for name, schema in arguments.items()]
        if not arguments:
            rows.append(f"| `{tool['name']}` | none | | {tool['description'].splitlines()[0]} |")
    return "\n".join(rows)


def _argument_row(tool: dict[str, Any], name: str, schema: dict[str, Any]) -> str:
    required = name in tool["inputSchema"].get("required", [])
    given = f"`{json.dumps(schema['default'])}`" if "default" in schema else "none"
    default = "**required**" if required else given
    return f"| `{tool['name']}` | `{name}` | {default} | {schema.get('description') or _WELL_KNOWN[name]} |"


def documents() -> dict[Path, str]:
    """Return the up-to-date text of each document."""
    schemas = tool_schemas()
    chinese = language_of_terminal("zh-Hant") or ENGLISH
    return {
        SETTINGS: _put(SETTINGS.read_text(), "settings", settings_table()),
        TOOLS_PAGE: _put(TOOLS_PAGE.read_text(), "tools", tools_table(schemas)),
        ERRORS: _put(ERRORS.read_text(), "errors", errors_table()),
        ERRORS_IN_CHINESE: _put(ERRORS_IN_CHINESE.read_text(), "errors", errors_table(chinese)),
        ENTRA_REFUSALS: _put(ENTRA_REFUSALS.read_text(), "refusals", refusals_table()),
        EXAMPLE: example_file(),
        SCHEMAS: json.dumps(schemas, indent=2, ensure_ascii=False) + "\n",
    }


def _put(document: str, name: str, text: str) -> str:
    begin, end = f"<!-- begin: {name} -->", f"<!-- end: {name} -->"
    if begin not in document or end not in document:
        raise ValueError(f"the document has no markers for {name}")
    return re.sub(f"{begin}.*?{end}", lambda _: f"{begin}\n{text}\n{end}", document, flags=re.DOTALL)


def main() -> None:
    """Write the documents, or with `--check` exit 1 when one is out of date."""
    texts = documents()
    stale = [path for path, text in texts.items() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv[1:]:
        if stale:
            names = ", ".join(str(path.relative_to(ROOT)) for path in stale)
            sys.exit(f"Out of date: {names}. Run: make docs")
        return
    for path in stale:
        path.write_text(texts[path])


if __name__ == "__main__":
    main()
