"""Refreshing over two replicas: lost replies, double refreshes, replays, thefts, and Entra's faults meanwhile."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.grants import Grant, call_tool, post_mcp, refresh, signed_in, start_replicas, start_server
from tests.e2e.programs import Redis, Server, Simulator

pytestmark = pytest.mark.full

# Of Ada only: a call that another test has left at a server of all tests may still be trying for somebody unknown.
UPSTREAM_REFRESH = {"grant_type": "refresh_token", "person": "ada"}

SHORT_SECONDS = 3  # a short life of an assertion, and enough for a sign-in with one call on a busy machine


@pytest.fixture
def replicas(tmp_path: Path, simulator: Simulator, shared_redis: Redis) -> list[Server]:
    return start_replicas(tmp_path, simulator, shared_redis.url)


@pytest.fixture
async def grant(replicas: list[Server], simulator: Simulator) -> Grant:
    return await signed_in(replicas[0], simulator)


async def test_c7_parallel_refreshes_on_two_replicas_get_one_pair(
    replicas: list[Server], grant: Grant, simulator: Simulator
) -> None:
    """C7: the same refresh token ten times at once on two replicas: one rotation, one pair, one call to Entra."""
    replies = await asyncio.gather(*(refresh(replicas[n % 2].url, grant) for n in range(10)))

    assert {reply.status_code for reply in replies} == {200}
    assert len({reply.text for reply in replies}) == 1
    assert simulator.count(**UPSTREAM_REFRESH) == 1
    for replica in replicas:
        assert (await post_mcp(replica.url, grant.after(replies[0]).access)).status_code == 200


async def test_c9_lost_reply_costs_nothing(replicas: list[Server], grant: Grant, simulator: Simulator) -> None:
    """C9: a client that never saw the reply asks another replica again and gets the same pair, to the letter."""
    lost = await refresh(replicas[0].url, grant)
    again = await refresh(replicas[1].url, grant)
    later = await refresh(replicas[0].url, grant.after(again))

    assert again.text == lost.text
    assert later.status_code == 200
    assert simulator.count(**UPSTREAM_REFRESH) == 2


async def test_c8_reuse_after_the_grace_time_ends_that_session_only(
    tmp_path: Path, simulator: Simulator, shared_redis: Redis
) -> None:
    """C8: an old refresh token after its grace time is refused, recorded, and ends the session it belongs to."""
    one, two = start_replicas(tmp_path, simulator, shared_redis.url, MCP_REFRESH_GRACE_SECONDS="0")
    stolen, other = await signed_in(one, simulator), await signed_in(one, simulator)
    current = stolen.after(await refresh(one.url, stolen))
    # The clock of the grace time counts whole seconds.
    while (replay := await refresh(two.url, stolen)).status_code == 200:  # noqa: ASYNC110
        await asyncio.sleep(0.1)

    dead = [await post_mcp(replica.url, current.access) for replica in (one, two)]
    refused = await refresh(one.url, current)

    assert (replay.status_code, replay.json()["error"]) == (401, "invalid_grant")
    assert [reply.status_code for reply in dead] == [401, 401]
    assert refused.json()["error"] == "invalid_grant"
    assert '"refresh_token_reused"' in two.log
    assert (await post_mcp(two.url, other.access)).status_code == 200


@pytest.mark.full
async def test_c10_slow_entra_is_asked_once(replicas: list[Server], grant: Grant, simulator: Simulator) -> None:
    """C10: Entra takes longer than a lease lasts; the replica that waits goes on waiting and gets the same pair."""
    # The assertion has run out, so that nobody can go on without Entra's answer.
    simulator.control("PATCH", "app", expires_in=SHORT_SECONDS)
    grant = grant.after(await refresh(replicas[0].url, grant))
    simulator.control("PATCH", "app", expires_in=3600)
    simulator.control("DELETE", "requests")
    simulator.control("POST", "faults", where=UPSTREAM_REFRESH, what={"delay_seconds": 6})
    await assertion_has_run_out()

    replies = await asyncio.gather(*(refresh(replica.url, grant) for replica in replicas))

    assert [reply.status_code for reply in replies] == [200, 200]
    assert replies[0].text == replies[1].text
    assert simulator.count(**UPSTREAM_REFRESH) == 1


async def test_early_renewal_happens_once_across_replicas(
    replicas: list[Server], grant: Grant, simulator: Simulator
) -> None:
    """A client that never refreshes keeps working: the server renews Entra's token early, once for all replicas."""
    simulator.control("PATCH", "app", expires_in=200)  # within the last five minutes from the start
    grant = grant.after(await refresh(replicas[0].url, grant))
    simulator.control("PATCH", "app", expires_in=3600)
    simulator.control("DELETE", "requests")

    replies = await asyncio.gather(*(post_mcp(replicas[n % 2].url, grant.access) for n in range(20)))

    assert {reply.status_code for reply in replies} == {200}
    assert simulator.count(**UPSTREAM_REFRESH) == 1


OUTAGES: dict[str, dict[str, Any]] = {
    "503": {"status": 503, "body": None},
    "500 html": {"status": 500, "html": True},
    "200 html": {"status": 200, "html": True},
    "silence": {"delay_seconds": 30},
    "reset": {"reset": True},
    "429": {"status": 429, "headers": {"Retry-After": "7"}, "body": {"error": "temporarily_unavailable"}},
}

