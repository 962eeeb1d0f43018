"""Runs the demo and shows it: progress, the steps in colour, the mail, and where to go from here."""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from m365_mcp.commands.demo import mails
from m365_mcp.commands.demo.processes import Simulator, listen, logs_in, running_server, running_simulator
from m365_mcp.commands.demo.sign_in import SignIn, Step
from m365_mcp.commands.demo.where_to_go import print_where_to_go
from m365_mcp.errors import InternalError, M365Error, Unavailable
from m365_mcp.settings import check_mail_variables

PERSON = "ada@contoso.example"
OTHER_PERSON = "grace@contoso.example"
MAIL = {
    "to": ["Grace Hopper <grace@contoso.example>"],
    "subject": "Meeting notes ✉ 會議記錄",
    "body": "<p>Hello Grace,</p><p>here are <b>the notes</b>.</p><p>Ada</p>",
}


async def run_demo(console: Console, *, once: bool, port: int, verbose: bool) -> int:
    """Run the demo and return the exit code; whatever fails is a SettingsMistake or another M365Error.

    Args:
        console: where it is shown.
        once: end after the mail instead of running on.
        port: port of the server; when it is in use, a free one is used.
        verbose: where something fails, print the traceback and the ends of the logs, too.
    """
    check_mail_variables()
    with tempfile.TemporaryDirectory(prefix="m365-mcp-demo-") as name:
        try:
            return await _run_in(Path(name), console, once=once, port=port)
        except Exception as error:
            if verbose:
                sys.stderr.write(f"{traceback.format_exc()}\n{logs_in(Path(name))}\n")
            if isinstance(error, M365Error):
                raise
            advice = "Run it again; m365-mcp demo --verbose shows what it was."
            raise Unavailable("The demo could not go on.", advice=advice) from error


async def _run_in(folder: Path, console: Console, *, once: bool, port: int) -> int:
    with listen(port) as listener:
        server_url = f"http://localhost:{listener.getsockname()[1]}"
        with console.status("Starting the simulator of Entra ID and Microsoft Graph…") as status:
            async with running_simulator(folder, server_url) as simulator:
                status.update("Starting the MCP server…")
                async with running_server(folder, server_url, listener, simulator):
                    status.stop()
                    console.print(f"[green]✓[/] Simulator: {simulator.authority}", soft_wrap=True)
                    console.print(f"[green]✓[/] Server:    {server_url}\n", soft_wrap=True)
                    await _walk_and_stay(console, server_url, simulator, once=once)
    return 0


async def _walk_and_stay(console: Console, server_url: str, simulator: Simulator, *, once: bool) -> None:
    token, is_sent = await _walk(console, server_url, simulator)
    mail = await _submitted(simulator) if is_sent else None
    if mail is not None:
        console.print(_as_panel(mail))
    if once:
        return
    if is_sent:
        await _fill_mailbox(console, server_url, simulator, token)
    print_where_to_go(console, server_url, simulator.mailbox_page, mail)
    await _until_interrupted()
    console.print("Stopping…")


async def _walk(console: Console, server_url: str, simulator: Simulator) -> tuple[str, bool]:
    """Sign in, call two tools; return the access token, and whether the mail has left (settings may forbid it)."""
    sign_in = SignIn(server_url, simulator, PERSON)
    with console.status("Signing in…") as status:
        async for step in sign_in.steps():
            _print_step(console, step)
            status.update(f"Step {step.number} done…")
    names, profile, receipt = await _call_tools(f"{server_url}/mcp", sign_in.access_token)
    tools = f"200, tools: {', '.join(names)}"
    _print_step(console, Step("10", "Use MCP with the token", f"POST {server_url}/mcp", (tools,)))
    console.print(f"     [cyan]get_my_profile[/] → {profile['displayName']} <{profile['mail']}>", highlight=False)
    status_text = f"status {receipt['status']}, {', '.join(receipt['recipients'])}" if receipt else "refused"
    console.print(f"     [cyan]send_mail[/]      → {status_text}\n", highlight=False, soft_wrap=True)
    if receipt.get("approval_url"):
        console.print(f"The mail waits for its sender: {receipt['approval_url']}\n", highlight=False, soft_wrap=True)
    return sign_in.access_token, receipt.get("status") == "sent"


