"""Attacks on the sign-in: the rows A of the acceptance suite, with the whole server in this process."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from http.cookiejar import CookieJar
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest

from m365_mcp.commands.demo.sign_in import read_form
from m365_simulator.app import CLIENT_ID
from tests.inprocess import CALLBACK, GRACE, MICROSOFT, SERVER, Person, World, running
from tests.simulator.client import VERIFIER

EVIL = "https://evil.example"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with running() as world:
        yield world


async def go(http: httpx2.AsyncClient, person: Person, address: str, until: str) -> str:
    """Open an address and fill in every form; return the first redirect whose address begins with `until`."""
    page = await http.get(address)
    while not (target := page.headers.get("Location", "")).startswith(until):
        page = await http.get(target) if target else await person._fill_in(http, page)
    return target


async def test_a1_sign_in_that_another_browser_finishes_gets_no_code(world: World) -> None:
    """The stranger allows the client; the victim who follows the link to Entra ends at 403, and so does any code."""
    stranger, victim = world.person(), world.person(GRACE)
    async with stranger.open() as one, victim.open() as other, world.http() as nobody:
        to_entra = await go(one, stranger, await world.authorization(), MICROSOFT)
        back = await go(other, victim, to_entra, SERVER)
        finished = await other.get(back)
        invented = await nobody.get(httpx2.URL(back).copy_set_param("code", "x"))
    asked = [request for request in world.network.seen if request.url.path.endswith("/token")]

    assert urlsplit(back).path == "/auth/callback"
    assert [page.status_code for page in (finished, invented)] == [403, 403]
    assert "Location" not in finished.headers
    assert asked == []


async def test_a2_consent_of_a_stranger_is_refused_in_the_browser_of_a_victim(world: World) -> None:
    """A page that posts the stranger's form from the victim's browser, with the victim's cookies, gets 403."""
    stranger, victim = world.person(), world.person(GRACE)
    async with stranger.open() as one, victim.open() as other:
        pages = [await http.get(await go(http, one_of, await world.authorization(), f"{SERVER}/consent"))
                 for http, one_of in ((one, stranger), (other, victim))]  # fmt: skip
        forms = [dict(read_fields(page)) for page in pages]
        refused = await other.post(f"{SERVER}/consent", data={**forms[0], "action": "approve"})
        foreign = await other.post(
            f"{SERVER}/consent", data={**forms[0], "action": "approve"}, headers={"Origin": EVIL}
        )
        allowed = await one.post(f"{SERVER}/consent", data={**forms[0], "action": "approve"})

    assert [answer.status_code for answer in (refused, foreign)] == [403, 403]
    assert allowed.headers["Location"].startswith(MICROSOFT)


def read_fields(page: httpx2.Response) -> dict[str, str]:
    """Return the hidden fields of the consent page."""
    return dict(read_form(str(page.url), page.text).fields)


@pytest.mark.parametrize("verifier", ["w" * 43, VERIFIER[:-1] + "!", "", "v"])
async def test_a8_wrong_verifier_burns_nothing(world: World, verifier: str) -> None:
    """Whoever has the code and not the verifier gets nothing, and the client itself can still redeem the code."""
    client_id = (await world.register()).json()["client_id"]
    code = await world.code(client_id)

    refused = [await world.redeem(client_id, code, code_verifier=verifier) for _ in range(3)]
    redeemed = await world.redeem(client_id, code)

    assert {answer.status_code for answer in refused} <= {400, 401}
    assert {answer.json()["error"] for answer in refused} <= {"invalid_grant", "invalid_request"}
    assert redeemed.status_code == 200


async def test_a9_code_of_another_client_is_refused_and_stays_its_owners(world: World) -> None:
    """Client B, which knows A's code and even its verifier, gets no token for it, nor for A's refresh token."""
    owner, other = [(await world.register()).json()["client_id"] for _ in range(2)]
    code = await world.code(owner)

    stolen = await world.redeem(other, code)
    redeemed = await world.redeem(owner, code)
    refresh = {"grant_type": "refresh_token", "refresh_token": redeemed.json()["refresh_token"]}
    refreshed = [await world.token(**refresh, client_id=client_id) for client_id in (other, owner)]

    assert (stolen.status_code, stolen.json()["error"]) == (401, "invalid_grant")
    assert [answer.status_code for answer in (redeemed, *refreshed)] == [200, 401, 200]
    assert "access_token" not in refreshed[0].text


CLAUDE = "https://claude.ai/api/mcp/auth_callback"
REDIRECTS = {
    "a10 user info": "http://localhost:80@evil.com/",
    "a10 user info before a good host": "https://evil.com@claude.ai/api/mcp/auth_callback",
    "a11 suffix": "https://claude.ai.evil.com/api/mcp/auth_callback",
    "a12 backslash in the host": "https://claude.ai\\.evil.com/api/mcp/auth_callback",
    "a12 backslash before the host": "https://evil.com\\@claude.ai/api/mcp/auth_callback",
    "a13 dot segments": f"{CLAUDE}/../../x",
    "a13 escaped dot segments": f"{CLAUDE}/%2f..%2f",
    "a14 query": f"{CLAUDE}?redirect=https://evil.com",
    "a14 fragment": f"{CLAUDE}#x",
    "a15 line feed": f"{CLAUDE}\n",
    "a15 tab": "http://localhost:3000\t/cb",
    "a16 javascript": "javascript:alert(1)",
    "a16 javascript with a path": "javascript://localhost/%0aalert(1)",
    "a16 data": "data:text/html,<script>alert(1)</script>",
    "a16 vbscript": "vbscript:msgbox(1)",
    "a16 ms-msdt": "ms-msdt:/id",
    "a16 search-ms": "search-ms:query=x",
}


