"""What a client proves itself with (`private_key_jwt`): it counts once, and a stranger's is stored nowhere."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any

import pytest
import redis as redis_py

from m365_mcp.auth.client_metadata.clients import CLIENT_METADATA
from m365_mcp.auth.client_metadata.documents import Entry
from m365_mcp.storage.records import ABSENT
from tests import client_assertions
from tests.e2e.programs import Redis
from tests.inprocess import CALLBACK, SERVER, World, running

CLIENT, STRANGER = "https://client.example/client.json", "https://stranger.example/client.json"
pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")  # py-key-value 0.4.6


@pytest.fixture
async def world(redis: Redis) -> AsyncIterator[World]:
    """A server that has the documents of two clients already, so that it need not fetch them."""
    async with running(redis_url=redis.url) as world:
        for client_id in (CLIENT, STRANGER):
            content: dict[str, Any] = {"client_id": client_id, "client_name": "Signer", "redirect_uris": [CALLBACK]}
            content["grant_types"] = ["authorization_code", "refresh_token"]
            content |= client_assertions.SIGNS
            entry = asdict(Entry(content, time.time(), time.time() + 3600))
            key = hashlib.sha256(client_id.encode()).hexdigest()
            await world.container.storage.records.compare_and_swap(CLIENT_METADATA.name, key, ABSENT, entry, 3600)
        yield world


def proof(client_id: str = CLIENT) -> dict[str, str]:
    """Return the fields with a fresh assertion of a client."""
    return client_assertions.proof(client_id, f"{SERVER}/token")


async def redeemed(world: World, code: str, fields: dict[str, str]) -> dict[str, str]:
    """Redeem a code with these fields, and return the response."""
    signed = {name: value for name, value in fields.items() if name != "client_id"}
    found: dict[str, str] = (await world.redeem(fields["client_id"], code, **signed)).json()
    return found


async def refreshed(world: World, token: str, fields: dict[str, str]) -> tuple[int, str]:
    """Return status and error of a refresh."""
    response = await world.token(**{"grant_type": "refresh_token", "refresh_token": token, **fields})
    return response.status_code, response.json().get("error", "")


async def revoked(world: World, token: str, fields: dict[str, str]) -> int:
    async with world.http() as http:
        return (await http.post("/revoke", data={"token": token, **fields})).status_code


async def test_h3_h19_assertions_of_a_stranger_leave_nothing_in_the_store(world: World, redis: Redis) -> None:
    """Fresh assertions with a code or token that is none, or is another client's, write no record at all."""
    tokens = await world.sign_in()
    code = await world.code(CLIENT)

    with redis_py.Redis.from_url(redis.url) as admin:
        before = set(admin.keys("*"))
        for _ in range(10):
            answers = {
                "invented": await refreshed(world, "x", proof(STRANGER)),
                "another's": await refreshed(world, tokens.refresh, proof(STRANGER)),
                "code": (await redeemed(world, code, proof(STRANGER)))["error"],
                "revoke": await revoked(world, "x", proof(STRANGER)),
                "revoke another's": await revoked(world, tokens.access, proof(STRANGER)),
            }
        after = set(admin.keys("*"))

    assert answers == {
        "invented": (401, "invalid_grant"),
        "another's": (401, "invalid_grant"),
        "code": "invalid_grant",
        "revoke": 200,
        "revoke another's": 200,
    }
    assert after - before == set()
    assert "refresh_token" in await redeemed(world, code, proof())


async def test_h19_assertion_counts_once_for_code_refresh_and_revocation(world: World) -> None:
    """Where the code or token is valid, the second use is `invalid_client`, and changes nothing."""
    first, second = proof(), proof()
    tokens = await redeemed(world, await world.code(CLIENT), first)
    again = await refreshed(world, tokens["refresh_token"], first)
    good = await refreshed(world, tokens["refresh_token"], second)
    kept = await revoked(world, tokens["access_token"], second)
    lives = await refreshed(world, tokens["refresh_token"], proof())
    ended = await revoked(world, tokens["access_token"], proof())
    late = await refreshed(world, tokens["refresh_token"], proof())

    assert again == (401, "invalid_client")
    assert good == (200, "")
    assert (kept, lives) == (401, (200, ""))
    assert (ended, late) == (200, (401, "invalid_grant"))


async def test_h19_of_many_uses_at_once_one_counts(world: World) -> None:
    """T1: the same assertion with one valid refresh token, eight times at once: tokens once, and else 401."""
    tokens = await redeemed(world, await world.code(CLIENT), proof())
    fields = proof()

    answers = await asyncio.gather(*(refreshed(world, tokens["refresh_token"], fields) for _ in range(8)))

    assert sorted(status for status, _ in answers).count(200) == 1
    assert {answer for answer in answers if answer[0] != 200} == {(401, "invalid_client")}


async def test_h3_only_what_is_valid_now_counts_as_a_grant(world: World) -> None:
    """A code that we have, and either token of a session that lives; nothing invented, and nothing that has ended."""
    client_id = (await world.register()).json()["client_id"]
    code = await world.code(client_id)
    tokens = await world.sign_in()
    sent: dict[str, dict[str, str]] = {
        "code": {"grant_type": "authorization_code", "code": code},
        "refresh": {"grant_type": "refresh_token", "refresh_token": tokens.refresh},
        "revoke": {"token": tokens.access},
        "no code": {"grant_type": "authorization_code", "code": "x"},
        "empty code": {"grant_type": "authorization_code", "code": ""},
        "no refresh": {"grant_type": "refresh_token", "refresh_token": "x"},
        "nothing": {},
    }

    alive = {name for name, fields in sent.items() if await world.container.auth.has_grant(fields)}
    await revoked(world, tokens.access, {"client_id": tokens.client_id})
    later = {name for name, fields in sent.items() if await world.container.auth.has_grant(fields)}

    assert alive == {"code", "refresh", "revoke"}
    assert later == {"code"}
