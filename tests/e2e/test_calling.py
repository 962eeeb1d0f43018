"""`m365-mcp call` as a person runs it: sign-in in a browser, kept tokens, arguments, exit codes, sign-out."""

from __future__ import annotations

import asyncio
import json
import re
import stat
import sys
from pathlib import Path
from typing import Any

import httpx2

from m365_mcp.settings import foreign_environment
from tests.e2e.person import PersonAtBrowser
from tests.e2e.programs import PATIENCE_SECONDS, Server, Simulator, free_port
from tests.trust import NO_AUTHORITY


class Terminal:
    """A person's terminal: one home folder, and a browser that is not on this machine."""

    def __init__(self, home: Path, url: str, simulator: Simulator) -> None:
        self.home, self.url = home, url
        self.person = PersonAtBrowser(simulator.ready["ca_file"])
        self.sign_ins = 0

    async def call(self, *words: str, given: str = "", url: str | None = None) -> tuple[int, str, str]:
        """Run `m365-mcp call`; sign in when its standard error asks for it; return code, output and errors."""
        process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", "m365_mcp", "call", *words, "--no-browser", "--url", url or f"{self.url}/mcp"],
            cwd=self.home,
            env={**foreign_environment(), "HOME": str(self.home), "XDG_DATA_HOME": str(self.home), "COLUMNS": "80"},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stderr is not None
        assert process.stdout is not None
        process.stdin.write(given.encode())
        process.stdin.close()
        said = ""
        while line := (await asyncio.wait_for(process.stderr.readline(), PATIENCE_SECONDS)).decode():
            said += line
            if asked := re.fullmatch(r"Sign in here: (\S+)\n", line):
                await self._sign_in(asked[1])
        output = (await process.stdout.read()).decode()
        return await process.wait(), output, said

    async def _sign_in(self, address: str) -> None:
        self.sign_ins += 1
        target = await self.person.sign_in(address)
        async with httpx2.AsyncClient(verify=NO_AUTHORITY, trust_env=False) as http:
            for _ in range(100):  # the listener may be a moment later than the address
                try:
                    await http.get(target)
                except httpx2.ConnectError:
                    await asyncio.sleep(0.1)
                else:
                    return

    def kept(self) -> list[Path]:
        """Return the files of the tokens."""
        return [path for path in self.home.rglob("client/**/*") if path.is_file()]


async def test_person_signs_in_once_calls_tools_and_signs_out(
    server: Server, simulator: Simulator, tmp_path: Path
) -> None:
    """The second call needs no sign-in, only the owner can read the tokens, and afterwards the token is refused."""
    terminal = Terminal(tmp_path, server.url, simulator)
    (tmp_path / "notes.md").write_text("**Hello**")

    listed = await terminal.call()
    mail = ["to=grace@contoso.example", "subject=By hand", "body=@notes.md", "content_type=Markdown", "--json"]
    sent = await terminal.call("send_mail", *mail)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in terminal.kept()}
    tokens = [token for path in terminal.kept() for token in tokens_in(path)]
    signed_out, again = await terminal.call("--sign-out"), await terminal.call("--sign-out")

    assert "send_mail" in listed[1]
    assert (sent[0], json.loads(sent[1])["status"], terminal.sign_ins) == (0, "sent", 1), sent
    assert simulator.outbox[-1]["to"][0]["address"] == "grace@contoso.example"
    assert "<strong>Hello</strong>" in simulator.outbox[-1]["body"]["content"]
    assert modes == {0o600}
    assert (signed_out, again) == ((0, "", "Signed out.\n"), (0, "", "Nobody was signed in.\n"))
    assert tokens
    assert {await status_with(server.url, token) for token in tokens} == {401}


async def test_exit_code_says_what_happened(server: Server, simulator: Simulator, tmp_path: Path) -> None:
    """1: the tool refused, with its code; 2: wrong usage; 3: nobody answers. None shows a traceback."""
    terminal = Terminal(tmp_path, server.url, simulator)

    refused = await terminal.call("send_mail", "to=nobody", "subject=a", "body=-", given="text")
    unknown = await terminal.call("send_male")
    unwritten = await terminal.call("send_mail", "to")
    shown = await terminal.call("send_mail", "--arguments")
    away = await terminal.call(url=f"http://127.0.0.1:{free_port()}/mcp")

    assert [code for code, _, _ in (refused, unknown, unwritten, shown, away)] == [1, 2, 2, 0, 3]
    assert "invalid_argument" in refused[2] or "invalid_recipient" in refused[2]
    assert re.search(r"^  to \(array, required\)", shown[1], re.MULTILINE)
    assert not [said for _, _, said in (refused, unknown, unwritten, away) if "Traceback" in said]
    assert terminal.sign_ins == 1


def tokens_in(path: Path) -> list[str]:
    found: list[Any] = re.findall(r'"access_token": ?\\?"([^"\\]+)', path.read_text())
    return [str(one) for one in found]


async def status_with(url: str, token: str) -> int:
    async with httpx2.AsyncClient(verify=NO_AUTHORITY, trust_env=False) as http:
        answer = await http.post(f"{url}/mcp", json={}, headers={"Authorization": f"Bearer {token}"})
        return answer.status_code
