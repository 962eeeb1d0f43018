"""Attacks on the button of a failed sign-in, by which the browser tells the client that there is no code."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator
from html import unescape
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest
from structlog.testing import capture_logs

from m365_mcp.auth.callbacks import MAX_TRIES
from m365_mcp.commands.reference import every_error
from m365_mcp.errors import TokenVersionMistake, request_error
from m365_mcp.redirects import parse_all
from tests.attacks.test_authorization_server import go
from tests.inprocess import CALLBACK, GRACE, MICROSOFT, SERVER, World, running

BUTTON = re.compile(r'<a class="button" href="([^"]*)"')
CURSOR = "cursor://anysphere.cursor-retrieval/oauth/user-m365/callback"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with running(mcp_allowed_redirect_uris=f"http://localhost:*/*,{CURSOR}") as world:
        await world.control("PATCH", "app", {"token_version": 1})
        yield world


def buttons(page: httpx2.Response) -> list[str]:
    """Return where the buttons of a page lead."""
    return [unescape(found) for found in BUTTON.findall(page.text)]


async def returned(world: World, uri: str = CALLBACK, state: str = "s") -> tuple[httpx2.AsyncClient, str]:
    """Return a browser that Entra has sent back, and the address of the callback; nobody has opened it."""
    client_id = (await world.register(redirect_uris=[uri])).json()["client_id"]
    person = world.person()
    http = person.open()
    return http, await go(
        http, person, await world.authorization(client_id, redirect_uri=uri, state=state), f"{SERVER}/auth/callback"
    )


@pytest.mark.parametrize("state", ["s", "a&error=&iss=https://evil.example#x", "<'\"> ü"])
async def test_a23_button_carries_error_state_and_issuer_and_nothing_of_entra(world: World, state: str) -> None:
    """RFC 6749 section 4.1.2.1 and RFC 9207: each once, as given; no code; the page's own address stays here."""
    http, back = await returned(world, state=state)
    page = await http.get(back)
    metadata = (await http.get(f"{SERVER}/.well-known/oauth-authorization-server")).json()
    (target,) = buttons(page)
    told, of_entra = parse_qsl(urlsplit(target).query), dict(parse_qsl(urlsplit(back).query))

    assert target.startswith(f"{CALLBACK}?error=")
    assert Counter(name for name, _ in told) == Counter(["error", "error_description", "state", "iss"])
    assert dict(told)["state"] == state
    assert (dict(told)["error"], dict(told)["iss"]) == ("access_denied", metadata["issuer"])
    assert [name for name in ("code", "state") if of_entra[name] in page.text] == []
    assert page.headers["Referrer-Policy"] == "same-origin"  # Entra's code is in the address of the page
    assert page.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "uri",
    [
        "http://localhost:33418/callback?flag&iss=https://evil.example&iss=b",
        "http://localhost:33418/callback?x='-alert(1)-'&y=%22%3E%3Csvg%20onload=alert(1)%3E",
        CURSOR,
    ],
)
async def test_button_leads_to_the_redirect_uri_of_the_client(world: World, uri: str) -> None:
    """Its query stays, with one issuer; an app's own scheme is kept; no markup gets out of the attribute."""
    http, back = await returned(world, uri)
    page = await http.get(back)
    (target,) = buttons(page)

    assert urlsplit(target)._replace(query="").geturl() == uri.partition("?")[0]
    assert [value for name, value in parse_qsl(urlsplit(target).query) if name == "iss"] == [f"{SERVER}/"]
    assert ("flag&" in target) is ("flag&" in uri)
    assert "<svg" not in page.text
    assert "evil.example" not in page.text


async def test_a23_other_browser_gets_no_button(world: World) -> None:
    """Whoever lures a victim to the end of the stranger's sign-in brings no error to the stranger's client."""
    stranger, victim = world.person(), world.person(GRACE)
    async with stranger.open() as one, victim.open() as other:
        back = await go(other, victim, await go(one, stranger, await world.authorization(), MICROSOFT), SERVER)
        page = await other.get(back)

    assert (page.status_code, buttons(page)) == (403, [])


async def test_a23_redirect_uri_that_is_no_longer_allowed_gets_no_button(world: World) -> None:
    """The operator takes the address out of the list while somebody signs in."""
    http, back = await returned(world)
    found, sign_in = [], dict(parse_qsl(urlsplit(back).query))["state"]
    for listed in ([CALLBACK], ["https://claude.ai/api/mcp/auth_callback"]):
        world.container.auth._allowed = parse_all(listed)
        with request_error.recording():  # FastMCP looks at the list, too, and only before it redeems the code
            request_error.note(TokenVersionMistake())
            await world.container.auth._offer_return(sign_in)
            found.append(getattr(request_error.noted(), "client_url", None) is not None)
    page = await http.get(back)

    assert found == [True, False]
    assert (page.status_code >= 400, buttons(page), CALLBACK in page.text) == (True, [], False)


async def test_expired_sign_in_gets_no_button(world: World) -> None:
    """Without the record of the sign-in nobody knows whom to tell."""
    http, back = await returned(world)
    await world.container.auth._transaction_store.delete(key=dict(parse_qsl(urlsplit(back).query))["state"])
    page = await http.get(back)

    assert (page.status_code, buttons(page)) == (400, [])


async def test_finished_sign_in_gets_no_button_and_tries_are_counted(world: World) -> None:
    """A callback that is repeated after its success tells the client no error; nor does one too many."""
    http, back = await returned(world)
    failed = [await http.get(back) for _ in range(MAX_TRIES + 1)]
    await world.control("PATCH", "app", {"token_version": 2})
    other, again = await returned(world)
    done, repeated = await other.get(again), await other.get(again)

    assert [len(buttons(page)) for page in failed] == [1] * MAX_TRIES + [0]
    assert "code=" in done.headers["Location"]
    assert (repeated.status_code >= 400, buttons(repeated)) == (True, [])


async def test_button_is_not_in_the_log(world: World) -> None:
    """The log has the reference of the page, and nothing of the state or of the client's address."""
    with capture_logs() as logs:
        http, back = await returned(world, state="c4n4ry")
        page = await http.get(back)

    assert "c4n4ry" in buttons(page)[0]
    assert any(one["event"] == "error_page" for one in logs)
    assert "c4n4ry" not in str(logs)
    assert "error_description" not in str(logs)


def test_description_of_every_error_has_the_characters_that_a_client_may_be_told() -> None:
    """RFC 6749 section 4.1.2.1: printable ASCII without the double quote and the backslash."""
    outside = re.compile(r'[^\x20-\x7e]|["\\]')
    texts = {kind.code: f"{kind.code}: {kind.sentence} What to do: {kind.advice}" for kind in every_error()}

    assert {code: text for code, text in texts.items() if outside.search(text)} == {}
