"""The sign-in as a client, a browser and Entra see it: the whole server and the simulator, in this process."""

from __future__ import annotations

import asyncio
import hashlib
from urllib.parse import parse_qsl, urlsplit

import httpx2
import jwt
import pytest
from mcp.server.auth.provider import AuthorizationCode, TokenError
from mcp.shared.auth import OAuthClientInformationFull
from pydantic import AnyUrl

from m365_mcp.auth.callbacks import MAX_TRIES
from m365_mcp.auth.registrations import StrictClient
from m365_mcp.auth.session_endings import BY_OPERATOR
from m365_mcp.auth.sessions import session_id_of
from m365_mcp.person import PersonId
from m365_mcp.policy.memberships import NOTHING_TOLD
from m365_simulator.app import CLIENT_ID, TENANT_ID
from tests.e2e.person import SignInFailed
from tests.inprocess import ADA, SERVER, World, running

CLIENTS = "mcp-oauth-proxy-clients"
CLAIMS = '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}'
GRAPH = "https://graph.microsoft.com"


def queries(world: World, path: str) -> list[dict[str, str]]:
    """Return the query of every request of the browser to this path at Entra."""
    return [dict(request.url.params) for request in world.network.seen if request.url.path.endswith(path)]


def forms(world: World) -> list[dict[str, str]]:
    """Return every form that the server sent to Entra's token endpoint."""
    sent = [request for request in world.network.seen if request.url.path.endswith("/token")]
    return [dict(parse_qsl(request.content.decode())) for request in sent]


async def client_of(world: World, client_id: str) -> OAuthClientInformationFull:
    client = await world.container.auth.get_client(client_id)
    assert client is not None
    return client


async def test_entra_is_asked_for_what_the_server_needs() -> None:
    """The browser goes to the tenant's endpoint with our scope, Graph's, and those for a refresh token and a name."""
    async with running(m365_send_mode="direct") as world:
        await world.sign_in()

        [query] = queries(world, "/authorize")
        [form] = forms(world)
    assert query["client_id"] == CLIENT_ID
    assert query["redirect_uri"] == f"{SERVER}/auth/callback"
    assert query["response_type"] == "code"
    assert query["prompt"] == "select_account"
    assert query["scope"].split() == [
        f"api://{CLIENT_ID}/mcp-access",
        f"{GRAPH}/Mail.Send",
        f"{GRAPH}/User.Read",
        "openid",
        "profile",
        "offline_access",
    ]
    assert form["grant_type"] == "authorization_code"
    assert form["redirect_uri"] == f"{SERVER}/auth/callback"
    assert form["scope"].split() == [f"api://{CLIENT_ID}/mcp-access", "openid", "profile", "offline_access"]
    assert len(form["code_verifier"]) >= 43


async def test_session_and_tokens_say_who_signed_in_with_what() -> None:
    """The first tokens of a client: for two hours, for our endpoint; the session names person and client."""
    async with running() as world:
        client_id = (await world.register()).json()["client_id"]
        code = await world.code(client_id)
        found = (await world.redeem(client_id, code)).json()
        [session] = [one async for one in world.container.sign_ins.sessions.all()]
        access = await world.container.auth.load_access_token(found["access_token"])
        claims = jwt.decode(found["access_token"], options={"verify_signature": False})
        upstream = jwt.decode(session.upstream.access_token, options={"verify_signature": False})

    assert (found["token_type"], found["expires_in"], found["scope"]) == ("Bearer", 7200, "mcp-access")
    assert (claims["iss"], claims["aud"]) == (f"{SERVER}/", f"{SERVER}/mcp")
    assert session.id == session_id_of(code)
    assert (session.client_id, session.client_name) == (client_id, "Claude")
    assert (session.scopes, session.sign_in_name) == (("mcp-access",), ADA)
    assert session.person == PersonId(TENANT_ID, upstream["oid"])
    assert session.subject == upstream["sub"] != upstream["oid"]
    assert session.upstream.refresh_token
    assert session.upstream.expires_at == pytest.approx(upstream["exp"], abs=60)
    assert access is not None
    assert (access.token, access.client_id, access.scopes) == (session.upstream.access_token, client_id, ["mcp-access"])
    assert (access.expires_at, access.subject) == (claims["exp"], session.subject)
    assert access.claims == {
        "tid": TENANT_ID,
        "oid": session.object_id,
        "sub": session.subject,
        "session": session.id,
        "client_name": "Claude",
        "preferred_username": ADA,
        "groups": NOTHING_TOLD,
    }


