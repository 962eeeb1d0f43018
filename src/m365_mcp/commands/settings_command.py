"""The command line of `m365-mcp settings`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter
from rich.console import Console


def show_settings(*, as_json: Annotated[bool, Parameter(name="--json", negative=())] = False) -> None:
    """Print the settings in force, where each comes from, and what they allow; no secret is printed.

    Exit code 0: the settings are valid. 2: they are not, and every mistake is named.

    Example: `m365-mcp settings`

    Example: `m365-mcp settings --json` for programs

    Args:
        as_json: print JSON and nothing else.
    """
    from m365_mcp import settings

    chosen = settings.load()
    from m365_mcp.commands.settings_shown import show

    show(chosen, Console(), as_json=as_json)
