"""What a person can do with the running demo: one command a line, which copies whole out of any terminal."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from rich.console import Console
from rich.text import Text


def print_where_to_go(console: Console, server_url: str, mailbox_page: str, mail: dict[str, Any] | None) -> None:
    """Print how to connect clients, and at the end the address at which the delivered mail opens.

    Args:
        console: where it is printed.
        server_url: public URL of the server.
        mailbox_page: address of the simulator's mailbox page.
        mail: the delivered mail, as the simulator's control plane shows it; None: none has left.
    """
    endpoint = f"{server_url}/mcp"
    console.print("[bold]Still running. Connect a client of your own:[/]\n")
    for client, command in _commands(endpoint):
        console.print(f"[bold]{client}[/]", highlight=False)
        # Neither indented nor in a box, and never broken here: what is copied is the command and nothing else.
        console.print(Text(command, style="cyan"), soft_wrap=True)
    console.print("\nAt sign-in the browser warns about the simulator's certificate; accept it.")
    console.print("Ctrl-C stops the server and the simulator.\n")
    console.print("[bold]The mail, in its recipient's mailbox:[/]" if mail else "[bold]Mailboxes:[/]")
    console.print(Text(_address(mailbox_page, mail), style="cyan"), soft_wrap=True)


def _commands(endpoint: str) -> list[tuple[str, str]]:
    of_vscode = json.dumps({"name": "m365-demo", "type": "http", "url": endpoint}, separators=(",", ":"))
    of_cursor = json.dumps({"mcpServers": {"m365-demo": {"url": endpoint}}}, separators=(",", ":"))
    return [
        ("Claude Code", f"claude mcp add --transport http m365-demo {endpoint}"),
        ("VS Code", f"code --add-mcp '{of_vscode}'"),
        ("Cursor, in ~/.cursor/mcp.json", of_cursor),
        ("MCP Inspector, then Streamable HTTP and the address below", "npx @modelcontextprotocol/inspector"),
        ("Address of the server, for any other client", endpoint),
    ]


def _address(mailbox_page: str, mail: dict[str, Any] | None) -> str:
    query = {"person": "grace", "folder": "inbox"}
    if mail is not None:
        query["message"] = mail["internetMessageId"]
    return f"{mailbox_page.rstrip('/')}/?{urlencode(query)}"