async def test_client_without_a_name_has_an_empty_one() -> None:
    """A client need not say what it is called."""
    async with running() as world:
        client_id = (await world.register(client_name=None)).json()["client_id"]
        await world.redeem(client_id, await world.code(client_id))

        assert [one.client_name async for one in world.container.sign_ins.sessions.all()] == [""]


async def test_refused_redirect_uri_is_named() -> None:
    """A client that would be sent to a foreign address is not registered, and hears which setting decides."""
    async with running() as world:
        response = await world.register(redirect_uris=["https://evil.example/callback"])

    assert response.status_code == 400
    assert response.json()["error"] == "invalid_redirect_uri"
    assert "https://evil.example/callback is not on this server's list" in response.json()["error_description"]


async def test_h3_registration_that_nobody_uses_ends_after_a_week() -> None:
    """Looking a client up, as every request to /authorize does, prolongs nothing."""
    async with running() as world:
        client_id = (await world.register()).json()["client_id"]
        await client_of(world, client_id)
        _, seconds = await world.container.sign_ins.flows.ttl(client_id, collection=CLIENTS)

    assert seconds == pytest.approx(7 * 24 * 3600, abs=60)


NINETY_DAYS = 90 * 24 * 3600


@pytest.mark.parametrize(
    ("left", "renewed"),
    [(None, True), (NINETY_DAYS / 2 - 60, True), (NINETY_DAYS / 2 + 60, False)],
    ids=["no end", "less than half", "more than half"],
)
@pytest.mark.parametrize("use", ["sign-in", "refresh"])
async def test_registration_lives_while_it_is_used(use: str, left: float | None, renewed: bool) -> None:
    """A registration lasts ninety days after a sign-in, and again ninety once half of them have passed."""
    async with running() as world:
        client_id = (await world.register()).json()["client_id"]
        flows, code = world.container.sign_ins.flows, await world.code(client_id)
        tokens = (await world.redeem(client_id, code)).json() if use == "refresh" else {}
        value, _ = await flows.ttl(client_id, collection=CLIENTS)
        assert value is not None
        await flows.put(client_id, value, collection=CLIENTS, ttl=left)
        if use == "refresh":
            form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": client_id}
            assert (await world.token(**form)).status_code == 200
        else:
            assert (await world.redeem(client_id, code)).status_code == 200
        kept, seconds = await flows.ttl(client_id, collection=CLIENTS)

    assert kept == value
    assert seconds == pytest.approx(NINETY_DAYS if renewed else left, abs=60)


async def test_client_that_is_not_registered_is_none() -> None:
    """An unknown id is no client, and nothing is stored for it."""
    async with running() as world:
        found = await world.container.auth.get_client("nobody")

        assert found is None
        assert await world.container.sign_ins.flows.get("nobody", collection=CLIENTS) is None


async def test_registered_client_keeps_to_its_own_redirect_uris() -> None:
    """A client gets what it registered, with any port on loopback, and no other address that is allowed here."""
    async with running() as world:
        client = await client_of(world, (await world.register()).json()["client_id"])
        other_port = AnyUrl("http://localhost:9/callback")
        page = {"redirect_uri": "http://localhost:33418/other"}
        with pytest.raises(SignInFailed) as failure:
            await world.person().sign_in(await world.authorization(str(client.client_id), **page))

    assert isinstance(client, StrictClient)
    assert client.client_name == "Claude"
    assert client.validate_redirect_uri(other_port) == other_port
    assert failure.value.page.status_code == 400


@pytest.mark.parametrize(
    ("resource", "ours"),
    [
        ("http://localhost:8000/mcp", True),
        ("http://localhost:8000/mcp/", True),
        ("HTTP://LOCALHOST:8000/mcp", True),
        ("http://localhost:8000/mcp?tenant=x", True),
        ("http://localhost:8000/mcp#part", False),
        ("http://localhost:8000/MCP", False),
        ("http://localhost:8000/", False),
        ("https://localhost:8000/mcp", False),
        ("http://localhost:8001/mcp", False),
        ("", False),
    ],
)
async def test_resource_is_compared_as_an_address(resource: str, ours: bool) -> None:
    """Case of scheme and host, a slash at the end and a query do not matter; path, port and fragment do."""
    async with running() as world:
        assert world.container.auth.is_our_resource(resource) is ours


