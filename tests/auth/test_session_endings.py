"""Whoever presents a token of a session that has ended is told why: a tool call, a refresh and an upload alike."""

from __future__ import annotations

import pytest

from m365_mcp.auth.session_endings import BY_CLIENT, BY_OPERATOR, TOKEN_REUSED, SessionEndings
from m365_mcp.entra.decipher import decipher
from m365_mcp.errors import M365Error
from m365_mcp.metrics import EndReason
from tests.backends import make_records
from tests.inprocess import GRACE, Tokens, World, running

MCP = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
HEADERS = {"Accept": "application/json, text/event-stream"}
# Revoked, disabled, a changed password, unused, too old, and more proof.
ENDING = [50173, 50057, 50132, 700082, 70043, 50076]
REFRESH, EXCHANGE = "refresh_token", "urn:ietf:params:oauth:grant-type:jwt-bearer"


async def described(world: World, tokens: Tokens) -> dict[str, str]:
    """Return the descriptions that /mcp and /token answer these tokens with; both must refuse with 401."""
    async with world.http() as http:
        called = await http.post("/mcp", json=MCP, headers={**HEADERS, "Authorization": f"Bearer {tokens.access}"})
    form = {"grant_type": REFRESH, "refresh_token": tokens.refresh, "client_id": tokens.client_id}
    refreshed = await world.token(**form, scope="mcp-access")
    assert (called.status_code, called.json()["error"]) == (401, "invalid_token")
    assert (refreshed.status_code, refreshed.json()["error"]) == (401, "invalid_grant")
    challenge = called.headers["WWW-Authenticate"]
    assert 'error="invalid_token"' in challenge
    assert "resource_metadata=" in challenge
    return {
        "body": called.json()["error_description"],
        "challenge": challenge.partition('error_description="')[2].partition('"')[0],
        "refresh": refreshed.json()["error_description"],
    }


async def refuse(world: World, grant: str, number: int) -> M365Error:
    """Have Entra refuse this grant once, and return what that means."""
    body = {"error": "invalid_grant", "error_codes": [number], "error_description": f"AADSTS{number}: no."}
    body["claims"] = '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}'
    await world.fault({"grant_type": grant}, {"status": 400, "body": body})
    return decipher(400, body)


@pytest.mark.parametrize("number", ENDING)
@pytest.mark.sample(2)
async def test_f2_end_that_an_exchange_met_is_told_to_the_holder_of_the_tokens_only(number: int) -> None:
    """F2: the 401, its challenge and the refused refresh say number and meaning; other people's tokens stay good."""
    async with running() as world:
        hers, another = await world.sign_in(), await world.sign_in(GRACE)
        expected = await refuse(world, EXCHANGE, number)
        outbox = await world.outbox(hers)
        with pytest.raises(M365Error) as caught:
            await outbox.mailbox.tokens.get()
        told = await described(world, hers)
        async with world.http() as http:
            stranger = await http.post("/mcp", json=MCP, headers={**HEADERS, "Authorization": "Bearer made-up"})
        assert await world.container.auth.load_access_token(another.access) is not None

    assert f"AADSTS{number}" in expected.explain()
    assert caught.value.explain() == expected.explain()
    assert set(told.values()) == {expected.explain()}
    assert stranger.status_code == 401
    assert "AADSTS" not in stranger.text


@pytest.mark.parametrize("number", ENDING)
async def test_f2_end_that_the_check_of_a_call_met_is_told_at_once(number: int) -> None:
    """F2: the assertion has run out and Entra refuses its refresh: the very call and all later ones name the number."""
    async with running() as world:
        tokens = await world.sign_in()
        [session] = [one async for one in world.container.sign_ins.sessions.all()]
        past = session.upstream.model_copy(update={"expires_at": 0.0})
        await world.container.sign_ins.sessions.change(session.id, lambda now: now.renewed(past))
        expected = await refuse(world, REFRESH, number)
        told = await described(world, tokens)

    assert set(told.values()) == {expected.explain()}


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [("by_operator", BY_OPERATOR), ("by_client", BY_CLIENT), ("refresh_token_reused", TOKEN_REUSED)],
)
async def test_f2_every_other_end_has_its_sentence_too(reason: EndReason, sentence: str) -> None:
    """F2: a session that the operator, the client or the rule about reuse has ended says which it was."""
    async with running() as world:
        tokens = await world.sign_in()
        [session] = [one async for one in world.container.sign_ins.sessions.all()]
        await world.container.sign_ins.sessions.end(session.id, reason)
        told = await described(world, tokens)

    assert {sentence in text for text in told.values()} == {True}


async def test_f2_token_of_a_session_whose_reason_is_forgotten_is_refused_as_ever() -> None:
    """F2: without a record of the end, the response says what to do and no reason."""
    async with running() as world:
        tokens = await world.sign_in()
        [session] = [one async for one in world.container.sign_ins.sessions.all()]
        records = world.container.storage.records
        stored = await records.read("m365-sessions", session.id)
        await records.compare_and_swap("m365-sessions", session.id, stored, None)
        told = await described(world, tokens)

    assert told["refresh"] == "The sign-in has ended; sign in again."
    assert "sign_in_needed" not in told["body"]


@pytest.mark.parametrize("number", ENDING)
async def test_f2_ending_keeps_all_that_a_page_says(number: int) -> None:
    """F2: what is read back is the same error: kind, sentence, everybody's advice, and number; the first stays."""
    endings = SessionEndings(make_records())
    refusal = decipher(400, {"error": "invalid_grant", "error_codes": [number]})

    await endings.remember("s1", "ended_by_microsoft", refusal)
    await endings.remember("s1", "by_client", None)
    found = await endings.find("s1")

    assert found is not None
    assert type(found) is type(refusal)
    assert (found.explain(), found.reference) == (refusal.explain(), f"AADSTS{number}")
    assert found.person_advice == refusal.person_advice
    assert found.administrator_advice == refusal.administrator_advice
    assert found.needs_administrator == refusal.needs_administrator
    assert await endings.find("s2") is None
