"""Whatever refuses a sign-in or a token is one count and one event with its code, at every endpoint."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import httpx2
import pytest
from structlog.testing import capture_logs

from tests.attacks.serving import HEADERS, serving
from tests.inprocess import CALLBACK, Tokens, World, running
from tests.tools.test_session_check import revoke

LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
REDEEM = {"grant_type": "authorization_code", "code": "x", "redirect_uri": CALLBACK, "code_verifier": "x" * 43}
SIGN_INS, TOKENS = "sign_ins", "token_refusals"


def counted(world: World, name: str) -> dict[tuple[str, ...], float]:
    """Return what a counter has counted, by the values of its labels."""
    families = [one for one in world.container.metrics.registry.collect() if one.name == f"m365_mcp_{name}"]
    samples = [one for family in families for one in family.samples if one.name.endswith("_total")]
    return {tuple(one.labels.values()): one.value for one in samples if one.value}


async def at_mcp(world: World, authorization: str | None) -> httpx2.Response:
    sent = {} if authorization is None else {"Authorization": authorization}
    async with world.http() as http:
        return await http.post("/mcp", json=LIST, headers={**HEADERS, **sent})


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (None, "no_token"),
        ("Basic YTpi", "no_token"),
        ("Bearer ", "invalid_token"),
        ("Bearer c4n4ry", "invalid_token"),
        ("Bearer {access}x", "invalid_token"),
        ("bearer {refresh}", "invalid_token"),
        ("Bearer {ended}", "sign_in_needed"),
    ],
)
async def test_token_that_is_refused_at_mcp_is_one_count(kind: str | None, code: str) -> None:
    """Each 401 is counted, and is one record unless the client has no token yet; the token is in no record."""
    async with serving() as world:
        tokens, other = await world.sign_in(), await world.sign_in()
        await revoke(world, other)
        sent = kind and kind.format(access=tokens.access, refresh=tokens.refresh, ended=other.access)
        with capture_logs() as logged:
            reply = await at_mcp(world, sent)

        assert reply.status_code == 401
        assert counted(world, TOKENS) == {("mcp", code): 1}
    events = [(one["event"], one["endpoint"], one["code"]) for one in logged]
    assert events == ([] if code == "no_token" else [("token_refused", "mcp", code)])
    assert (tokens.access not in str(logged), "c4n4ry" not in str(logged)) == (True, True)


def _refresh(tokens: Tokens, **changes: str) -> dict[str, str]:
    form = {"grant_type": "refresh_token", "refresh_token": tokens.refresh, "client_id": tokens.client_id}
    return {**form, **changes}


@pytest.mark.parametrize(
    ("changes", "name", "code"),
    [
        ({"refresh_token": "x"}, TOKENS, "invalid_grant"),
        ({"client_id": "nobody"}, TOKENS, "invalid_client"),
        ({"grant_type": "password"}, TOKENS, "invalid_request"),
        ({"grant_type": ""}, TOKENS, "invalid_request"),
        ({"client_id": ""}, TOKENS, "invalid_client"),
        (REDEEM, SIGN_INS, "invalid_grant"),
        ({**REDEEM, "client_id": "nobody"}, SIGN_INS, "invalid_client"),
    ],
)
async def test_request_that_is_refused_at_token_is_one_count(changes: dict[str, str], name: str, code: str) -> None:
    """A code is the last step of a sign-in; everything else has its own metric and event."""
    async with running() as world:
        form = _refresh(await world.sign_in(), **changes)
        before = counted(world, name)
        with capture_logs() as logged:
            reply = await world.token(**form)
        after = counted(world, name)

    assert reply.status_code >= 400
    key = ("refused", code) if name == SIGN_INS else ("token", code)
    assert after == {**before, key: 1}
    [event] = logged
    assert (event["event"], event["code"]) == ("sign_in" if name == SIGN_INS else "token_refused", code)


ASKED = {"redirect_uri": CALLBACK, "response_type": "code", "code_challenge": "x" * 43, "code_challenge_method": "S256"}
REFUSED = [
    ("GET", "/authorize", {}, "authorize", "invalid_request"),
    ("GET", "/authorize", {"client_id": "nobody", **ASKED}, "authorize", "client_unknown"),
    ("GET", "/consent", {}, "consent", "sign_in_expired"),
    ("GET", "/consent", {"txn_id": "nope"}, "consent", "sign_in_expired"),
    ("POST", "/consent", {"txn_id": "nope", "action": "approve"}, "consent", "sign_in_expired"),
    ("GET", "/auth/callback", {}, "callback", "sign_in_expired"),
    ("GET", "/auth/callback", {"state": "nope", "code": "x"}, "callback", "sign_in_expired"),
    ("GET", "/auth/callback", {"state": "nope", "error": "c4n4ry"}, "callback", "microsoft_refused"),
    ("POST", "/register", {}, "register", "invalid_client_metadata"),
]


@pytest.mark.parametrize(("method", "path", "values", "step", "code"), REFUSED)
async def test_request_that_is_refused_is_one_count(
    method: str, path: str, values: dict[str, str], step: str, code: str
) -> None:
    """At each endpoint before the tokens: one count, and one event with the step and the code."""
    async with running() as world:
        sent: dict[str, Any] = {"params": values} if method == "GET" else {"data": values}
        async with world.http() as http:
            with capture_logs() as logged:
                reply = await http.request(method, path, **sent)

        assert reply.status_code >= 400
        assert counted(world, SIGN_INS) == {("refused", code): 1}
    events = [one for one in logged if one["event"] == "sign_in"]
    assert [(one["outcome"], one["step"], one["code"]) for one in events] == [("refused", step, code)]
    assert "c4n4ry" not in str(logged)


# Rows of sabotage: what is broken at the start, what at Microsoft, where it is refused and with which code.
SABOTAGE: list[tuple[dict[str, Any], tuple[str, str, Any] | None, str]] = [
    ({"azure_client_secret": "wrong"}, None, "client_secret_rejected"),
    ({}, ("PATCH", "app", {"token_version": 1}), "token_version_mistake"),
    ({}, ("PATCH", "clock", {"offset_seconds": 7200}), "app_registration_mistake"),
    ({}, ("PATCH", "clock", {"offset_seconds": -7200}), "app_registration_mistake"),
]


@pytest.mark.parametrize(("changes", "planted", "code"), SABOTAGE)
async def test_broken_set_up_is_seen_in_log_and_metrics(
    changes: dict[str, Any], planted: tuple[str, str, Any] | None, code: str
) -> None:
    """An operator who has only log and metrics learns that sign-ins are refused, and why."""
    async with running(**changes) as world:
        if planted:
            await world.control(*planted)
        with capture_logs() as logged, suppress(Exception):
            await world.sign_in()

        assert counted(world, SIGN_INS) == {("begun", ""): 1, ("refused", code): 1}
    [begun, refused] = [one for one in logged if one["event"] == "sign_in"]
    assert (refused["code"], refused["step"], refused["sign_in"]) == (code, "callback", begun["sign_in"])