async def test_other_resource_is_refused_at_the_client() -> None:
    """The client reads in its redirect which resource this server has; one that names none is welcome."""
    async with running() as world, world.http() as http:
        client_id = (await world.register()).json()["client_id"]
        refused = await http.get(await world.authorization(client_id, resource="https://other.example/mcp"))
        welcome = await http.get(await world.authorization(client_id, resource=""))

    answer = dict(parse_qsl(urlsplit(refused.headers["Location"]).query))
    assert answer["error"] == "invalid_target"
    assert answer["error_description"] == f"This server's resource is {SERVER}/mcp."
    assert urlsplit(welcome.headers["Location"]).path == "/consent"


async def test_cookies_are_named_after_the_server() -> None:
    """Two servers on one host do not read each other's cookies."""
    async with running() as world:
        person = world.person()
        await world.code((await world.register()).json()["client_id"], person)
        names = {line.partition("=")[0] for page in person.pages for line in page.headers.get_list("set-cookie")}

    tag = hashlib.sha256(SERVER.encode()).hexdigest()[:8]
    ours = names - {"simulator-browser"}
    assert {name.rpartition("_")[0] for name in ours} == {
        f"__{tag}_MCP_CONSENT_{what}" for what in ("STATE", "BINDING")
    }


async def callback_of(world: World) -> tuple[httpx2.AsyncClient, str]:
    """Go as far as Entra's redirect; return the browser, and the address of our callback."""
    person = world.person()
    http = person.open()
    page = await http.get(await world.authorization())
    while urlsplit(page.headers.get("Location", "")).path != "/auth/callback":
        target = page.headers.get("Location", "")
        page = await http.get(target) if target else await person._fill_in(http, page)
    return http, page.headers["Location"]


async def test_second_return_from_entra_is_told_so() -> None:
    """The same callback twice: the first finishes the sign-in, the second says that it is done."""
    async with running() as world:
        http, address = await callback_of(world)
        first, second = await http.get(address), await http.get(address)
        tokens = forms(world)

    assert urlsplit(first.headers["Location"]).path == "/callback"
    assert second.status_code == 400
    assert "sign_in_already_done" in second.text
    assert len(tokens) == 1


async def test_callback_works_again_after_a_fault() -> None:
    """When Entra does not answer, the page says so, and reloading it finishes the sign-in."""
    async with running() as world:
        http, address = await callback_of(world)
        await world.fault({"path": "*/oauth2/v2.0/token"}, {"status": 503})
        failed, again = await http.get(address), await http.get(address)

    assert failed.status_code == 503
    assert urlsplit(again.headers["Location"]).path == "/callback"
    assert again.status_code == 302


async def test_h3_codes_that_strangers_invent_reach_entra_a_few_times_only() -> None:
    """150 callbacks of one approved sign-in, some at once, are five requests to Entra; then the page says so."""
    async with running() as world:
        http, address = await callback_of(world)
        invented = [httpx2.URL(address).copy_set_param("code", f"invented{number}") for number in range(150)]
        await asyncio.gather(*(http.get(one) for one in invented[:20]))
        pages = [await http.get(one) for one in invented[20:]]
        tokens = forms(world)

    assert len(tokens) == MAX_TRIES
    assert pages[-1].status_code == 400
    assert "sign_in_failed" in pages[-1].text


async def test_h3_callback_without_the_cookie_of_its_sign_in_asks_entra_nothing() -> None:
    """Another browser is refused, takes no try away, and writes nothing; the right one completes the sign-in."""
    async with running() as world, world.http() as other:
        http, address = await callback_of(world)
        refused = [await other.get(address) for _ in range(MAX_TRIES + 1)]
        tokens = forms(world)
        finished = await http.get(address)

    assert {page.status_code for page in refused} == {403}
    assert tokens == []
    assert urlsplit(finished.headers["Location"]).path == "/callback"


async def test_refusal_of_entra_is_explained_in_our_words() -> None:
    """The page names the reason, and not the text in the address, which anybody can write."""
    async with running() as world, world.http() as http:
        params = {"error": "access_denied", "error_description": "Call 555-0100", "state": "x"}
        declined = await http.get("/auth/callback", params=params)
        unknown = await http.get("/auth/callback", params={**params, "error": "made_up"})

    assert "The sign-in was cancelled, or a permission was declined." in declined.text
    assert "555-0100" not in declined.text + unknown.text
    assert "made_up" not in unknown.text
    assert declined.status_code >= 400
    assert unknown.status_code >= 400


