"""The command line of `m365-mcp call`."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import Parameter

Flag = Parameter(negative=())


def call(
    tool: str | None = None,
    *arguments: str,
    url: str = "http://localhost:8000/mcp",
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
    arguments_of: Annotated[bool, Parameter(name="--arguments", negative=())] = False,
    no_browser: Annotated[bool, Flag] = False,
    sign_out: Annotated[bool, Flag] = False,
) -> None:
    """Call a tool of a running server as yourself; without a tool, list the tools.

    docs/command-line.md says how values are written.

    Exit code 0: done. 1: the tool refused. 2: wrong usage. 3: the server or the sign-in failed.

    Example: `m365-mcp call send_mail --arguments` shows the arguments of a tool

    Example: `m365-mcp call send_mail to=grace@contoso.example subject=Notes body=@notes.md content_type=Markdown`

    Example: `m365-mcp call --sign-out` ends the session and deletes its tokens

    Args:
        tool: name of the tool.
        arguments: its arguments, each as key=value.
        url: address of the MCP endpoint.
        as_json: print the structured result.
        arguments_of: print the arguments of the tool instead of calling it.
        no_browser: only print the address of the sign-in.
        sign_out: end the session at the server, and delete its tokens.
    """
    ways = {"as_json": as_json, "shows_arguments": arguments_of, "opens_browser": not no_browser}
    sys.exit(_run(url, tool, arguments, ends_session=sign_out, **ways))


def _run(
    url: str,
    tool: str | None,
    arguments: tuple[str, ...],
    *,
    as_json: bool,
    shows_arguments: bool,
    opens_browser: bool,
    ends_session: bool,
) -> int:
    import asyncio

    from m365_mcp import logs, settings

    settings.ignore_dotenv()
    settings.skip_type_checks()
    from m365_mcp.commands.calling import Options, run_call

    logs.configure("critical", "text")
    options = Options(url, as_json=as_json, opens_browser=opens_browser, shows_arguments=shows_arguments)
    return asyncio.run(run_call(options, tool, arguments, ends_session=ends_session))