QUICK = ("503", "reset")
SOME_IN_THE_QUICK_RUN = [
    pytest.param(what, id=name, marks=() if name in QUICK else pytest.mark.full) for name, what in OUTAGES.items()
]


@pytest.mark.parametrize("what", SOME_IN_THE_QUICK_RUN)
@pytest.mark.full
async def test_f5_f6_f8_fault_of_entra_is_an_outage_and_costs_no_token(
    what: dict[str, Any], tmp_path: Path, simulator: Simulator, shared_redis: Redis
) -> None:
    """F5, F6, F8: with an assertion that has run out, each fault of Entra is 503 with its wait; then all goes on."""
    server = start_server(tmp_path, simulator, REDIS_URL=shared_redis.url)
    simulator.control("PATCH", "app", expires_in=SHORT_SECONDS)
    grant = await signed_in(server, simulator)
    await assertion_has_run_out()
    simulator.control("POST", "faults", where=UPSTREAM_REFRESH, what=what, times=None)

    asked = await asyncio.gather(refresh(server.url, grant), post_mcp(server.url, grant.access))
    simulator.control("DELETE", "faults")
    while (after := await refresh(server.url, grant)).status_code == 503:  # noqa: ASYNC110 - the pause after a failure
        await asyncio.sleep(0.2)
    works = await post_mcp(server.url, grant.after(after).access)
    server.program.end()

    for reply in asked:
        assert reply.status_code == 503, reply.text
        assert reply.json()["error"] == "temporarily_unavailable"
        assert int(reply.headers["Retry-After"]) >= (7 if what.get("status") == 429 else 1)
        assert reply.elapsed.total_seconds() < 13
    assert works.status_code == 200


async def assertion_has_run_out() -> None:
    """Return once the clock has passed the end of an assertion that was issued before, to live for `SHORT_SECONDS`."""
    end = time.time() + SHORT_SECONDS
    while time.time() <= end:  # noqa: ASYNC110 - the clock has no event to wait for
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("what", SOME_IN_THE_QUICK_RUN)
async def test_fault_of_entra_is_ridden_out_while_the_assertion_is_good(
    what: dict[str, Any], server: Server, simulator: Simulator
) -> None:
    """Refreshing and calling go on while Entra is away and what is at hand is good; some clients sign in on 503."""
    grant = await signed_in(server, simulator)
    simulator.control("POST", "faults", where=UPSTREAM_REFRESH, what=what, times=None)

    refreshed = await refresh(server.url, grant)
    works = await call_tool(server.url, grant.after(refreshed).access)

    assert works.status_code == 200
    assert not works.json()["result"].get("isError")
    assert refreshed.elapsed.total_seconds() < 5


@pytest.mark.parametrize(("code", "error"), [(50076, "interaction_required"), (50173, "invalid_grant")])
async def test_f7_refusal_that_only_a_sign_in_mends_is_invalid_grant(
    code: int, error: str, server: Server, simulator: Simulator
) -> None:
    """F7: MFA and revocation at the refresh: invalid_grant with the number, one 401, and nothing is tried again."""
    grant = await signed_in(server, simulator)
    claims = '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}'
    body = {"error": error, "error_codes": [code], "error_description": f"AADSTS{code}: no.", "claims": claims}
    simulator.control("POST", "faults", where=UPSTREAM_REFRESH, what={"status": 400, "body": body}, times=None)

    refused = await refresh(server.url, grant)
    dead = await post_mcp(server.url, grant.access)

    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_grant")
    assert f"AADSTS{code}" in refused.json()["error_description"]
    assert dead.status_code == 401
    assert 'error="invalid_token"' in dead.headers["WWW-Authenticate"]
    assert "resource_metadata=" in dead.headers["WWW-Authenticate"]
    assert simulator.count(**UPSTREAM_REFRESH) == 1


@pytest.mark.full
async def test_f3_refusal_that_no_sign_in_changes_costs_no_token(
    tmp_path: Path, simulator: Simulator, shared_redis: Redis
) -> None:
    """F3: a policy, a guest, consent and an unknown number at the refresh are 503 with the number; then all goes on."""
    server = start_server(tmp_path, simulator, REDIS_URL=shared_redis.url)
    simulator.control("PATCH", "app", expires_in=SHORT_SECONDS)
    grant = await signed_in(server, simulator)
    await assertion_has_run_out()
    for code in (53003, 50020, 90094, 9999991):
        body = {"error": "invalid_grant", "error_codes": [code], "error_description": f"AADSTS{code}: no."}
        simulator.control("POST", "faults", where=UPSTREAM_REFRESH, what={"status": 400, "body": body}, times=None)
        while f"AADSTS{code}" not in (refused := await refresh(server.url, grant)).text:
            assert refused.status_code == 503, refused.text
            await asyncio.sleep(0.2)  # the pause after a failure
        called = await post_mcp(server.url, grant.access)
        simulator.control("DELETE", "faults")

        for reply in (refused, called):
            assert (reply.status_code, reply.json()["error"]) == (503, "temporarily_unavailable")
            assert f"AADSTS{code}" in reply.json()["error_description"]
            assert int(reply.headers["Retry-After"]) > 0
    while (after := await refresh(server.url, grant)).status_code == 503:  # noqa: ASYNC110 - the pause after a failure
        await asyncio.sleep(0.2)

    assert (await post_mcp(server.url, grant.after(after).access)).status_code == 200
    assert "refresh_refused" in server.log
    assert "session_ended" not in server.log