async def test_callback_without_a_code_or_a_state_is_an_error_page() -> None:
    """Half an answer of Entra starts nothing and claims nothing."""
    async with running() as world:
        http, address = await callback_of(world)
        state = dict(httpx2.URL(address).params)["state"]
        pages = [await http.get(f"{SERVER}/auth/callback?{query}") for query in ("code=x", f"state={state}", "")]
        finished = await http.get(address)

    assert [page.status_code >= 400 for page in pages] == [True] * 3
    assert urlsplit(finished.headers["Location"]).path == "/callback"


async def test_unknown_sign_in_can_come_again_and_is_as_unknown() -> None:
    """A page that finishes nothing leaves nothing behind."""
    async with running() as world, world.http() as http:
        first, again = [await http.get("/auth/callback", params={"code": "c", "state": "nobody"}) for _ in range(2)]

    assert (first.status_code, again.status_code) == (400, 400)
    assert "sign_in_already_done" not in again.text


async def test_claims_challenge_takes_the_browser_to_entra_twice() -> None:
    """Claims that wait for the person go to Entra in a second round of the same sign-in, with the person's name."""
    async with running() as world:
        client_id = (await world.register()).json()["client_id"]
        await world.sign_in()
        [session] = [one async for one in world.container.sign_ins.sessions.all()]
        await world.container.sign_ins.refresher.step_ups.remember(session.person, CLAIMS)
        world.network.seen.clear()
        person = world.person()
        response = await world.redeem(client_id, await world.code(client_id, person))
        first, second = queries(world, "/authorize")
        left = await world.container.sign_ins.refresher.step_ups.take(session.person)

    assert response.status_code == 200
    assert {page.status_code for page in person.pages if "Location" in page.headers} == {302}
    assert "claims" not in first
    assert {name: value for name, value in second.items() if first.get(name) != value} == {
        "claims": CLAIMS,
        "login_hint": ADA,
    }
    assert first.keys() - second.keys() == {"prompt"}
    assert left is None


async def test_code_is_redeemed_once() -> None:
    """A second redemption is refused with the reason; a code that is gone has its own."""
    async with running() as world:
        client_id = (await world.register()).json()["client_id"]
        code = await world.code(client_id)
        auth, client = world.container.auth, await client_of(world, client_id)
        loaded = await auth.load_authorization_code(client, code)
        assert loaded is not None
        await auth.exchange_authorization_code(client, loaded)
        with pytest.raises(TokenError) as replayed:
            await auth.exchange_authorization_code(client, loaded)
        with pytest.raises(TokenError) as expired:
            await auth.exchange_authorization_code(client, AuthorizationCode(**{**dict(loaded), "code": "gone"}))

    assert (replayed.value.error, replayed.value.error_description) == (
        "invalid_grant",
        "The authorization code was redeemed before.",
    )
    assert (expired.value.error, expired.value.error_description) == (
        "invalid_grant",
        "The authorization code has expired.",
    )


async def test_refresh_token_is_read_for_its_own_client_only() -> None:
    """The token of another client, an access token and rubbish are none; the store is not asked for the session yet."""
    async with running() as world:
        tokens = await world.sign_in()
        auth, client = world.container.auth, await client_of(world, tokens.client_id)
        other = await client_of(world, (await world.register()).json()["client_id"])
        found = await auth.load_refresh_token(client, tokens.refresh)
        nothing = [
            await auth.load_refresh_token(other, tokens.refresh),
            await auth.load_refresh_token(client, tokens.access),
            await auth.load_refresh_token(client, "rubbish"),
        ]
        refused = await auth.load_access_token(tokens.refresh)
        [session] = [one async for one in world.container.sign_ins.sessions.all()]
        await world.container.sign_ins.sessions.end(session.id, "by_operator")
        ended = [await auth.load_refresh_token(client, tokens.refresh), await auth.load_access_token(tokens.access)]

    expires_at = jwt.decode(tokens.refresh, options={"verify_signature": False})["exp"]
    assert found is not None
    assert (found.token, found.client_id, found.scopes) == (tokens.refresh, tokens.client_id, ["mcp-access"])
    assert found.expires_at == expires_at
    assert nothing == [None] * 3
    assert refused is None
    assert ended == [found, None]


