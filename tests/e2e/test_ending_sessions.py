"""Sign-ins that end: by the client, by the operator, by Microsoft; each with one clean 401 and a sign-in that works."""

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from m365_mcp.settings import foreign_environment
from tests.e2e.grants import (
    Grant,
    assistant_at,
    call_tool,
    grant_of,
    post_mcp,
    refresh,
    signed_in,
    start_replicas,
    start_server,
)
from tests.e2e.person import Assistant, direct_client, text_of
from tests.e2e.preloaded import can_be_forked, run_preloaded
from tests.e2e.programs import PATIENCE_SECONDS, Redis, Server, Simulator

pytestmark = pytest.mark.full

ACRS = {"access_token": {"acrs": {"essential": True, "value": "c1"}}}


@pytest.fixture
def replicas(tmp_path: Path, simulator: Simulator, shared_redis: Redis) -> list[Server]:
    """Replicas that ask the store at every call, because a test looks at what another replica reads."""
    return start_replicas(tmp_path, simulator, shared_redis.url, MCP_SESSION_CACHE_SECONDS="0")


async def revoke(server: Server, grant: Grant, token: str, **form: str) -> int:
    async with direct_client() as http:
        reply = await http.post(f"{server.url}/revoke", data={"token": token, "client_id": grant.client_id, **form})
    return reply.status_code


@pytest.mark.parametrize("which", ["access", "refresh"])
async def test_c11_revoked_token_ends_its_session_on_all_replicas(
    replicas: list[Server], simulator: Simulator, which: str
) -> None:
    """C11: RFC 7009 with either token: every replica answers 401 from then on, and other sessions live."""
    one, two = replicas
    mine, other = await signed_in(one, simulator), await signed_in(one, simulator)

    assert await revoke(two, mine, getattr(mine, which)) == 200

    assert [(await post_mcp(replica.url, mine.access)).status_code for replica in replicas] == [401, 401]
    assert (await refresh(one.url, mine)).json()["error"] == "invalid_grant"
    assert (await post_mcp(one.url, other.access)).status_code == 200


@pytest.mark.parametrize("ends", ["sign-out", "command"])
async def test_c11_session_that_ended_elsewhere_never_writes(
    tmp_path: Path, simulator: Simulator, shared_redis: Redis, ends: str
) -> None:
    """C11: a replica that has just read the session still lets it read, and answers the first attempt to write 401."""
    one, two = start_replicas(tmp_path, simulator, shared_redis.url, MCP_SESSION_CACHE_SECONDS="30")
    mine = await signed_in(one, simulator)
    mail = {"to": ["grace@contoso.example"], "subject": "Figures", "body": "<p>Hi</p>"}

    before = await call_tool(two.url, mine.access)
    if ends == "command":
        assert operate(one, "end", "ada@contoso.example").returncode == 0
    else:
        assert await revoke(one, mine, mine.access) == 200
    at_one = await post_mcp(one.url, mine.access) if ends == "sign-out" else None
    reads = await call_tool(two.url, mine.access)
    written = await call_tool(two.url, mine.access, "send_mail", **mail)
    after = await call_tool(two.url, mine.access)

    assert [reply.status_code for reply in (before, reads, written, after)] == [200, 200, 401, 401]
    assert at_one is None or at_one.status_code == 401
    assert "sign_in_needed: " in written.headers["WWW-Authenticate"]
    assert simulator.outbox == []


async def test_c11_session_that_ended_elsewhere_reads_for_the_chosen_seconds_at_most(
    tmp_path: Path, simulator: Simulator, shared_redis: Redis
) -> None:
    """C11: however often it reads meanwhile, it is refused at last."""
    one, two = start_replicas(tmp_path, simulator, shared_redis.url, MCP_SESSION_CACHE_SECONDS="1")
    mine = await signed_in(one, simulator)
    assert (await post_mcp(two.url, mine.access)).status_code == 200
    assert await revoke(one, mine, mine.access) == 200

    async with asyncio.timeout(PATIENCE_SECONDS):
        while (reply := await post_mcp(two.url, mine.access)).status_code == 200:  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    assert reply.status_code == 401


