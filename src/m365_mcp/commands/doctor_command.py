"""The command line of `m365-mcp doctor`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.console import Console

if TYPE_CHECKING:
    from m365_mcp.errors import SettingsMistake
    from m365_mcp.settings import Settings


def doctor(
    *,
    url: str | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """Check the settings, the store, Entra ID, Graph and the public URL, and print what to change.

    Exit code 0: no check failed. 1: one did, or the settings cannot be read. 2: wrong usage.

    Example: `m365-mcp doctor`

    Example: `m365-mcp doctor --url https://mcp.example.com` examines a deployed server from outside

    Args:
        url: the public URL of a server; only what clients meet there is examined, and no settings are needed.
        as_json: print the report as JSON, as docs/doctor.md describes it, and nothing else.
    """
    chosen = _settings_or_mistake() if url is None else None
    import asyncio

    from m365_mcp import logs
    from m365_mcp.commands.doctor.run import examine_from_outside, run_doctor

    logs.configure("critical", "json")
    console = Console()
    if chosen is None:
        sys.exit(asyncio.run(examine_from_outside(str(url), console, as_json=as_json)))
    sys.exit(asyncio.run(run_doctor(chosen, console, as_json=as_json)))


def _settings_or_mistake() -> Settings | SettingsMistake:
    """Return the settings, or what is wrong with them; then FastMCP does not read `.env` either."""
    from m365_mcp import settings
    from m365_mcp.errors import SettingsMistake

    try:
        return settings.load()
    except SettingsMistake as mistake:
        settings.ignore_dotenv()
        return mistake
