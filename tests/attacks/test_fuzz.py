"""L1 and L2: many requests that are nearly right, at every OAuth endpoint and at /mcp, with the whole server here."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest

from tests.attacks.fuzzing import FORM, JSON, VERSIONS, Case, Fields, spoil
from tests.attacks.serving import serving
from tests.inprocess import CALLBACK, EVERY_TOOLSET, GRACE, SERVER, Tokens, World
from tests.simulator.client import VERIFIER, challenge

BATCH = 200  # cases for one server: below the limits of the endpoints, so that few are answered unread
BATCHES = 50  # of each row, of which `make test` runs the first


def form(path: str, **fields: str) -> Case:
    encoded: Fields = [(name.encode(), value.encode()) for name, value in fields.items()]
    return Case("POST", path, fields=encoded, headers=[(b"Content-Type", FORM), (b"Accept", JSON)])


def oauth_cases(tokens: Tokens) -> list[Case]:
    """Return a good request for each OAuth endpoint."""
    begin = {"response_type": "code", "client_id": tokens.client_id, "redirect_uri": CALLBACK, "state": "s"}
    begin |= {"code_challenge": challenge(), "code_challenge_method": "S256", "scope": "mcp-access"}
    begin |= {"resource": f"{SERVER}/mcp"}
    query: Fields = [(name.encode(), value.encode()) for name, value in begin.items()]
    browser: Fields = [
        (b"Accept", b"text/html"),
        (b"Cookie", b"MCP_CONSENT_STATE=x; a=b"),
        (b"Accept-Language", b"zh-TW"),
    ]
    client = {
        "redirect_uris": [CALLBACK],
        "token_endpoint_auth_method": "none",
        "client_name": "Claude",
        "grant_types": ["authorization_code", "refresh_token"],
        "jwks": {"keys": [{"kty": "EC"}]},
    }
    code = {"grant_type": "authorization_code", "code": "x", "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    assertion = {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}
    return [
        Case("GET", "/authorize", query=query, headers=browser),
        form("/authorize", **begin),
        Case("POST", "/register", document=client, headers=[(b"Content-Type", JSON), (b"Accept", JSON)]),
        form("/token", **code, client_id=tokens.client_id, resource=f"{SERVER}/mcp"),
        form("/token", grant_type="refresh_token", refresh_token=tokens.access, client_id=tokens.client_id),
        form("/token", **code, **assertion, client_assertion=tokens.access, client_id="https://127.0.0.1/x"),
        form("/revoke", token="x.y.z", token_type_hint="refresh_token", client_id=tokens.client_id),
        Case("GET", "/consent", query=[(b"txn_id", b"x"), (b"lang", b"en")], headers=browser),
        form("/consent", txn_id="x", csrf_token="y", action="approve"),
        Case("GET", "/auth/callback", query=[(b"code", b"x"), (b"state", b"y")], headers=browser),
        Case("GET", "/auth/callback", query=[(b"error", b"x"), (b"error_description", b"AADSTS1"), (b"state", b"y")]),
        Case("GET", "/approvals/0123456789abcdef0123456789abcdef", query=[(b"lang", b"en")], headers=browser),
        Case("GET", "/.well-known/oauth-authorization-server", query=[(b"a", b"b")], headers=browser),
        form("/approvals/0123456789abcdef0123456789abcdef", token="x", digest="y", decision="send"),
        Case("PUT", "/upload/x", headers=[(b"Content-Length", b"1")], body=b"x"),
    ]


MAIL = {"to": [GRACE], "subject": "s", "body": "b", "cc": [], "importance": "low", "attachments": [{"name": "a.txt"}]}
PARAMS: dict[str, dict[str, Any]] = {
    "initialize": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}},
    "tools/call": {"name": "send_mail", "arguments": MAIL, "inputResponses": {"a": {"action": "accept"}}},
    "tools/list": {"cursor": "x"},
    "server/discover": {},
    "subscriptions/listen": {"notifications": {"toolsListChanged": True}},
    "completion/complete": {"ref": {"type": "ref/prompt", "name": "x"}, "argument": {"name": "a", "value": "b"}},
    "resources/read": {"uri": "file:///etc/passwd"},
    "logging/setLevel": {"level": "debug"},
    "notifications/cancelled": {"requestId": 1, "reason": "x"},
    "ping": {},
}
TOOLS = ("send_mail", "create_draft", "send_draft", "reply", "forward", "schedule_mail", "attach_files", "find_people")


def mcp_case(chance: Random, tokens: Tokens) -> Case:
    """Return a good message to /mcp, in the envelope of some revision."""
    version, method = chance.choice(VERSIONS), chance.choice([*PARAMS])
    params = dict(PARAMS[method])
    if method == "tools/call":
        params["name"] = chance.choice(TOOLS)
    meta = {
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"url": {}}},
        "io.modelcontextprotocol/clientInfo": {"name": "c", "version": "1"},
    }
    headers: Fields = [
        (b"Content-Type", JSON),
        (b"Accept", b"application/json, text/event-stream"),
        (b"Authorization", b"Bearer " + tokens.access.encode()),
        (b"MCP-Protocol-Version", version.encode("latin-1")),
        (b"Mcp-Method", method.encode()),
        (b"Mcp-Name", str(params.get("name", "")).encode()),
        (b"Mcp-Session-Id", b"x"),
    ]
    document = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}
    return Case("POST", "/mcp", document=document, headers=headers)


async def run(world: World, cases: list[Case]) -> Counter[int]:
    """Send the cases; return how often each status came. None may be a fault of the server."""
    statuses: Counter[int] = Counter()
    async with world.http() as http:
        for case in cases:
            answer = await http.request(case.method, case.target(), content=case.content(), headers=case.headers)
            is_entras = (
                case.path == "/auth/callback" and answer.status_code == 503
            )  # the callback says that Entra failed
            assert answer.status_code < 500 or is_entras, (case, answer.status_code, answer.text)
            statuses[answer.status_code] += 1
    return statuses


SEEDS = pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.full) for seed in range(1, BATCHES))]
)


@SEEDS
async def test_l1_nearly_right_requests_to_oauth_endpoints_are_no_fault_and_begin_nothing(seed: int) -> None:
    """200 cases a seed, 10,000 in all: no answer is a fault, and no session, mail or request to Entra comes of it."""
    chance = Random(f"oauth {seed}")  # noqa: S311 - the same cases every time
    async with serving(m365_toolsets=EVERY_TOOLSET, m365_send_approval="all") as world:
        tokens = await world.sign_in()
        world.network.seen.clear()
        good = oauth_cases(tokens)
        statuses = await run(world, [spoil(chance, good[number % len(good)]) for number in range(BATCH)])
        sessions = [one async for one in world.container.sign_ins.sessions.all()]
        access = await world.container.auth.load_access_token(tokens.access)

        assert await world.sent() == []
    assert (len(sessions), access is not None) == (1, True)
    assert [request.url.path for request in world.network.seen] == []
    assert statuses[429] < BATCH / 4, statuses
    assert statuses[400] > BATCH / 4, statuses


@SEEDS
async def test_l2_nearly_right_messages_to_mcp_are_no_fault_and_send_nothing(seed: int) -> None:
    """200 cases a seed, 10,000 in all, in the envelopes of all revisions: no answer is a fault, and nothing is sent."""
    chance = Random(f"mcp {seed}")  # noqa: S311 - the same cases every time
    async with serving(m365_toolsets=EVERY_TOOLSET, m365_send_allowed_domains="none") as world:
        tokens = await world.sign_in()
        statuses = await run(world, [spoil(chance, mcp_case(chance, tokens)) for _ in range(BATCH)])
        access = await world.container.auth.load_access_token(tokens.access)

        assert await world.sent() == []
    assert access is not None
    assert statuses[200] > BATCH / 20, statuses
    assert sum(number for status, number in statuses.items() if status >= 400) > BATCH / 4, statuses
