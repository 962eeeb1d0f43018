"""A running `m365-mcp doctor --sign-in`, and the person who signs in for it."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from pathlib import Path

import httpx2

from m365_mcp.commands.demo.sign_in import read_form
from tests.e2e.person import PersonAtBrowser, SignInFailed
from tests.e2e.preloaded import PreloadedCommand
from tests.e2e.programs import PATIENCE_SECONDS
from tests.e2e.test_commands import environment_with

ADDRESS = re.compile(r"^(http://\S+/authorize\?\S+)$", re.MULTILINE)
BACK = re.compile(r'<a class="button" href="([^"]+)"')


class Person(PersonAtBrowser):
    """Presses Cancel where Microsoft's page has no other button."""

    async def _fill_in(self, http: httpx2.AsyncClient, page: httpx2.Response) -> httpx2.Response:
        form = read_form(str(page.url), page.text) if page.status_code == 200 else None
        if form is not None and [value for _, value in form.buttons] == ["cancel"]:
            return await http.post(form.action, data={**form.fields, "action": "cancel"})
        return await super()._fill_in(http, page)


class Doctor:
    """A running doctor that waits for a person."""

    def __init__(self, folder: Path, environment: dict[str, str], *arguments: str) -> None:
        self.out, self.err = folder / "doctor.out", folder / "doctor.err"
        for file in (self.out, self.err):
            file.write_text("")
        command = ["doctor", "--sign-in", "--no-browser", *arguments]
        self.process = PreloadedCommand(command, environment_with(**environment), folder, (self.out, self.err))

    async def address(self) -> str | None:
        """Return where the person signs in; None when the doctor ends without asking."""
        await asyncio.to_thread(self.wait_for, "/authorize?")
        found = ADDRESS.search(self.err.read_text())
        return found[1] if found else None

    def wait_for(self, text: str) -> None:
        """Return when the doctor has told the person a line with this text, or has ended."""
        while self.process.poll() is None and not any(
            text in line for line in self.err.read_text().splitlines(keepends=True) if line.endswith("\n")
        ):
            time.sleep(0.05)

    async def finished(self) -> str:
        """Return what the ended doctor has printed."""
        await asyncio.to_thread(self.process.wait, PATIENCE_SECONDS)
        assert "Traceback" not in self.err.read_text() + self.out.read_text()
        return self.out.read_text()


async def come_back(person: PersonAtBrowser, address: str, before: Callable[[], object]) -> None:
    """Sign in and go back to the doctor; on an error page of the server, by its button."""
    try:
        target = await person.sign_in(address)
    except SignInFailed as failure:
        target = BACK.findall(failure.page.text)[0].replace("&amp;", "&")
    before()
    async with person.open() as browser:
        assert (await browser.get(target)).status_code == 200
