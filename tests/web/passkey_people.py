"""A server that asks for passkeys, and people at their browsers who have them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx2

from tests.inprocess import ADA, SERVER
from tests.web.authenticator import Authenticator
from tests.web.test_approvals import Waiting, form_of, reach, waiting

PASSKEYS = f"{SERVER}/approvals/passkeys"


@dataclass
class AtBrowser:
    """A person at a browser, with its cookies."""

    one: Waiting
    http: httpx2.AsyncClient
    username: str = ADA

    async def enrol(self, authenticator: Authenticator, name: str = "Phone") -> httpx2.Response:
        """Sign in anew and add a passkey."""
        form = form_of(await reach(self.http, PASSKEYS, self.username))
        asked = await self.fetch(PASSKEYS, form)
        assert asked.status_code == 200, asked.text
        form = {"token": form["token"], "name": name, "answer": authenticator.create(asked.json())}
        return await self.http.post(PASSKEYS, data={**form, "decision": "add"})

    async def form(self, url: str) -> dict[str, str]:
        """Open the page of a mail, and return what its form carries."""
        return form_of(await reach(self.http, url, self.username))

    async def asked(self, url: str, form: dict[str, str]) -> dict[str, Any]:
        """Return what the passkey is asked to sign."""
        response = await self.fetch(url, form)
        assert response.status_code == 200, response.text
        return dict(response.json())

    async def fetch(self, url: str, form: dict[str, str]) -> httpx2.Response:
        """Ask for a challenge, as the script of the page does."""
        return await self.http.post(f"{url}/challenge", data=form, headers={"Accept": "*/*"})

    async def press(self, url: str, form: dict[str, str], answer: str) -> httpx2.Response:
        """Press Send with an answer."""
        return await self.http.post(url, data={**form, "decision": "send", "answer": answer})

    async def approve(self, url: str, authenticator: Authenticator) -> httpx2.Response:
        """Send a mail as a person does: one look, one gesture."""
        form = await self.form(url)
        return await self.press(url, form, authenticator.get(await self.asked(url, form)))


@asynccontextmanager
async def passkeys_needed(**changes: Any) -> AsyncIterator[AtBrowser]:
    async with waiting(m365_approval_proof="passkey", **changes) as one, one.browser() as http:
        yield AtBrowser(one, http)


def age_sign_ins(one: Waiting, seconds: float = 3600.0) -> None:
    """Let every session that browsers have with Microsoft be so much older."""
    sessions = one.world.simulator.tenant.sign_ins.sessions
    sessions.update({key: replace(session, at=session.at - seconds) for key, session in sessions.items()})
