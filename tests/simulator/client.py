"""A small client for the simulator's tests: it signs people in, gets tokens, and calls Graph and the control plane."""

import asyncio
import base64
import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import jwt

from m365_simulator.app import CLIENT_ID, CLIENT_SECRET, REDIRECT_URIS, TENANT_ID
from m365_simulator.permissions import GRAPH

REDIRECT_URI = REDIRECT_URIS[0]
API_SCOPE = f"api://{CLIENT_ID}/mcp-access"
MAIL_SEND, USER_READ, MAIL_READ = f"{GRAPH}/Mail.Send", f"{GRAPH}/User.Read", f"{GRAPH}/Mail.Read"
ALL_SCOPES = f"{API_SCOPE} {MAIL_SEND} {USER_READ} {MAIL_READ} offline_access openid profile"
VERIFIER = "a-code-verifier-that-is-long-enough-for-rfc-7636"
ON_BEHALF_OF = "urn:ietf:params:oauth:grant-type:jwt-bearer"
BODY_AUTH = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
TOKEN_PATH = f"/{TENANT_ID}/oauth2/v2.0/token"
AUTHORIZE_PATH = f"/{TENANT_ID}/oauth2/v2.0/authorize"
CAE = '{"access_token":{"xms_cc":{"values":["CP1"]}}}'
"""The `claims` by which a client declares that it handles claims challenges."""
Json = dict[str, Any]


async def until(holds: Callable[[], bool | Awaitable[bool]], seconds: float = 20.0) -> None:
    """Wait until a condition holds, at most so long; for what happens elsewhere and cannot be awaited."""
    async with asyncio.timeout(seconds):
        while True:
            answer = holds()
            if answer if isinstance(answer, bool) else await answer:
                return
            await asyncio.sleep(0.01)


