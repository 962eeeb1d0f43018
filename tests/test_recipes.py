"""The recipes of CONTRIBUTING.md: what a first try forgets fails here, with a sentence that tells the next step."""

import dataclasses
import importlib
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from m365_mcp import errors
from m365_mcp.commands.reference import every_error
from m365_mcp.mail import MessageRequest
from m365_mcp.settings import PERMISSIONS, Settings
from m365_mcp.tools import TOOLSETS, tools_for
from m365_mcp.tools.attachments import attach_files
from m365_mcp.tools.drafts import create_draft
from m365_mcp.tools.mail import send_mail
from m365_mcp.tools.schedule import schedule_mail

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src" / "m365_mcp").rglob("*.py"))
TOOL_MODULES = sorted((ROOT / "src" / "m365_mcp" / "tools").glob("[a-z]*.py"))
# Graph always saves a copy of a draft that it sends, so only send_mail offers the choice.
ONLY_ONE_TOOL = {"save_to_sent": send_mail, "send_at": schedule_mail}

NO_ARGUMENT = {"expects_files"}  # attach_files sets it


@pytest.mark.parametrize("tool", [send_mail, create_draft, schedule_mail, attach_files], ids=lambda tool: tool.__name__)
def test_every_writing_tool_has_every_argument_of_a_message(tool: Callable[..., Any]) -> None:
    """A field of MessageRequest is an argument of each tool that composes a message, under the same name."""
    fields = {field.name for field in dataclasses.fields(MessageRequest)} - NO_ARGUMENT
    wanted = {name for name in fields if ONLY_ONE_TOOL.get(name, tool) is tool}

    missing = sorted(wanted - set(inspect.signature(tool).parameters))

    assert not missing, f"Add {missing} to the signature of {tool.__name__} and to its MessageRequest(...)."


def test_every_error_is_imported_from_one_place() -> None:
    """`from m365_mcp.errors import X` works for every error."""
    for kind in every_error():
        hint = f"Import {kind.__name__} in errors/__init__.py and add it to __all__."
        assert getattr(errors, kind.__name__, None) is kind, hint
        assert kind.__name__ in errors.__all__, hint


def test_every_setting_is_read_by_code() -> None:
    """A setting that no component reads has no effect."""
    lines = [line.strip() for path in SOURCES for line in path.read_text().splitlines()]
    for name in Settings.model_fields:
        uses = [line for line in lines if name in line and re.search(rf"\b{name}\b", line)]
        readers = [line for line in uses if not line.startswith(f"{name}:")]
        assert readers, f"Pass {name} to the component that it changes, in app.py."


@pytest.mark.parametrize("name", sorted({*TOOLSETS, *PERMISSIONS}))
def test_toolset_is_named_everywhere(name: str) -> None:
    """A toolset has tools, permissions, and a row in the documents."""
    assert name in TOOLSETS, f"Add {name} to TOOLSETS in tools/__init__.py."
    assert name in PERMISSIONS, f"Add {name} to PERMISSIONS in settings/permissions.py."
    table = (ROOT / "docs" / "tools.md").read_text()
    row = next((line for line in table.splitlines() if line.startswith(f"| `{name}` |")), "")
    wanted = [*(tool.__name__ for tool in TOOLSETS[name]), *PERMISSIONS[name]]
    missing = [one for one in wanted if f"`{one}`" not in row]
    assert not missing, f"Add {missing} to the row of {name} in docs/tools.md."


@pytest.mark.parametrize("path", TOOL_MODULES, ids=lambda path: path.stem)
def test_every_tool_is_offered(path: Path) -> None:
    """A function with `@tool` is one of the tools that a server can have."""
    module = importlib.import_module(f"m365_mcp.tools.{path.stem}")
    found = {name for name, value in vars(module).items() if hasattr(value, "__fastmcp__")}

    everything = tuple(TOOLSETS)
    missing = sorted(
        found
        - {
            tool.__name__
            for tool in (*tools_for(everything, may_ask=True), *tools_for(everything, "draft", may_ask=True))
        }
    )
    assert not missing, f"Add {missing} to TOOLSETS in tools/__init__.py."
