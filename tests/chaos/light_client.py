"""A cheap MCP client at the level of HTTP that follows the rules of a good one, and notes every answer.

On 401 it refreshes once; only when the refresh says that the session is over does it sign in again, which counts as
forced. On 503 it keeps its tokens and leaves the rest to whoever calls it again.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2

from tests.chaos.balancer import RoundRobin
from tests.chaos.tally import CUT, NO_ANSWER, PATIENCE_SECONDS, REFUSED, Answer, Tally
from tests.e2e.person import PersonAtBrowser, SignInFailed

CALLBACK = "http://localhost:33418/callback"  # nothing listens there: the browser reads the redirect itself
Call = tuple[str, dict[str, Any]]
PROFILE: Call = ("tools/call", {"name": "get_my_profile", "arguments": {}})
LIST: Call = ("tools/list", {})
HEADERS = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
Refreshed = Literal["done", "later", "ended"]


class TryLater(Exception):
    """The server said so, or did not answer; nothing is lost."""


class BehindBalancer(PersonAtBrowser):
    """A person whose browser reaches the public URL through the balancer, and Microsoft directly."""

    def __init__(self, ca_file: str, username: str, public_url: str, balancer: RoundRobin) -> None:
        super().__init__(ca_file, username)
        self._mounts = {public_url: balancer}

    def open(self) -> httpx2.AsyncClient:
        timeout = PATIENCE_SECONDS
        return httpx2.AsyncClient(
            mounts=self._mounts, verify=self._trust, cookies=self._cookies, trust_env=False, timeout=timeout
        )


@dataclass
class LightClient:
    """One person's client.

    Attributes:
        http: reaches the public URL; shared by many clients.
        public_url: the server's address.
        person: who signs in.
        tally: where answers are noted.
    """

    http: httpx2.AsyncClient
    public_url: str
    person: PersonAtBrowser
    tally: Tally
    client_id: str = ""
    access_token: str = ""
    refresh_token: str = ""
    last_good: float = 0.0
    requests: int = 0

    def at(self, port: int) -> LightClient:
        """Return this client, which from now on reaches one replica only."""
        self.http = httpx2.AsyncClient(transport=RoundRobin([port]), trust_env=False, timeout=30)
        return self

    async def sign_in(self) -> None:
        """Register if need be, sign in and redeem the code. Raises TryLater and keeps what was reached."""
        if not self.client_id:
            await self.register()
        verifier = secrets.token_urlsafe(48)
        code = await self.code(verifier)
        reply = await self.token(self.code_form(code, verifier))
        if reply is None or reply.status_code != 200:
            raise TryLater
        self.take(reply)

    async def code(self, verifier: str) -> str:
        """Go through the browser and return the authorization code."""
        started = time.monotonic()
        try:
            target = await self.person.sign_in(self.authorize_url(verifier))
        except SignInFailed as failure:
            if failure.page.status_code != 400 or "is not registered" not in failure.page.text:
                self._note("/authorize", started, failure.page)
                raise TryLater from failure
            await self.register()  # the store forgot this client: it registers anew and goes on
            target = await self.person.sign_in(self.authorize_url(verifier))
        except (httpx2.HTTPError, TimeoutError) as problem:
            self._note("/authorize", started, _in_words(problem))
            raise TryLater from problem
        return parse_qs(urlsplit(target).query)["code"][0]

    def authorize_url(self, verifier: str) -> str:
        """Return where a sign-in begins."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        query = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": CALLBACK,
            "scope": "mcp-access",
            "state": secrets.token_urlsafe(16),
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{self.public_url}/authorize?{urlencode(query)}"

    def code_form(self, code: str, verifier: str) -> dict[str, str]:
        """Return what redeems the code."""
        form = {"grant_type": "authorization_code", "code": code, "code_verifier": verifier}
        return {**form, "client_id": self.client_id, "redirect_uri": CALLBACK}

    @property
    def refresh_form(self) -> dict[str, str]:
        """What renews the tokens at hand."""
        form = {"grant_type": "refresh_token", "refresh_token": self.refresh_token}
        return {**form, "client_id": self.client_id}

    async def register(self) -> None:
        """Register (DCR) and remember the id. Raises TryLater."""
        registration = {
            "client_name": "Light client",
            "redirect_uris": [CALLBACK],
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "none",
        }
        reply = await self._post("/register", json=registration)
        if reply is None or reply.status_code != 201:
            raise TryLater
        self.client_id = reply.json()["client_id"]

    async def token(self, form: Mapping[str, str]) -> httpx2.Response | None:
        """Ask the token endpoint; None when no answer came."""
        return await self._post("/token", data=form)

    def take(self, reply: httpx2.Response) -> None:
        """Keep the tokens of a reply."""
        tokens = reply.json()
        self.access_token, self.refresh_token = tokens["access_token"], tokens["refresh_token"]

    async def refresh(self) -> Refreshed:
        """Renew the tokens; what they are is kept unless the server says that the session is over."""
        reply = await self.token(self.refresh_form)
        if reply is not None and reply.status_code == 200:
            self.take(reply)
            return "done"
        if reply is None or reply.status_code >= 500:
            return "later"
        if reply.json().get("error") == "invalid_client":
            self.client_id = ""
        return "ended"

    async def call(self, request: Call = PROFILE) -> bool:
        """Carry out one request by the rules of a good client; return whether it succeeded."""
        if not self.access_token:
            await self._sign_in_again()
        reply = await self.ask(request)
        if reply is not None and reply.status_code == 401:
            reply = await self.ask(request) if await self.renew() else None
        good = reply is not None and reply.status_code == 200 and not self.tally.answers[-1].code
        self.last_good = time.monotonic() if good else self.last_good
        return good

    async def renew(self) -> bool:
        """Refresh, or sign in again if the session is over; return whether there are new tokens."""
        refreshed = await self.refresh()
        if refreshed == "ended":
            self.tally.forced_sign_ins.append(self.person.username)
            self.access_token = self.refresh_token = ""
            await self._sign_in_again()
        return refreshed != "later"

    async def _sign_in_again(self) -> None:
        while not self.access_token:
            try:
                await self.sign_in()
            except TryLater:
                await asyncio.sleep(0.5)  # a person's pause before the next try

    async def ask(self, request: Call = PROFILE) -> httpx2.Response | None:
        """POST one request to /mcp with the token at hand; None when no answer came."""
        body = {"jsonrpc": "2.0", "id": 1, "method": request[0], "params": request[1]}
        headers = {**HEADERS, "Authorization": f"Bearer {self.access_token}"}
        return await self._post("/mcp", json=body, headers=headers)

    async def _post(self, path: str, **what: Any) -> httpx2.Response | None:
        started, tally = time.monotonic(), self.tally
        tally.under_way[self.person.username, path] += 1
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                reply = await self.http.post(self.public_url + path, **what)
        except (httpx2.HTTPError, TimeoutError) as problem:
            self._note(path, started, _in_words(problem))
            return None
        finally:
            if self.tally is not tally:  # a new phase has begun meanwhile, and Entra may have been asked in either
                self.tally.under_way[self.person.username, path] += 1
        self._note(path, started, reply)
        return reply

    def _note(self, path: str, started: float, outcome: httpx2.Response | str) -> None:
        seconds = time.monotonic() - started
        self.requests += 1
        if isinstance(outcome, str):
            self.tally.answers.append(Answer(path, outcome, seconds, who=self.person.username))
            return
        waits = "Retry-After" in outcome.headers
        code = self._what_is_wrong(outcome) if path == "/mcp" and outcome.status_code == 200 else ""
        self.tally.answers.append(Answer(path, outcome.status_code, seconds, waits, code, self.person.username))

    def _what_is_wrong(self, reply: httpx2.Response) -> str:
        """Return the code of a tool's error, or what else is not as it should be in a 200."""
        body = reply.json()
        if "error" in body:
            return f"JSON-RPC {body['error']['code']}"
        result = body["result"]
        if result.get("isError"):
            return str(result["content"][0]["text"].partition(":")[0])
        name = result.get("structuredContent", {}).get("userPrincipalName", self.person.username)
        return "" if name == self.person.username else "wrong_person"


def _in_words(problem: Exception) -> str:
    if isinstance(problem, httpx2.ConnectError):
        return REFUSED
    return NO_ANSWER if isinstance(problem, httpx2.TimeoutException | TimeoutError) else CUT