def challenge(verifier: str = VERIFIER) -> str:
    """Return the S256 code challenge of a verifier."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def authorization(**changes: str | None) -> dict[str, str]:
    """Return the query of a good authorization request with changes; None leaves a parameter out."""
    good: dict[str, str | None] = {
        "response_type": "code",
        "client_id": CLIENT_ID,
        "redirect_uri": REDIRECT_URI,
        "scope": ALL_SCOPES,
        "state": "the-state",
        "code_challenge": challenge(),
        "code_challenge_method": "S256",
        "prompt": "select_account",
    }
    return {name: value for name, value in (good | changes).items() if value is not None}


def flow_of(page: httpx2.Response) -> str:
    """Return the hidden flow token of a sign-in page."""
    found = re.search(r'name="flow" value="([^"]+)"', page.text)
    assert found is not None, page.text
    return found[1]


def redirect_query(response: httpx2.Response) -> dict[str, str]:
    """Return what a redirect carries to the client."""
    assert response.status_code == 302, response.text
    return dict(httpx2.URL(response.headers["location"]).params)


def read(token: str) -> Json:
    """Return the claims of a token without checking it."""
    return dict(jwt.decode(token, options={"verify_signature": False}))


def codes(response: httpx2.Response) -> list[int]:
    """Return the AADSTS codes of an error."""
    return list(response.json()["error_codes"])


def mail(to: str | tuple[str, ...] = "grace@contoso.example", /, **changes: Any) -> Json:
    """Return a good body of sendMail with changes to the message."""
    addresses = (to,) if isinstance(to, str) else to
    message = {
        "subject": "Engine",
        "body": {"contentType": "HTML", "content": "<p>It weaves.</p>"},
        "toRecipients": [{"emailAddress": {"address": address}} for address in addresses],
    }
    return {"message": message | changes}


class Client:
    """All sides of one simulator, as a client and a tester see them; `segment` is the tenant in Entra's addresses."""

    def __init__(
        self,
        microsoft: httpx2.AsyncClient,
        tester: httpx2.AsyncClient,
        uploads: httpx2.AsyncClient,
        segment: str = TENANT_ID,
    ) -> None:
        self.microsoft = microsoft
        self.tester = tester
        self.uploads = uploads
        self._segment = segment

    def at(self, segment: str) -> "Client":
        """Return a client with the same connections that uses another tenant's endpoints."""
        return Client(self.microsoft, self.tester, self.uploads, segment)

    async def authorize(self, **changes: str | None) -> httpx2.Response:
        """Ask the authorization endpoint."""
        return await self.microsoft.get(f"/{self._segment}/oauth2/v2.0/authorize", params=authorization(**changes))

    async def post_step(self, step: str, page: httpx2.Response, **fields: str) -> httpx2.Response:
        """Send the form of a sign-in page."""
        return await self.microsoft.post(f"/{self._segment}/{step}", data={"flow": flow_of(page), **fields})

    async def sign_in(self, username: str = "ada@contoso.example", **changes: str | None) -> httpx2.Response:
        """Go through all pages as a willing person, and return the redirect at the end."""
        page = await self.post_step("login", await self.authorize(**changes), username=username)
        if page.status_code == 200 and "/proof" in page.text:
            page = await self.post_step("proof", page, action="approve")
        if page.status_code == 200 and "/consent" in page.text:
            page = await self.post_step("consent", page, action="accept")
        return page

    async def code(self, username: str = "ada@contoso.example", **changes: str | None) -> str:
        """Sign in and return the authorization code."""
        return redirect_query(await self.sign_in(username, **changes))["code"]

    async def post_token(self, form: dict[str, str], **changes: Any) -> httpx2.Response:
        """Ask the token endpoint, with the secret in the body."""
        return await self.microsoft.post(f"/{self._segment}/oauth2/v2.0/token", data=BODY_AUTH | form, **changes)

    async def redeem(self, code: str, /, **changes: str | None) -> httpx2.Response:
        """Redeem a code; None leaves a field out."""
        good: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECT_URI,
            "code_verifier": VERIFIER,
            "scope": f"{API_SCOPE} offline_access",
        }
        return await self.post_token({name: value for name, value in (good | changes).items() if value is not None})

    async def refresh(self, token: str, scope: str | None = None) -> httpx2.Response:
        """Use a refresh token."""
        form = {"grant_type": "refresh_token", "refresh_token": token}
        return await self.post_token(form if scope is None else form | {"scope": scope})

    async def exchange(self, assertion: str, scope: str = f"{MAIL_SEND} {USER_READ}", **more: str) -> httpx2.Response:
        """Exchange an assertion for a Graph token."""
        form = {
            "grant_type": ON_BEHALF_OF,
            "requested_token_use": "on_behalf_of",
            "assertion": assertion,
            "scope": scope,
        }
        return await self.post_token(form | more)

    async def tokens(self, username: str = "ada@contoso.example", **changes: str | None) -> Json:
        """Sign in and return the token response for our API."""
        response = await self.redeem(await self.code(username, **changes))
        assert response.status_code == 200, response.text
        return dict(response.json())

    async def graph_headers(self, username: str = "ada@contoso.example", scope: str | None = None) -> dict[str, str]:
        """Sign in and return the headers of a Graph request."""
        assertion = (await self.tokens(username))["access_token"]
        response = await self.exchange(assertion, scope or f"{MAIL_SEND} {USER_READ} {MAIL_READ}")
        assert response.status_code == 200, response.text
        return {"Authorization": f"Bearer {response.json()['access_token']}"}

    async def mail_headers(self, username: str = "ada@contoso.example", *scopes: str) -> dict[str, str]:
        """Return the headers of a Graph request with these permissions, for everybody consented to by the admin."""
        wanted = [f"{GRAPH}/{scope}" for scope in scopes or ("Mail.ReadWrite", "Mail.Send")]
        await self.control("POST", "consents", {"admin": True, "scopes": wanted})
        return await self.graph_headers(username, " ".join(wanted))

    async def graph(self, method: str, path: str, headers: dict[str, str], **more: Any) -> httpx2.Response:
        """Ask Graph for something below `/v1.0`."""
        return await self.microsoft.request(method, f"/v1.0/{path}", headers=headers, **more)

    async def draft(self, headers: dict[str, str], **changes: Any) -> Json:
        """Create a draft and return it."""
        response = await self.graph("POST", "me/messages", headers, json=mail(**changes)["message"])
        assert response.status_code == 201, response.text
        return dict(response.json())

    async def send(self, headers: dict[str, str], body: Json | None = None) -> httpx2.Response:
        """Send a mail."""
        return await self.microsoft.post("/v1.0/me/sendMail", headers=headers, json=mail() if body is None else body)

    async def control(self, method: str, path: str, body: object = None) -> Any:
        """Use the control plane and return its JSON; the request must be a good one."""
        response = await self.tester.request(method, f"/_control/{path}", json=body)
        assert response.status_code == 200, response.text
        return response.json()

    async def outbox(self) -> list[Json]:
        """Return what counts as sent."""
        return list(await self.control("GET", "outbox"))
