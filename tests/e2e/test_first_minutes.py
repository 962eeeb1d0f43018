"""What a newcomer sees in a terminal of 80 columns: the demo's addresses and commands, the settings, the sessions."""

from __future__ import annotations

import asyncio
import html
import json
import os
import pty
import re
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from m365_mcp.commands.demo.processes import require_same_server
from m365_mcp.errors import Unavailable
from m365_mcp.settings import foreign_environment
from tests.e2e.programs import PATIENCE_SECONDS, Program, Server, Simulator, free_port, listens
from tests.ids import VARIABLES
from tests.trust import NO_AUTHORITY

M365_MCP = [sys.executable, "-m", "m365_mcp"]
SECRET = "Very~secret.value-of-the-app-0123456789"


def in_terminal(*words: str, folder: Path, until: str = "", **variables: str) -> str:
    """Return what a command prints in a pseudo-terminal of 80 columns; after `until`, it gets Ctrl-C's signal."""
    master, slave = pty.openpty()
    environment = {**foreign_environment(), "COLUMNS": "80", "TERM": "xterm", **variables}
    process = subprocess.Popen(
        [*M365_MCP, *words], cwd=folder, env=environment, stdin=slave, stdout=slave, stderr=slave
    )
    os.close(slave)
    said = b""
    try:
        while chunk := os.read(master, 65536):
            said += chunk
            if until and until.encode() in said:
                process.send_signal(signal.SIGINT)
                until = ""
    except OSError:  # EIO: the other end is closed
        pass
    finally:
        os.close(master)
        process.wait(PATIENCE_SECONDS)
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", said.decode()).replace("\r\n", "\n")


@pytest.mark.full
def test_demo_prints_commands_that_copy_whole_and_ends_with_the_mail(tmp_path: Path) -> None:
    """Each command is a line of its own without padding; the last address opens the mail in Grace's mailbox."""
    log = tmp_path / "demo.log"
    program = Program([*M365_MCP, "demo", "--port", str(free_port())], log, {"COLUMNS": "80"})
    program.start()
    program.wait_until(lambda: "&message=" in log.read_text())
    lines = log.read_text().splitlines()
    page = httpx2.get(lines[-1], verify=NO_AUTHORITY, trust_env=False).text
    ended = program.end(signal.SIGINT)

    claude = next(line for line in lines if line.startswith("claude "))
    code = next(line for line in lines if line.startswith("code "))
    cursor = next(line for line in lines if line.startswith('{"mcpServers"'))
    endpoint = json.loads(shlex.split(code)[-1])["url"]
    assert ended == 0
    assert claude.endswith(f" m365-demo {endpoint}")
    assert json.loads(cursor)["mcpServers"]["m365-demo"]["url"] == endpoint
    assert "npx @modelcontextprotocol/inspector" in lines
    assert not [line for line in lines if re.search(r"https?:\S*$", line) and line != line.rstrip()]
    assert "Meeting notes ✉ 會議記錄" in html.unescape(page)
    assert "srcdoc" in page  # the mail is open, and not only in the list


@pytest.mark.full
@pytest.mark.parametrize(("toolsets", "has_drafts"), [(None, True), ("", False)], ids=["all", "none"])
def test_demo_has_every_toolset_or_the_chosen_ones(tmp_path: Path, toolsets: str | None, has_drafts: bool) -> None:
    """Without the variable all tools are there and consented to; an empty one is honoured, too."""
    chosen = {} if toolsets is None else {"M365_TOOLSETS": toolsets}

    said = in_terminal("demo", "--once", "--port", str(free_port()), folder=tmp_path, **chosen)

    tools = re.findall(r"200, tools: (.*)", said)[0].split(", ")
    assert tools[:2] == ["send_mail", "get_my_profile"]
    assert ("create_draft" in tools, "find_people" in tools, "schedule_mail" in tools) == (has_drafts,) * 3
    assert "status sent" in said


