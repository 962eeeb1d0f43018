"""What a command prints and exits with when it ends in an error."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.table import Table
from rich.text import Text

from m365_mcp.errors import M365Error, SettingsMistake


@contextmanager
def errors_as_messages() -> Iterator[None]:
    """End with a message and an exit code where the block raises an error, never with a traceback."""
    try:
        yield
    except SettingsMistake as mistake:
        _show_mistakes(mistake)
        sys.exit(2)
    except ValueError as error:
        from pydantic import ValidationError

        if not isinstance(error, ValidationError) or error.title != "Settings":
            raise
        # FastMCP's own settings, which it reads while it is imported.
        rows = error.errors(include_url=False, include_input=False, include_context=False)
        _show_mistakes(SettingsMistake(tuple((f"FASTMCP_{row['loc'][0]}".upper(), row["msg"]) for row in rows)))
        sys.exit(2)
    except M365Error as error:
        Console(stderr=True).print(f"[red]{error.sentence}[/] {error.advice}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _show_mistakes(mistake: SettingsMistake) -> None:
    table = Table("Variable", "What is wrong", title="Settings that are not valid", title_style="bold red")
    for name, problem in mistake.mistakes:
        table.add_row(name, Text(problem))
    console = Console(stderr=True)
    console.print(table)
    console.print(mistake.advice)
