"""An MCP client of which every request is made by hand, to send what some client sends."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2

from tests.e2e.person import PersonAtBrowser, direct_client

VERIFIER = "v" * 43
CALLBACK = "http://localhost:9/callback"


@dataclass
class HandClient:
    """A client that registers, signs a person in and asks for tokens.

    Attributes:
        url: address of the server.
        person: signs in.
        client_id: of the registration.
        secret: of the registration.
        answered: the query of the last redirect to the client.
    """

    url: str
    person: PersonAtBrowser
    client_id: str = ""
    secret: str = ""
    redirect_uri: str = CALLBACK
    answered: dict[str, str] = field(default_factory=dict)

    async def register(self, **metadata: Any) -> httpx2.Response:
        body = {"client_name": "Hand", "redirect_uris": [self.redirect_uri], **metadata}
        async with direct_client() as http:
            reply = await http.post(f"{self.url}/register", json=body)
        if reply.status_code == 201:
            self.client_id, self.secret = reply.json()["client_id"], reply.json().get("client_secret") or ""
        return reply

    def authorize_url(self, **changes: str) -> str:
        challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
        query = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            **changes,
        }
        return f"{self.url}/authorize?{urlencode(query)}"

    async def authorize(self, **changes: str) -> httpx2.Response:
        async with direct_client() as http:
            return await http.get(self.authorize_url(**changes))

    async def sign_in(self, **changes: str) -> str:
        """Sign in and return the code."""
        target = await self.person.sign_in(self.authorize_url(**changes))
        self.answered = dict(parse_qsl(urlsplit(target).query, keep_blank_values=True))
        return self.answered["code"]

    async def redeem(self, code: str, **changes: Any) -> httpx2.Response:
        form: dict[str, Any] = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER}
        return await self.post("/token", **{**form, "redirect_uri": self.redirect_uri, **changes})

    async def refresh(self, token: str, **changes: Any) -> httpx2.Response:
        return await self.post("/token", grant_type="refresh_token", refresh_token=token, **changes)

    async def post(
        self, path: str, *, basic: tuple[str, str] | None = None, media_type: str = "", **form: str
    ) -> httpx2.Response:
        headers = {"Content-Type": media_type or "application/x-www-form-urlencoded"}
        if basic is not None:
            headers["Authorization"] = "Basic " + base64.b64encode(":".join(basic).encode()).decode()
        else:
            form = {"client_id": self.client_id, **form}
        async with direct_client() as http:
            return await http.post(f"{self.url}{path}", content=urlencode(form), headers=headers)
