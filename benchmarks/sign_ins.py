"""Signs people in at a contender through its own OAuth flow, as an MCP client and a browser do."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2

from benchmarks.contender import HANDSHAKE
from m365_mcp.commands.demo.sign_in import read_form
from m365_simulator.permissions import GRAPH
from tests.e2e.programs import Simulator
from tests.simulator.client import Client
from tests.trust import NO_AUTHORITY, trusting

AT_ONCE = 8
CALLBACK = "http://localhost:33418/callback"  # nothing listens there: the browser reads the redirect itself
GRAPH_SCOPES = [f"{GRAPH}/{scope}" for scope in ("Mail.Send", "User.Read")]
TOKEN_SECONDS = 24 * 3600  # so that no token of Entra's is due for renewal during a run


@dataclass(frozen=True)
class Tokens:
    """What a client holds for a person; `session` is the id of an MCP session, if the server gave one."""

    person: str
    access: str
    refresh: str = ""
    client_id: str = ""
    session: str = ""


def add_people(simulator: Simulator, count: int) -> list[str]:
    """Add so many people, consent for all of them, and return their addresses."""
    simulator.control("PATCH", "app", expires_in=TOKEN_SECONDS)
    simulator.control("POST", "consents", scopes=GRAPH_SCOPES, admin=True)
    with httpx2.Client(base_url=simulator.ready["control"], trust_env=False) as http:
        replies = [http.post("/_control/people", json={"name": f"person{number:04}"}) for number in range(count)]
    return [str(reply.raise_for_status().json()["user_principal_name"]) for reply in replies]


async def sign_in_all(
    url: str, ca_file: str, people: Sequence[str], on_each: Callable[[], object] = lambda: None
) -> list[Tokens]:
    """Sign all of them in with one client, several at a time, and return their tokens in the same order."""
    async with _browser(ca_file) as http:
        client_id = await _register(http, url)
    found: dict[str, Tokens] = {}
    left = list(reversed(people))

    async def worker() -> None:
        async with _browser(ca_file) as http:
            while left:
                person = left.pop()
                http.cookies.clear()  # the next person's browser
                found[person] = await _sign_in(http, url, client_id, person)
                on_each()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(AT_ONCE):
            tasks.create_task(worker())
    return [found[person] for person in people]


async def graph_tokens(simulator: Simulator, people: Sequence[str]) -> list[Tokens]:
    """Return tokens for Graph itself, for contenders that pass on what they get."""
    trust = trusting(simulator.ready["ca_file"])
    found = []
    for person in people:
        async with httpx2.AsyncClient(base_url=simulator.ready["authority"], verify=trust, trust_env=False) as http:
            headers = await Client(http, http, http).graph_headers(person, " ".join(GRAPH_SCOPES))
        found.append(Tokens(person, headers["Authorization"].removeprefix("Bearer ")))
    return found


async def begin_sessions(url: str, people: Sequence[Tokens]) -> list[Tokens]:
    """Go through the handshake of revision 2025-11-25 for each, and return them with the session's id, if any."""
    hello = {"protocolVersion": HANDSHAKE, "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}
    found = []
    async with httpx2.AsyncClient(verify=NO_AUTHORITY, trust_env=False, timeout=60) as http:
        for person in people:
            headers = {"Accept": "application/json, text/event-stream", "Authorization": f"Bearer {person.access}"}
            request = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
            reply = (await http.post(url, json=request, headers=headers)).raise_for_status()
            session = reply.headers.get("Mcp-Session-Id", "")
            headers |= {"MCP-Protocol-Version": HANDSHAKE} | ({"Mcp-Session-Id": session} if session else {})
            initialized = {"jsonrpc": "2.0", "method": "notifications/initialized"}
            (await http.post(url, json=initialized, headers=headers)).raise_for_status()
            found.append(replace(person, session=session))
    return found


def _browser(ca_file: str) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(verify=trusting(ca_file), trust_env=False, timeout=60)


async def _register(http: httpx2.AsyncClient, url: str) -> str:
    registration = {
        "client_name": "Benchmark",
        "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "none",
    }
    reply = await http.post(f"{url}/register", json=registration)
    return str(reply.raise_for_status().json()["client_id"])


async def _sign_in(http: httpx2.AsyncClient, url: str, client_id: str, person: str) -> Tokens:
    verifier = secrets.token_urlsafe(48)
    code = await _code(http, url, client_id, person, verifier)
    form = {"grant_type": "authorization_code", "code": code, "code_verifier": verifier, "redirect_uri": CALLBACK}
    reply = await http.post(f"{url}/token", data={**form, "client_id": client_id})
    tokens: dict[str, Any] = reply.raise_for_status().json()
    return Tokens(person, tokens["access_token"], tokens["refresh_token"], client_id)


async def _code(http: httpx2.AsyncClient, url: str, client_id: str, person: str, verifier: str) -> str:
    """Follow the pages until the browser is sent to the client's own address."""
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    query = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": CALLBACK,
        "scope": "mcp-access",
        "state": secrets.token_urlsafe(16),
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    page = await http.get(f"{url}/authorize?{urlencode(query)}")
    while not (target := page.headers.get("Location", "")).startswith(CALLBACK):
        page = await http.get(target) if target else await _fill_in(http, page, person)
    return parse_qs(urlsplit(target).query)["code"][0]


async def _fill_in(http: httpx2.AsyncClient, page: httpx2.Response, person: str) -> httpx2.Response:
    form = read_form(str(page.raise_for_status().url), page.text)
    known = {("action", "approve"), ("action", "accept"), ("username", person)}
    name, value = next((button for button in form.buttons if button in known), ("username", person))
    return await http.post(form.action, data={**form.fields, name: value})
