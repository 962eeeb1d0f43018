"""Settings away from their defaults, by what they change for a client, a mailbox or an operator.

`tests/test_settings_effects.py` says which test proves which setting.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import redis as redis_py

from m365_mcp import settings
from m365_mcp.container import build_container
from tests.e2e.grants import KEYS, Grant, assistant_at, call_tool, signed_in, start_server
from tests.e2e.person import done, text_of
from tests.e2e.programs import Redis, Server, Simulator, forget_sends, free_port, make_server
from tests.trust import NO_AUTHORITY

pytestmark = [pytest.mark.full, pytest.mark.xdist_group("tuned server")]
MAIL: dict[str, Any] = {"to": ["grace@contoso.example"], "subject": "Hello", "body": "<p>Hi</p>"}
TUNED = {
    "MCP_SESSION_HOURS": "2",
    "M365_SEND_MODE": "draft",
    "M365_SEND_KEY_HOURS": "3",
    "M365_SEND_REPEAT_MINUTES": "5",
    "M365_SEND_MAX_RECIPIENTS": "2",
    "M365_SEND_HOURLY_LIMIT": "3",
    "M365_SEND_PERSON_HOURLY": "9",
    "M365_SEND_BLOCKED_EXTENSIONS": "Xyz,abc",
    "M365_SEND_THROTTLED_SECONDS": "30",
}


@pytest.fixture(scope="module")
def tuned_server(
    tmp_path_factory: pytest.TempPathFactory, shared_simulator: Simulator, shared_redis: Redis
) -> Iterator[Server]:
    """A server with every setting of `TUNED`."""
    folder = tmp_path_factory.mktemp("tuned-server")
    server = make_server(folder, shared_simulator, REDIS_URL=shared_redis.url, **KEYS, **TUNED)
    server.program.shared = True
    server.start()
    yield server
    assert server.program.end() == 0


@pytest.fixture(scope="module")
def tuned_grant(tuned_server: Server, shared_simulator: Simulator) -> Grant:
    """One sign-in of Ada's for all tests of this server."""
    return asyncio.run(signed_in(tuned_server, shared_simulator))


class Tuned:
    """Ada at the tuned server."""

    def __init__(self, server: Server, grant: Grant) -> None:
        self._server, self.grant = server, grant

    async def send(self, **changes: Any) -> tuple[bool, str]:
        """Send a mail; return whether it was sent, and what was said."""
        reply = await call_tool(self._server.url, self.grant.access, "send_mail", **{**MAIL, **changes})
        result = reply.json()["result"]
        return not result["isError"], str(result["content"][0]["text"])


@pytest.fixture
def ada(tuned_server: Server, tuned_grant: Grant, shared_redis: Redis, shared_simulator: Simulator) -> Tuned:
    forget_sends(shared_redis)
    shared_simulator.control("DELETE", "faults")
    return Tuned(tuned_server, tuned_grant)


def seconds_kept(redis: Redis) -> list[int]:
    """Return for how long the records of sends are still kept."""
    with redis_py.Redis.from_url(redis.url) as client:
        return [int(client.ttl(key)) for key in client.scan_iter("m365-sends:*")]


async def test_send_mode_draft_sends_a_draft(ada: Tuned, shared_simulator: Simulator) -> None:
    """M365_SEND_MODE=draft: the message is made as a draft, and the draft is sent."""
    assert (await ada.send())[0]

    assert shared_simulator.outbox[-1]["via"] == "draft"


async def test_key_is_remembered_for_the_chosen_hours(ada: Tuned, shared_redis: Redis) -> None:
    """M365_SEND_KEY_HOURS: what was sent with a key is forgotten after so many hours."""
    assert (await ada.send(idempotency_key="k"))[0]

    kept = seconds_kept(shared_redis)
    assert kept
    assert all(3 * 3600 - 60 < seconds <= 3 * 3600 for seconds in kept)