async def _call_tools(endpoint: str, token: str) -> tuple[list[str], dict[str, Any], dict[str, Any]]:
    async with _client(endpoint, token) as client:
        names = [tool.name for tool in await client.list_tools()]
        if names[:2] != ["send_mail", "get_my_profile"]:
            raise InternalError("The server does not list its two tools.")
        profile = await client.call_tool("get_my_profile")
        # What M365_* settings make of the call is shown, not mended.
        receipt = await client.call_tool("send_mail", MAIL, raise_on_error=False)
    return names, profile.structured_content or {}, (not receipt.is_error and receipt.structured_content) or {}


async def _fill_mailbox(console: Console, server_url: str, simulator: Simulator, token: str) -> None:
    """Send the mails that the mailbox page shows; Grace signs in for hers."""
    with console.status("Sending more mails…"):
        sign_in = SignIn(server_url, simulator, OTHER_PERSON)
        async for _ in sign_in.steps():
            pass
        async with _client(f"{server_url}/mcp", sign_in.access_token) as grace:
            await mails.ask(grace)
        async with _client(f"{server_url}/mcp", token) as ada:
            subjects = await mails.write(ada)
            if "reply" in [tool.name for tool in await ada.list_tools()]:
                subjects.append(await mails.reply(ada))
    console.print("More mails, to read in Grace's mailbox as they arrive:")
    for subject in subjects:
        console.print(f"     {subject}", highlight=False)
    console.print()


def _client(endpoint: str, token: str) -> Client[StreamableHttpTransport]:
    return Client(StreamableHttpTransport(endpoint, auth=token, httpx_client_factory=_direct_client))


def _direct_client(
    headers: dict[str, str] | None = None,
    timeout: httpx2.Timeout | None = None,
    auth: httpx2.Auth | None = None,
    **_: Any,
) -> httpx2.AsyncClient:
    # Loopback only: a proxy from the environment must not be asked.
    return httpx2.AsyncClient(headers=headers, timeout=timeout, auth=auth, trust_env=False)


async def _submitted(simulator: Simulator) -> dict[str, Any]:
    async with httpx2.AsyncClient(trust_env=False) as client:
        outbox = (await client.get(f"{simulator.control}/_control/outbox")).json()
    if not outbox:
        raise InternalError("The mail did not arrive in the simulator.")
    submitted: dict[str, Any] = outbox[-1]
    return submitted


def _print_step(console: Console, step: Step) -> None:
    """Print a step; the terminal may break its lines, and we do not, so that each address is copied whole."""
    console.print(Text.assemble((f"{step.number:>4} ", "bold magenta"), (step.title, "bold")), soft_wrap=True)
    console.print(Text(f"     {step.asked}", style="dim"), soft_wrap=True)
    for line in step.answered:
        console.print(Text.assemble(("     ← ", "green"), line), soft_wrap=True)


def _as_panel(message: dict[str, Any]) -> Panel:
    head = Table.grid(padding=(0, 2))
    head.add_row("From", _people([message["from"]]))
    head.add_row("To", _people(message["to"]))
    head.add_row("Subject", Text(message["subject"], style="bold"))
    head.add_row("Format", message["body"]["contentType"])
    content = Group(head, "", Text(message["body"]["content"]))
    return Panel(content, title="Submitted", border_style="green", expand=False)


def _people(people: list[dict[str, Any]]) -> str:
    return ", ".join(f"{person.get('name') or ''} <{person['address']}>".strip() for person in people)


async def _until_interrupted() -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows: Ctrl-C arrives as KeyboardInterrupt
            loop.add_signal_handler(number, stopped.set)
    await stopped.wait()