async def test_refresh_token_is_exchanged_for_the_next_pair() -> None:
    """The second pair has number two; after the session has ended there is no third."""
    async with running() as world:
        tokens = await world.sign_in()
        auth, client = world.container.auth, await client_of(world, tokens.client_id)
        loaded = await auth.load_refresh_token(client, tokens.refresh)
        assert loaded is not None
        second = await auth.exchange_refresh_token(client, loaded, [])
        [session] = [one async for one in world.container.sign_ins.sessions.all()]
        await world.container.sign_ins.sessions.end(session.id, "by_operator")
        errors = []
        for token in (tokens.refresh, "rubbish"):
            with pytest.raises(TokenError) as caught:
                await auth.exchange_refresh_token(client, loaded.model_copy(update={"token": token}), [])
            errors.append((caught.value.error, caught.value.error_description))

    claims = jwt.decode(second.access_token, options={"verify_signature": False})
    assert claims["jti"] == f"{session.id}.2"
    assert [error for error, _ in errors] == ["invalid_grant"] * 2
    assert BY_OPERATOR in str(errors[0][1])
    assert errors[1][1] == "The sign-in has ended; sign in again."


async def revoke(world: World, **form: str) -> httpx2.Response:
    async with world.http() as http:
        return await http.post("/revoke", data=form, headers={"Origin": SERVER})


@pytest.mark.parametrize("which", ["access", "refresh"])
async def test_client_ends_its_session_with_either_token(which: str) -> None:
    """Revocation needs no secret, ends the whole session, and is never cached."""
    async with running() as world:
        tokens = await world.sign_in()
        response = await revoke(world, client_id=tokens.client_id, token=getattr(tokens, which))
        left = [one async for one in world.container.sign_ins.sessions.all()]
        counted = world.container.metrics.sessions_ended.labels("by_client")._value.get()

    assert (response.status_code, response.content) == (200, b"")
    assert (response.headers["Cache-Control"], response.headers["Pragma"]) == ("no-store", "no-cache")
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert left == []
    assert counted == 1


async def test_revocation_of_what_is_not_the_clients_ends_nothing() -> None:
    """A foreign or broken token is accepted without effect; a missing one and an unknown client are errors."""
    async with running() as world:
        tokens = await world.sign_in()
        other = (await world.register()).json()["client_id"]
        quiet = [
            await revoke(world, client_id=other, token=tokens.access),
            await revoke(world, client_id=tokens.client_id, token="rubbish"),
        ]
        missing = [await revoke(world, client_id=other), await revoke(world, client_id=other, token="")]
        unknown = await revoke(world, client_id="nobody", token=tokens.access)
        left = [one async for one in world.container.sign_ins.sessions.all()]

    assert [response.status_code for response in quiet] == [200, 200]
    assert [response.status_code for response in missing] == [400, 400]
    assert missing[0].json() == missing[1].json()
    assert missing[0].json() == {
        "error": "invalid_request",
        "error_description": "Send the token in the field 'token' (RFC 7009 section 2.1).",
    }
    assert unknown.status_code == 401
    assert unknown.json()["error"] == "invalid_client"
    assert unknown.json()["error_description"]
    for response in (*missing, unknown):
        assert (response.headers["Cache-Control"], response.headers["Pragma"]) == ("no-store", "no-cache")
    assert len(left) == 1


async def test_metadata_names_our_revocation_endpoint() -> None:
    """Clients find /revoke, which answers POST and a browser's preflight."""
    async with running() as world, world.http() as http:
        metadata = (await http.get("/.well-known/oauth-authorization-server")).json()
        preflight = {"Origin": SERVER, "Access-Control-Request-Method": "POST"}
        allowed = await http.options("/revoke", headers=preflight)
        wrong = await http.get("/revoke")

    assert metadata["revocation_endpoint"] == f"{SERVER}/revoke"
    assert metadata["issuer"] == f"{SERVER}/"
    assert metadata["scopes_supported"] == ["mcp-access"]
    assert (allowed.status_code, allowed.headers["Access-Control-Allow-Methods"]) == (200, "POST, OPTIONS")
    assert wrong.status_code == 405