async def test_equal_message_is_a_repeat_for_the_chosen_minutes(ada: Tuned, shared_redis: Redis) -> None:
    """M365_SEND_REPEAT_MINUTES: what was sent without a key is forgotten after so many minutes."""
    assert (await ada.send())[0]

    kept = seconds_kept(shared_redis)
    assert kept
    assert all(5 * 60 - 60 < seconds <= 5 * 60 for seconds in kept)


async def test_more_recipients_than_the_operator_allows_are_refused(ada: Tuned) -> None:
    """M365_SEND_MAX_RECIPIENTS: with 2, a third recipient is one too many."""
    two, three = (["a@contoso.example", "b@contoso.example", "c@contoso.example"][:count] for count in (2, 3))

    refused, said = await ada.send(to=three)
    assert not refused
    assert "3 recipients" in said
    assert (await ada.send(to=two))[0]


async def test_one_address_gets_as_many_mails_an_hour_as_the_operator_allows(ada: Tuned) -> None:
    """M365_SEND_HOURLY_LIMIT: with 3, seven mails to one address are too many, even over the turn of an hour."""
    results = [await ada.send(subject=f"Number {number}") for number in range(7)]

    assert [is_sent for is_sent, _ in results][:3] == [True] * 3
    assert [said for is_sent, said in results if not is_sent and said.startswith("rate_limited: ")]


async def test_g22_client_reads_which_limit_is_reached_and_how_long_to_wait(
    ada: Tuned, shared_simulator: Simulator
) -> None:
    """M365_SEND_PERSON_HOURLY: the tenth message is refused with code, sentence, advice and seconds."""
    mails = [{"to": [f"person{number}@contoso.example"], "subject": f"Number {number}"} for number in range(10)]
    before = len(shared_simulator.outbox)
    results = [await ada.send(**one) for one in mails]
    repeat, _ = await ada.send(**mails[0])

    assert [is_sent for is_sent, _ in results] == [True] * 9 + [False]
    text = results[-1][1]
    assert text.startswith(
        "rate_limited: You have reached the limit of 9 messages an hour for one person. Nothing was sent. "
        "What to do: Do not try other ways to send it; try again in "
    )
    assert "The operator sets M365_SEND_PERSON_HOURLY." in text
    seconds = re.search(r"Retry after (\d+) seconds\.", text)
    assert seconds
    assert 60 * 60 < int(seconds[1]) <= 70 * 60
    assert repeat
    assert len(shared_simulator.outbox) == before + 9


@pytest.mark.parametrize(("name", "sends"), [("a.xyz", False), ("a.ABC", False), ("a.exe", True), ("a.txt", True)])
async def test_only_the_chosen_extensions_are_blocked(ada: Tuned, name: str, sends: bool) -> None:
    """M365_SEND_BLOCKED_EXTENSIONS takes the place of the built-in list, in either case."""
    is_sent, said = await ada.send(attachments=[{"name": name, "content_base64": "aGk="}])

    assert is_sent is sends
    assert ("of a type that this server does not attach" in said) is not sends


async def test_throttled_message_is_offered_again_for_the_chosen_time(ada: Tuned, shared_simulator: Simulator) -> None:
    """M365_SEND_THROTTLED_SECONDS: a message that Graph throttles is sent after the wait; too long a wait is told."""
    refusal = {"status": 429, "body": {"error": {"code": "TooManyRequests", "message": "x"}}}
    where = {"path": "/v1.0/me/messages", "method": "POST"}
    throttled = {**refusal, "headers": {"Retry-After": "1"}}
    shared_simulator.control("POST", "faults", where=where, what=throttled, times=1)
    patient, _ = await ada.send()
    shared_simulator.control("POST", "faults", where=where, what={**refusal, "headers": {"Retry-After": "60"}}, times=1)
    impatient, said = await ada.send(subject="Another")

    assert patient
    assert not impatient
    assert said.startswith("throttled: ")


async def test_tokens_are_good_for_the_chosen_hours(tuned_server: Server, shared_simulator: Simulator) -> None:
    """MCP_SESSION_HOURS: a client is told how long its access token lasts."""
    grant = await signed_in(tuned_server, shared_simulator)
    async with httpx2.AsyncClient(verify=NO_AUTHORITY, trust_env=False) as http:
        reply = await http.post(f"{tuned_server.url}/token", data=grant.refresh_form)

    assert reply.json()["expires_in"] == 2 * 3600