async def test_demo_tells_another_program_on_its_port_apart(server: Server, tmp_path: Path) -> None:
    """Where another program answers than on the demo's own socket, that is an error with what to do about it."""
    port = free_port()
    other = Program([sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"], tmp_path / "other.log")
    other.start()
    other.wait_until(lambda: listens(port))
    async with httpx2.AsyncClient(verify=NO_AUTHORITY, trust_env=False) as http:
        with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as own:
            address = own.getpeername()
        await require_same_server(http, server.url, address)
        with pytest.raises(Unavailable, match="Another program answers"):
            await require_same_server(http, f"http://localhost:{port}", address)
    other.end()


def test_demo_names_a_wrong_setting(tmp_path: Path) -> None:
    """A mistake in `M365_TOOLSETS` is told as `serve` tells it, before anything starts."""
    said = in_terminal("demo", "--once", folder=tmp_path, M365_TOOLSETS="nonsense")

    assert "M365_TOOLSETS" in said
    assert "Traceback" not in said
    assert "Simulator" not in said


def test_settings_have_sources_and_no_secret(tmp_path: Path) -> None:
    """Environment, `.env`, default and derived are told apart, in 80 columns, and no part of a secret is printed."""
    (tmp_path / ".env").write_text("MCP_SESSION_HOURS=24\nMCP_PORT=8123\n")
    chosen = {**VARIABLES, "AZURE_CLIENT_SECRET": SECRET, "MCP_PORT": "8124", "REDIS_URL": f"redis://u:{SECRET}@h:1/0"}

    said = in_terminal("settings", folder=tmp_path, **chosen)
    raw = in_terminal("settings", "--json", folder=tmp_path, **chosen)
    by_name = {row["name"]: row for row in json.loads(raw)["settings"]}

    assert max(map(len, said.splitlines())) <= 80
    assert not [part for part in (SECRET, SECRET[:6], SECRET[-6:]) if part in said + raw]
    shown = {name: (by_name[name]["value"], by_name[name]["source"]) for name in by_name}
    assert shown["MCP_PORT"] == ("8124", "environment")
    assert shown["MCP_SESSION_HOURS"] == ("24", ".env")
    assert shown["MCP_LOG_LEVEL"] == ("info", "default")
    assert shown["MCP_SERVER_BASE_URL"] == ("http://localhost:8124", "derived")
    assert shown["AZURE_CLIENT_SECRET"] == ("set, not shown", "environment")
    assert re.search(rf"^AZURE_CLIENT_ID +{VARIABLES['AZURE_CLIENT_ID']} +environment *$", said, re.MULTILINE)


def test_settings_name_what_is_misspelt(tmp_path: Path) -> None:
    """A variable that is nearly a setting is told with its name; what a cluster or Azure's tools set is not."""
    (tmp_path / ".env").write_text("mcp_prot=8123\n")
    others = {"MCP_SERVER_SERVICE_HOST": "10.0.0.1", "MCP_SERVER_PORT_8000_TCP": "x", "AZURE_CONFIG_DIR": "azure"}
    chosen = {**VARIABLES, **others, "M365_TOOLSET": "drafts"}

    report = json.loads(in_terminal("settings", "--json", folder=tmp_path, **chosen))

    told = [re.findall(r"[A-Z0-9_]{4,}", warning) for warning in report["warnings"]]
    assert told == [["M365_TOOLSET", "M365_TOOLSETS"], ["MCP_PROT", "MCP_PORT"]]


def test_settings_name_every_mistake(tmp_path: Path) -> None:
    """Settings that are not valid end with the table of `serve`, and none is shown."""
    said = in_terminal("settings", folder=tmp_path, MCP_PORT="none")

    assert {"AZURE_CLIENT_ID", "AZURE_TENANT_ID", "MCP_PORT"} <= set(re.findall(r"[A-Z][A-Z_]+[A-Z]", said))


def test_end_of_nobody_is_told(tmp_path: Path) -> None:
    """A mistyped name ends nothing, says so, and is a failure for a script."""
    data = {**VARIABLES, "MCP_DATA_DIR": str(tmp_path), "REDIS_URL": ""}
    ran = subprocess.run(
        [*M365_MCP, "sessions", "end", "typo@x"],
        cwd=tmp_path,
        env={**foreign_environment(), **data},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 1
    assert "This person has no session." in ran.stderr


async def test_object_id_stands_whole_in_80_columns(server: Server, simulator: Simulator, tmp_path: Path) -> None:
    """The list of sessions is for copying ids into `sessions end`."""
    from tests.e2e.grants import signed_in

    await signed_in(server, simulator)
    said = await asyncio.to_thread(in_terminal, "sessions", "list", folder=tmp_path, **server.program.environment)

    assert re.search(r"^ *[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", said, re.MULTILINE), said
    assert re.search(r"^\d+ sessions?$", said, re.MULTILINE)
