"""The command line of `m365-mcp call`."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import App, Parameter

Flag = Parameter(negative=())
# `call TOOL --help` is about the tool, so that it is no flag of cyclopts here.
app = App(
    name="call",
    help_flags=[],
    version_flags=[],
    help_format="markdown",
    usage="Usage: m365-mcp call [TOOL] [KEY=VALUE…] [OPTIONS]",
)


@app.default
def call(
    tool: str | None = None,
    *arguments: str,
    url: str = "http://localhost:8000/mcp",
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
    arguments_of: Annotated[bool, Parameter(name=("--arguments", "--help", "-h"), negative=())] = False,
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
        arguments_of: print the arguments of the tool instead of calling it; without a tool, this help.
        no_browser: only print the address of the sign-in.
        sign_out: end the session at the server, and delete its tokens.
    """
    if arguments_of and tool is None:
        app.help_print([])
        return
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
    import logging

    from m365_mcp import settings

    settings.ignore_dotenv()
    settings.skip_type_checks()
    from m365_mcp.commands.calling import Options, run_call

    logging.disable(logging.CRITICAL)  # the libraries' warnings are for programmers; what matters is in our sentences
    options = Options(url, as_json=as_json, opens_browser=opens_browser, shows_arguments=shows_arguments)
    return asyncio.run(run_call(options, tool, arguments, ends_session=ends_session))