@pytest.mark.parametrize("uri", REDIRECTS.values(), ids=REDIRECTS)
async def test_a10_a11_a12_a13_a14_a15_a16_redirect_uri_that_is_not_listed_is_refused(world: World, uri: str) -> None:
    """It is not registered, and a client that asks for it at /authorize is answered here and redirected nowhere."""
    registered = await world.register(redirect_uris=[uri])
    client_id = (await world.register(redirect_uris=[CLAUDE, CALLBACK])).json()["client_id"]
    async with world.http() as http:
        begun = await http.get(await world.authorization(client_id, redirect_uri=uri))

    assert (registered.status_code, registered.json()["error"]) == (400, "invalid_redirect_uri")
    assert begun.status_code == 400
    assert "Location" not in begun.headers


async def test_a16_application_of_entra_is_no_client_for_dangerous_schemes(world: World) -> None:
    """The public app id with each of them, and with a foreign page, is a page of ours."""
    uris = [uri for name, uri in REDIRECTS.items() if name.startswith("a16")]
    async with world.http() as http:
        begun = [await http.get(await world.authorization(CLIENT_ID, redirect_uri=uri)) for uri in (*uris, EVIL)]

    assert [(page.status_code, "Location" in page.headers) for page in begun] == [(400, False)] * len(begun)


@pytest.mark.parametrize("outcome", ["code", "declined here", "refused by Entra", "bad request"])
async def test_a18_every_redirect_to_the_client_names_the_issuer_once(world: World, outcome: str) -> None:
    """RFC 9207: success and every error carry `iss`, byte for byte the metadata's issuer."""
    person = world.person()
    async with person.open() as http:
        metadata = (await http.get(f"{SERVER}/.well-known/oauth-authorization-server")).json()
        if outcome == "bad request":
            target = (await http.get(await world.authorization(response_type="token"))).headers["Location"]
        elif outcome == "code":
            target = await go(http, person, await world.authorization(), CALLBACK)
        else:
            consent = await go(http, person, await world.authorization(), f"{SERVER}/consent")
            page = await http.get(consent)
            action = "deny" if outcome == "declined here" else "approve"
            answer = await http.post(f"{SERVER}/consent", data={**read_fields(page), "action": action})
            target = answer.headers["Location"]
            if outcome == "refused by Entra":
                state = dict(parse_qsl(urlsplit(target).query))["state"]
                refusal = {"error": "access_denied", "error_description": "AADSTS65004", "state": state}
                target = (await http.get(f"{SERVER}/auth/callback", params=refusal)).headers["Location"]

    assert target.startswith(f"{CALLBACK}?")
    query = parse_qsl(urlsplit(target).query)
    assert [value for name, value in query if name == "iss"] == [metadata["issuer"]]
    assert ("code" in dict(query)) is (outcome == "code")
    assert Counter(name for name, _ in query)["state"] == 1


async def test_a22_two_servers_on_one_host_finish_their_sign_ins_in_one_browser() -> None:
    """Sign-ins that are open at both at once, with the cookies of both, get a code from each."""
    neighbour, jar = "http://localhost:8001", CookieJar()
    async with running() as first, running(mcp_server_base_url=neighbour) as second:
        addresses = [await first.authorization()]
        async with httpx2.AsyncClient(transport=second.network, base_url=neighbour) as http:
            body = {"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"}
            client_id = (await http.post("/register", json=body)).json()["client_id"]
            begin = (await second.authorization(client_id, resource="")).replace(SERVER, neighbour)
            addresses.append(begin)
        people = [world.person() for world in (first, second)]
        async with AsyncExitStack() as stack:
            windows = [await stack.enter_async_context(person.open()) for person in people]
            for window in windows:
                window.cookies = jar
            addresses = [await go(*one, MICROSOFT) for one in zip(windows, people, addresses, strict=True)]
            kept = [cookie.name for cookie in jar if "MCP_CONSENT" in cookie.name]
            addresses = [await go(*one, CALLBACK) for one in zip(windows, people, addresses, strict=True)]

    assert all("code" in dict(parse_qsl(urlsplit(target).query)) for target in addresses)
    assert len({name.partition("_MCP_")[0] for name in kept}) == 2  # one jar has the cookies of both


SAID = "AADSTS70000: c4n4ry Trace ID: 11111111-2222-4333-8444-555555555555 https://login.microsoftonline.com/c4n4ry"
ANSWERS = {
    "400 invalid_grant": {"status": 400, "body": {"error": "invalid_grant", "error_description": SAID}},
    "400 of an unknown kind": {"status": 400, "body": {"error": "c4n4ry", "error_description": SAID}},
    "500": {"status": 500, "body": {"error": "server_error", "error_description": SAID}},
    "500 page": {"status": 500, "html": True},
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
async def test_a23_refusal_of_entra_at_the_callback_shows_nothing_of_its_text(
    world: World, answer: dict[str, object]
) -> None:
    """The person, or the client, reads our words and a reference; Entra's text, trace and addresses stay here."""
    person = world.person()
    async with person.open() as http:
        back = await go(http, person, await world.authorization(), f"{SERVER}/auth/callback")
        await world.fault({"path": "*/oauth2/v2.0/token"}, answer, times=9)
        ended = await http.get(back)
    told = ended.text + ended.headers.get("Location", "")

    assert ended.status_code >= 400 or "error=" in told
    assert "code=" not in ended.headers.get("Location", "")
    for secret in ("c4n4ry", "Trace", "microsoftonline", "<title>Service", "11111111-2222"):
        assert secret not in told, secret
