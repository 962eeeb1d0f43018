"""The ten steps of the sign-in, as an MCP client and a browser take them, over real HTTP.

Yields each step as it happens.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import httpx2

from m365_mcp.commands.demo.processes import Simulator
from m365_mcp.errors import InternalError

CLIENT_CALLBACK = "http://127.0.0.1:33418/callback"  # nothing listens there; the client reads the redirect


@dataclass(frozen=True)
class Step:
    """One step that has been taken.

    Attributes:
        number: number in the diagram of docs/architecture.md, for example `6-7`.
        title: purpose of the step.
        asked: the request, shortened.
        answered: the response, line by line.
    """

    number: str
    title: str
    asked: str
    answered: tuple[str, ...]


class SignIn:
    """A client without credentials that ends with an access token for `server_url`.

    Args:
        server_url: public URL of the server.
        simulator: the simulator of Microsoft that the server uses.
        person: address of the sample person who signs in.
    """

    def __init__(self, server_url: str, simulator: Simulator, person: str) -> None:
        self._server = server_url
        self._person = person
        self._verifier = secrets.token_urlsafe(48)
        trust = ssl.create_default_context(cafile=simulator.ca_file)
        self._http = httpx2.AsyncClient(verify=trust, trust_env=False, timeout=30)
        self.access_token = ""

    async def steps(self) -> AsyncIterator[Step]:
        """Take the steps one by one. Raises InternalError when a step gets an unexpected response."""
        async with self._http:
            metadata_url, step = await self._challenge()
            yield step
            resource, step = await self._resource_metadata(metadata_url)
            yield step
            server, step = await self._server_metadata(resource)
            yield step
            client_id, step = await self._register(server)
            yield step
            entra_url, step = await self._authorize(server, client_id, resource)
            yield step
            callback_url, step = await self._sign_in(entra_url)
            yield step
            code, step = await self._callback(callback_url)
            yield step
            yield await self._token(server, client_id, code, resource)

    async def _challenge(self) -> tuple[str, Step]:
        url = f"{self._server}/mcp"
        reply = await self._http.post(url, json={})
        challenge = reply.headers.get("WWW-Authenticate", "")
        metadata_url = challenge.partition('resource_metadata="')[2].partition('"')[0]
        _expect(reply, 401, bool(metadata_url))
        answer = (f"401, WWW-Authenticate names {metadata_url}",)
        return metadata_url, Step("1", "Ask without a token", f"POST {url}", answer)

    async def _resource_metadata(self, url: str) -> tuple[dict[str, Any], Step]:
        reply = await self._http.get(url)
        _expect(reply, 200)
        found: dict[str, Any] = reply.json()
        answer = (
            f"authorization_servers: {', '.join(found['authorization_servers'])}",
            f"scopes_supported: {', '.join(found['scopes_supported'])}",
        )
        return found, Step("2", "Read the protected resource metadata", f"GET {url}", answer)

    async def _server_metadata(self, resource: dict[str, Any]) -> tuple[dict[str, Any], Step]:
        url = f"{resource['authorization_servers'][0].rstrip('/')}/.well-known/oauth-authorization-server"
        reply = await self._http.get(url)
        _expect(reply, 200)
        found: dict[str, Any] = reply.json()
        names = ("registration_endpoint", "authorization_endpoint", "token_endpoint")
        answer = tuple(f"{name}: {found[name]}" for name in names)
        return found, Step("3", "Read the authorization server metadata", f"GET {url}", answer)

    async def _register(self, server: dict[str, Any]) -> tuple[str, Step]:
        url = server["registration_endpoint"]
        registration = {
            "client_name": "Demo client",
            "redirect_uris": [CLIENT_CALLBACK],
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "none",
        }
        reply = await self._http.post(url, json=registration)
        _expect(reply, 201)
        client_id: str = reply.json()["client_id"]
        step = Step("4", "Register this client (DCR)", f"POST {url}", (f"201, client_id: {client_id}",))
        return client_id, step

    async def _authorize(self, server: dict[str, Any], client_id: str, resource: dict[str, Any]) -> tuple[str, Step]:
        digest = hashlib.sha256(self._verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": CLIENT_CALLBACK,
            "scope": " ".join(resource["scopes_supported"]),
            "resource": resource["resource"],
            "state": secrets.token_urlsafe(16),
            "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
            "code_challenge_method": "S256",
        }
        url = server["authorization_endpoint"]
        page = await self._http.get(f"{url}?{urlencode(query)}", follow_redirects=True)
        _expect(page, 200)
        approved = await self._submit(page, "action", "approve")
        _expect(approved, 302)
        entra_url = approved.headers["Location"]
        answer = ("302 to our consent page; the person approves", f"302 to Entra ID: {_short(entra_url)}")
        return entra_url, Step("5", "Start the sign-in with PKCE (S256)", f"GET {url}?…", answer)

    async def _sign_in(self, entra_url: str) -> tuple[str, Step]:
        page = await self._http.get(entra_url)
        _expect(page, 200)
        reply = await self._submit(page, "username", self._person)
        answer = [f"{self._person} chooses the account"]
        if reply.status_code == 200:
            scopes = parse_qs(urlsplit(entra_url).query)["scope"][0].split()
            answer.append(f"consents to {', '.join(_short_scope(scope) for scope in scopes)}")
            reply = await self._submit(reply, "action", "accept")
        _expect(reply, 302)
        callback_url = reply.headers["Location"]
        answer.append(f"302 back to {_short(callback_url)}")
        return callback_url, Step("6-7", "Sign in at Entra ID and consent", f"GET {_short(entra_url)}", tuple(answer))

    async def _callback(self, url: str) -> tuple[str, Step]:
        reply = await self._http.get(url)
        _expect(reply, 302)
        target = reply.headers["Location"]
        code = parse_qs(urlsplit(target).query)["code"][0]
        answer = ("the server redeems Entra's code for tokens and keeps them encrypted", f"302 to {_short(target)}")
        return code, Step("8", "Come back to the server", f"GET {_short(url)}", answer)

    async def _token(self, server: dict[str, Any], client_id: str, code: str, resource: dict[str, Any]) -> Step:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CLIENT_CALLBACK,
            "client_id": client_id,
            "code_verifier": self._verifier,
            "resource": resource["resource"],
        }
        reply = await self._http.post(server["token_endpoint"], data=form)
        _expect(reply, 200)
        found = reply.json()
        self.access_token = found["access_token"]
        hours = found["expires_in"] // 3600
        answer = (f"access token for {hours} hours, scope {found['scope']}, and a refresh token",)
        return Step("9", "Redeem our code", f"POST {server['token_endpoint']}", answer)

    async def _submit(self, page: httpx2.Response, name: str, value: str) -> httpx2.Response:
        form = read_form(str(page.url), page.text)
        return await self._http.post(form.action, data={**form.fields, name: value})


def _expect(reply: httpx2.Response, status: int, also: bool = True) -> None:
    if reply.status_code != status or not also:
        raise InternalError(
            f"{reply.request.method} {_short(str(reply.url))} answered {reply.status_code}, not {status}."
        )


def _short(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}" + ("?…" if parts.query else "")


def _short_scope(scope: str) -> str:
    return scope.rpartition("/")[2]


@dataclass
class Form:
    """A form: where it goes, the fields it carries, and its buttons."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str]] = field(default_factory=list)


class _Reader(HTMLParser):
    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self.form: Form | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form" and self.form is None:
            self.form = Form(urljoin(self._url, found.get("action", "")))
        elif self.form is not None and tag == "input" and found.get("type") == "hidden":
            self.form.fields[found["name"]] = found.get("value", "")
        elif self.form is not None and tag == "button" and "name" in found:
            self.form.buttons.append((found["name"], found.get("value", "")))


def read_form(url: str, html: str) -> Form:
    """Return the first form of the page at `url`. Raises ValueError when there is none."""
    reader = _Reader(url)
    reader.feed(html)
    if reader.form is None:
        raise ValueError("the page has no form")
    return reader.form
