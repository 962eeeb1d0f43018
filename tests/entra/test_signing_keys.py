"""Signing keys: fetched once, used while Entra is away, fetched again after a key rollover."""

import asyncio
import json

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from m365_mcp.entra.signing_keys import FRESH_SECONDS, MAX_AGE_SECONDS, SigningKeys
from m365_mcp.errors import EntraUnavailable


def public_key(kid: str) -> dict[str, object]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    return {**jwt.algorithms.RSAAlgorithm.to_jwk(key, as_dict=True), "kid": kid, "use": "sig"}


class KeyServer:
    """Entra's key endpoint over an in-process transport, with a count and planned failures."""

    def __init__(self, *kids: str) -> None:
        self.keys = [public_key(kid) for kid in kids]
        self.fetches = 0
        self.response: httpx2.Response | None = None
        self.hang: asyncio.Event | None = None
        self.fail_once = False

    async def __call__(self, _: httpx2.Request) -> httpx2.Response:
        self.fetches += 1
        if self.hang is not None:
            await self.hang.wait()
        if self.fail_once:
            self.fail_once = False
            return httpx2.Response(500)
        return self.response or httpx2.Response(200, content=json.dumps({"keys": self.keys}))


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def keys_from(server: KeyServer, clock: Clock) -> SigningKeys:
    http = httpx2.AsyncClient(transport=httpx2.MockTransport(server))
    return SigningKeys("https://entra.example.com/keys", http, clock)


async def test_one_fetch_serves_all_lookups_for_an_hour(clock: Clock) -> None:
    """Simultaneous and later lookups share one fetch; after an hour there is another."""
    server = KeyServer("a", "b")
    keys = keys_from(server, clock)

    found = await asyncio.gather(*(keys.find("a") for _ in range(20)))
    clock.now += FRESH_SECONDS - 1
    assert await keys.find("b") is not None

    assert all(found)
    assert server.fetches == 1
    clock.now += 2
    await keys.find("a")
    await settled(keys)
    assert server.fetches == 2


async def settled(keys: SigningKeys) -> None:
    """Let a renewal in the background end."""
    assert keys._renewal is not None
    await keys._renewal


@pytest.mark.parametrize("kid", [None, "the-name"])
async def test_kid_may_be_missing_if_there_is_one_key(clock: Clock, kid: str | None) -> None:
    """RFC 7517 makes the kid optional: one key without a kid fits every token."""
    server = KeyServer("a")
    del server.keys[0]["kid"]

    assert await keys_from(server, clock).find(kid) is not None


async def test_token_without_a_kid_needs_exactly_one_key(clock: Clock) -> None:
    """The server does not guess among several keys."""
    assert await keys_from(KeyServer("a"), clock).find(None) is not None
    assert await keys_from(KeyServer("a", "b"), clock).find(None) is None


async def test_stale_key_is_used_without_waiting_for_entra(clock: Clock) -> None:
    """While a renewal hangs, lookups of a known key return at once and share the renewal."""
    server = KeyServer("a")
    keys = keys_from(server, clock)
    await keys.find("a")
    clock.now += FRESH_SECONDS + 1
    server.hang = asyncio.Event()

    found = [await keys.find("a") for _ in range(5)]

    assert all(found)
    server.hang.set()
    await settled(keys)
    assert server.fetches == 2


async def test_f3_rolled_key_is_found_by_a_new_fetch(clock: Clock) -> None:
    """F3: an unknown kid causes one more fetch; a kid that is missing then is unknown."""
    server = KeyServer("a")
    keys = keys_from(server, clock)
    await keys.find("a")
    server.keys.append(public_key("b"))
    clock.now += 10

    assert await keys.find("b") is not None
    clock.now += 10
    assert await keys.find("c") is None
    assert server.fetches == 3


@pytest.mark.parametrize(
    "response",
    [httpx2.Response(500), httpx2.Response(200, content=b"<html>"), httpx2.Response(200, content=b'{"keys":[]}')],
    ids=["500", "html", "empty"],
)
async def test_f2_f4_known_keys_serve_while_entra_is_away_for_a_day(clock: Clock, response: httpx2.Response) -> None:
    """F2, F4: stale keys are better than a garbage set or none; after a day the outage is an error."""
    server = KeyServer("a")
    keys = keys_from(server, clock)
    await keys.find("a")
    server.response = response

    clock.now += FRESH_SECONDS + 1
    assert await keys.find("a") is not None
    clock.now += MAX_AGE_SECONDS
    with pytest.raises(EntraUnavailable):
        await keys.find("a")


async def test_recovery_needs_no_wait(clock: Clock) -> None:
    """The first lookup after a failed one fetches again."""
    server = KeyServer("a")
    server.response = httpx2.Response(503)
    keys = keys_from(server, clock)
    with pytest.raises(EntraUnavailable):
        await keys.find("a")
    server.response = None
    clock.now += 0.1

    assert await keys.find("a") is not None


async def test_one_failure_is_shared_by_all_waiting_lookups(clock: Clock) -> None:
    """Twenty lookups during an outage cost one fetch and its second try, not twenty in a row."""
    server = KeyServer("a")
    server.response = httpx2.Response(503)
    keys = keys_from(server, clock)

    results = await asyncio.gather(*(keys.find("a") for _ in range(20)), return_exceptions=True)

    assert all(isinstance(result, EntraUnavailable) for result in results)
    assert server.fetches == 2


async def test_f1_one_failure_on_a_cold_start_is_retried(clock: Clock) -> None:
    """F1: the key endpoint fails once; the lookup tries again and succeeds."""
    server = KeyServer("a")
    server.fail_once = True

    assert await keys_from(server, clock).find("a") is not None
    assert server.fetches == 2