async def test_revocation_knows_its_clients_and_is_announced(server: Server, simulator: Simulator) -> None:
    """A stranger's token, a missing one and an unknown client change nothing; the metadata names the endpoint."""
    mine, other = await signed_in(server, simulator), await signed_in(server, simulator)

    async with direct_client() as http:
        metadata = (await http.get(f"{server.url}/.well-known/oauth-authorization-server")).json()

    assert metadata["revocation_endpoint"] == f"{server.url}/revoke"
    assert await revoke(server, mine, other.access) == 200
    assert await revoke(server, mine, "garbage") == 200
    assert await revoke(server, mine, "") == 400
    assert await revoke(server, mine, mine.access, client_id="stranger") == 401
    assert (await post_mcp(server.url, other.access)).status_code == 200
    assert (await post_mcp(server.url, mine.access)).status_code == 200


def operate(server: Server, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the operator's command with the server's own settings."""
    environment = {**foreign_environment(), **server.program.environment, "COLUMNS": "200"}
    if can_be_forked(server.program.environment):
        return run_preloaded("sessions", *arguments, folder=server.program.log.parent, environment=environment)
    command = [sys.executable, "-m", "m365_mcp", "sessions", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


async def test_c11_operator_ends_one_persons_sessions_or_all(replicas: list[Server], simulator: Simulator) -> None:
    """C11: the command lists who is signed in and ends one person's sessions, then everybody's, on all replicas."""
    one, two = replicas
    ada, grace = await signed_in(one, simulator), await signed_in(one, simulator, "grace@contoso.example")

    listed = operate(one, "list")
    ended = operate(one, "end", "Ada@contoso.example")
    statuses = [(await post_mcp(two.url, grant.access)).status_code for grant in (ada, grace)]
    all_ended = operate(one, "end", "--all")
    after = (await post_mcp(two.url, grace.access)).status_code
    confused = operate(one, "end")

    assert "ada@contoso.example" in listed.stdout
    assert "grace@contoso.example" in listed.stdout
    assert re.search(r"^[1-9]\d* sessions? ended$", ended.stdout, re.MULTILINE)
    assert statuses == [401, 200]
    assert re.search(r"^[1-9]\d* sessions? ended$", all_ended.stdout, re.MULTILINE)
    assert after == 401
    assert confused.returncode == 1
    assert "--all" in confused.stderr


async def test_operator_sees_the_sessions_on_disk(simulator: Simulator, tmp_path: Path) -> None:
    """A laptop without Redis can end its sessions, too: in another process than the one that reads."""
    chosen = {"MCP_DATA_DIR": str(tmp_path / "data"), "REDIS_URL": "", "MCP_SESSION_CACHE_SECONDS": "0"}
    server = start_server(tmp_path, simulator, **chosen)
    ada = await signed_in(server, simulator)

    listed, ended = operate(server, "list"), operate(server, "end", "--all")
    after = await post_mcp(server.url, ada.access)
    server.program.end()

    assert "1 session\n" in listed.stdout
    assert "1 session ended" in ended.stdout
    assert after.status_code == 401


async def test_c12_disabled_person_is_out_within_one_token_life_and_told_why(
    ada: Assistant, server: Server, simulator: Simulator
) -> None:
    """C12, F2: Graph challenges the token at once; the tool, the 401 and the refused refresh say why."""
    assert not (await ada.call("get_my_profile")).is_error
    grant = await grant_of(ada)
    simulator.control("PATCH", "people/ada", enabled=False)

    told = await ada.call("get_my_profile")
    dead = await post_mcp(server.url, grant.access)
    refused = await refresh(server.url, grant)

    assert text_of(told).startswith("sign_in_needed: The Microsoft account is disabled.")
    assert dead.status_code == 401
    assert 'error="invalid_token"' in dead.headers["WWW-Authenticate"]
    assert refused.json()["error"] == "invalid_grant"
    why = "sign_in_needed: The Microsoft account is disabled."
    assert why in dead.headers["WWW-Authenticate"]
    for reply in (dead, refused):
        assert reply.json()["error_description"].startswith(why)
        assert "AADSTS50057" in reply.json()["error_description"]


async def test_f7_step_up_is_told_in_words_and_asked_for_at_the_next_sign_in(
    ada: Assistant, server: Server, simulator: Simulator
) -> None:
    """F7: MFA is wanted: the tool says so, one 401, and the next sign-in carries Entra's claims and then works."""
    simulator.control("PATCH", "people/ada", must_do_mfa=True)

    told = await ada.call("get_my_profile")
    simulator.control("DELETE", "requests")
    then = await ada.call("get_my_profile")

    assert text_of(told).startswith("step_up_needed: Microsoft asks for multi-factor authentication.")
    assert not then.is_error
    assert ada.sign_ins == 2
    asked = [request for request in simulator.control("GET", "requests") if request["path"].endswith("/authorize")]
    assert len(asked) == 2  # the sign-in as always, and the round for what is wanted besides
    sent = [page for page in ada.person.pages if "claims=" in page.headers.get("Location", "")]
    query = parse_qs(urlsplit(sent[-1].headers["Location"]).query)
    assert json.loads(query["claims"][0]) == ACRS
    assert query["login_hint"] == ["ada@contoso.example"]
    assert "prompt" not in query


async def test_step_up_of_one_person_bothers_nobody_else(server: Server, simulator: Simulator) -> None:
    """Grace signs in as always while Ada's next sign-in is to be stronger."""
    simulator.control("PATCH", "people/ada", must_do_mfa=True)
    ada = assistant_at(server, simulator)
    assert (await ada.call("get_my_profile")).is_error

    grace = assistant_at(server, simulator, "grace@contoso.example")
    result = await grace.call("get_my_profile")

    assert not result.is_error
    assert not [page for page in grace.person.pages if "claims=" in page.headers.get("Location", "")]


async def test_graph_challenge_is_answered_once_with_its_claims(
    ada: Assistant, server: Server, simulator: Simulator
) -> None:
    """Graph wants a newer token (continuous access evaluation): one exchange with its claims, and the call succeeds."""
    assert not (await ada.call("get_my_profile")).is_error
    simulator.control("DELETE", "requests")
    nbf = "eyJhY2Nlc3NfdG9rZW4iOnsibmJmIjp7ImVzc2VudGlhbCI6dHJ1ZSwidmFsdWUiOiIxNjA0MTA2NjUxIn19fQ=="
    challenge = f'Bearer realm="", error="insufficient_claims", claims="{nbf}"'
    body = {"error": {"code": "InvalidAuthenticationToken", "message": "TokenCreatedWithOutdatedPolicies"}}
    what = {"status": 401, "headers": {"WWW-Authenticate": challenge}, "body": body}
    simulator.control("POST", "faults", where={"path": "/v1.0/me"}, what=what)

    result = await ada.call("get_my_profile")

    assert not result.is_error
    assert simulator.count(grant_type="urn:ietf:params:oauth:grant-type:jwt-bearer") == 1
    assert ada.sign_ins == 1


async def test_f11_assertion_that_died_between_check_and_use_is_replaced(
    ada: Assistant, server: Server, simulator: Simulator
) -> None:
    """F11: Entra withdraws the key that signed the assertion; it is refreshed and the same call succeeds."""
    grant = await signed_in(server, simulator, "grace@contoso.example")
    assert not (await ada.call("get_my_profile")).is_error
    simulator.control("POST", "keys/roll", emergency=True)

    # Ada's Graph token is refused as well; Grace has used hers before. Both go on without a sign-in.
    hers = await call_tool(server.url, grant.access)
    result = await ada.call("get_my_profile")

    assert not result.is_error
    assert not hers.json()["result"].get("isError"), hers.text
    assert ada.sign_ins == 1


async def test_renewed_assertion_that_entra_refuses_as_well_is_an_outage(ada: Assistant, simulator: Simulator) -> None:
    """Entra refuses what it has just renewed: the call is told to come later, and the sign-in lives on."""
    assert not (await ada.call("get_my_profile")).is_error
    simulator.control("POST", "keys/roll", emergency=True)  # the Graph token in hand no longer counts
    where = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer"}
    what = {"status": 400, "body": {"error": "invalid_grant", "error_codes": [500133]}}
    simulator.control("POST", "faults", where=where, what=what, times=2)

    refused = await ada.call("get_my_profile")
    result = await ada.call("get_my_profile")

    assert "entra_unavailable" in text_of(refused)
    assert not result.is_error, text_of(result)
    assert ada.sign_ins == 1