async def test_server_listens_where_it_is_told(shared_simulator: Simulator, tmp_path: Path) -> None:
    """MCP_HOST, MCP_PORT and MCP_METRICS_PORT: only this address answers, on these two ports."""
    port, metrics = free_port(), free_port()
    chosen = {"MCP_HOST": "127.0.0.2", "MCP_PORT": str(port), "MCP_METRICS_PORT": str(metrics)}
    server = make_server(tmp_path, shared_simulator, REDIS_URL="memory://", **chosen)
    server.url = f"http://127.0.0.2:{port}"
    server.start()

    async with httpx2.AsyncClient(verify=NO_AUTHORITY, trust_env=False) as http:
        found = await http.get(f"http://127.0.0.2:{metrics}/metrics")
        with pytest.raises(httpx2.ConnectError):
            await http.get(f"http://127.0.0.1:{port}/livez")
        with pytest.raises(httpx2.ConnectError):
            await http.get(f"http://127.0.0.1:{metrics}/metrics")

    assert "m365_mcp_tool_calls_total" in found.text


async def test_log_has_the_chosen_format_and_level(shared_simulator: Simulator, tmp_path: Path) -> None:
    """MCP_LOG_FORMAT=text and MCP_LOG_LEVEL=warning: lines for people, and no line of a call that went well."""
    loud = start_server(tmp_path, shared_simulator)
    quiet = start_server(tmp_path, shared_simulator, MCP_LOG_FORMAT="text", MCP_LOG_LEVEL="warning")
    for server in (loud, quiet):
        await done(assistant_at(server, shared_simulator), "get_my_profile")
        server.program.end()

    events = [json.loads(line)["event"] for line in loud.log.splitlines()]
    assert {"storage_opened", "tool_called"} <= set(events)
    assert "storage_opened" in quiet.log
    assert "tool_called" not in quiet.log
    assert not [line for line in quiet.log.splitlines() if line.startswith("{")]


async def test_data_folder_is_the_chosen_one(shared_simulator: Simulator, tmp_path: Path) -> None:
    """MCP_DATA_DIR: without a Redis everything is kept below this folder."""
    folder = tmp_path / "elsewhere"
    server = make_server(tmp_path, shared_simulator, MCP_DATA_DIR=str(folder))
    server.start()
    await done(assistant_at(server, shared_simulator), "get_my_profile")

    assert [path for path in folder.rglob("*") if path.is_file()]


async def test_private_authority_is_trusted_when_it_is_named(shared_simulator: Simulator) -> None:
    """SSL_CERT_FILE: a server whose certificate a private authority has signed is believed, and else it is not."""
    chosen = {name.lower(): value for name, value in shared_simulator.settings.items()}
    trusting = build_container(settings.load(**chosen, redis_url="memory://"))
    wary = build_container(settings.load(**{**chosen, "ssl_cert_file": None}, redis_url="memory://"))
    page = f"{shared_simulator.ready['authority']}/common/discovery/v2.0/keys"
    try:
        assert (await trusting.http.get(page)).status_code == 200
        for http in (wary.http, wary.graph_http):
            with pytest.raises(httpx2.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await http.get(page)
    finally:
        await trusting.close()
        await wary.close()


async def test_blind_copies_and_other_senders_are_off_until_they_are_allowed(
    tuned_server: Server, shared_simulator: Simulator
) -> None:
    """M365_SEND_BCC and M365_SEND_FROM: where they are not set, the error names them."""
    ada = assistant_at(tuned_server, shared_simulator)

    blind = text_of(await ada.call("send_mail", {**MAIL, "bcc": ["eve@contoso.example"]}))
    shared = text_of(await ada.call("send_mail", {**MAIL, "from_": "team@contoso.example"}))

    assert "M365_SEND_BCC" in blind
    assert "M365_SEND_FROM" in shared
