"""Runs the demo and shows it: progress, the steps in colour, the mail, and where to go from here."""

from __future__ import annotations

import asyncio
import signal
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from rich.console import Console, Group
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from m365_mcp.commands.demo import mails
from m365_mcp.commands.demo.processes import Simulator, listen, running_server, running_simulator
from m365_mcp.commands.demo.sign_in import SignIn, Step
from m365_mcp.errors import InternalError

PERSON = "ada@contoso.example"
OTHER_PERSON = "grace@contoso.example"
MAIL = {
    "to": ["Grace Hopper <grace@contoso.example>"],
    "subject": "Meeting notes ✉ 會議記錄",
    "body": "<p>Hello Grace,</p><p>here are <b>the notes</b>.</p><p>Ada</p>",
}


async def run_demo(console: Console, *, once: bool, port: int) -> int:
    """Run the demo and return the exit code."""
    with listen(port) as listener, tempfile.TemporaryDirectory(prefix="m365-mcp-demo-") as name:
        server_url = f"http://localhost:{listener.getsockname()[1]}"
        folder = Path(name)
        status = console.status("Starting the simulator of Entra ID and Microsoft Graph…")
        status.start()
        async with running_simulator(folder, server_url) as simulator:
            status.update("Starting the MCP server…")
            async with running_server(folder, server_url, listener, simulator):
                status.stop()
                console.print(f"[green]✓[/] Simulator: {simulator.authority}   [green]✓[/] Server: {server_url}\n")
                token = await _walk(console, server_url, simulator)
                if not once:
                    await _fill_mailbox(console, server_url, simulator, token)
                    console.print(_where_to_go(server_url, simulator))
                    await _until_interrupted()
                    console.print("Stopping…")
    return 0


async def _walk(console: Console, server_url: str, simulator: Simulator) -> str:
    sign_in = SignIn(server_url, simulator, PERSON)
    with console.status("Signing in…") as status:
        async for step in sign_in.steps():
            console.print(_as_text(step))
            status.update(f"Step {step.number} done…")
    names, profile, receipt = await _call_tools(f"{server_url}/mcp", sign_in.access_token)
    tools = f"200, tools: {', '.join(names)}"
    console.print(_as_text(Step("10", "Use MCP with the token", f"POST {server_url}/mcp", (tools,))))
    console.print(f"     [cyan]get_my_profile[/] → {profile['displayName']} <{profile['mail']}>", highlight=False)
    console.print(f"     [cyan]send_mail[/]      → status {receipt['status']}, {', '.join(receipt['recipients'])}\n")
    console.print(_as_panel(await _submitted(simulator)))
    return sign_in.access_token


async def _call_tools(endpoint: str, token: str) -> tuple[list[str], dict[str, Any], dict[str, Any]]:
    async with _client(endpoint, token) as client:
        names = [tool.name for tool in await client.list_tools()]
        if names[:2] != ["send_mail", "get_my_profile"]:
            raise InternalError("The server does not list its two tools.")
        profile = await client.call_tool("get_my_profile")
        receipt = await client.call_tool("send_mail", MAIL)
    return names, profile.structured_content or {}, receipt.structured_content or {}


async def _fill_mailbox(console: Console, server_url: str, simulator: Simulator, token: str) -> None:
    """Send the mails that the mailbox page shows; Grace signs in for hers."""
    with console.status("Sending four more mails…"):
        sign_in = SignIn(server_url, simulator, OTHER_PERSON)
        async for _ in sign_in.steps():
            pass
        async with _client(f"{server_url}/mcp", sign_in.access_token) as grace:
            await mails.ask(grace)
        async with _client(f"{server_url}/mcp", token) as ada:
            subjects = await mails.write_and_reply(ada)
    console.print("Four more mails, to read in Grace's mailbox as they arrive:")
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


def _as_text(step: Step) -> Group:
    title = Text.assemble((f"{step.number:>4} ", "bold magenta"), (step.title, "bold"))
    answers = [Text.assemble(("← ", "green"), line) for line in step.answered]
    lines = [Text(step.asked, style="dim"), *answers]
    return Group(title, *(Padding(line, (0, 0, 0, 5)) for line in lines))


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


def _where_to_go(server_url: str, simulator: Simulator) -> Panel:
    text = Text.assemble(
        ("Mailboxes    ", "bold"),
        f"{simulator.mailbox_page.rstrip('/')}/?person=grace\n",
        ("MCP endpoint ", "bold"),
        f"{server_url}/mcp\n\n",
        "Connect Claude Code:  ",
        (f"claude mcp add --transport http m365-demo {server_url}/mcp\n", "cyan"),
        "At sign-in the browser warns about the simulator's certificate; accept it to reach the sign-in page.\n",
        "Ctrl-C stops the server and the simulator.",
    )
    return Panel(text, title="Still running. Try it yourself:", border_style="cyan", expand=False)


async def _until_interrupted() -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows: Ctrl-C arrives as KeyboardInterrupt
            loop.add_signal_handler(number, stopped.set)
    await stopped.wait()
