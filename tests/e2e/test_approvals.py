"""Mail that waits for approval, as a model and a person meet it: a real server, a real store, and a restart between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError, UrlElicitationRequiredError
from mcp_types import ElicitRequestParams, ElicitResult

from tests.e2e.grants import signed_in, start_replicas, start_server
from tests.e2e.person import Assistant, PersonAtBrowser, decide, direct_client, done, refused
from tests.e2e.programs import Redis, Simulator

ADA, MARIE = "ada@contoso.example", "marie@fabrikam.example"
MAIL: dict[str, Any] = {"to": [MARIE], "subject": "Lunch?", "body": "At noon?"}


async def test_i1_l1_held_mail_outlives_a_restart_and_its_sender_sends_it(
    simulator: Simulator, shared_redis: Redis, tmp_path: Path
) -> None:
    """The model gets a link and hears what became of it; another process sends what the first one held."""
    options = {"M365_SEND_APPROVAL": "external", "M365_INTERNAL_DOMAINS": "contoso.example"}
    server = start_server(tmp_path, simulator, REDIS_URL=shared_redis.url, **options)
    person = PersonAtBrowser(simulator.ready["ca_file"])
    ada = Assistant(server.url, person)
    grace = Assistant(server.url, PersonAtBrowser(simulator.ready["ca_file"], "grace@contoso.example"))

    inside = await done(ada, "send_mail", **{**MAIL, "to": ["grace@contoso.example"]})
    held, again = await done(ada, "send_mail", **MAIL), await done(ada, "send_mail", **MAIL)
    waits = await done(ada, "get_send_status", message_id=held["message_id"])
    foreign = await refused(grace, "get_send_status", message_id=held["message_id"])
    server.program.end()
    server.start()
    before = len(simulator.outbox)
    page = await decide(person, held["approval_url"], "send")
    sent = await done(ada, "get_send_status", message_id=held["message_id"])
    repeat = await done(ada, "send_mail", **MAIL)

    assert inside["status"] == "sent"
    assert (held["status"], held["accepted_at"], held["rule"]) == (
        "approval_needed",
        None,
        "setting:M365_SEND_APPROVAL",
    )
    assert held["approval_url"] == f"{server.url}/approvals/{held['message_id']}"
    assert held["approval_url"] in held["warnings"][0]
    assert again == held
    assert (waits["status"], waits["approval_url"]) == ("approval_needed", held["approval_url"])
    assert foreign.startswith("approval_unknown: ")
    assert before == 1
    assert page.status_code == 200
    assert [mail["to"][0]["address"] for mail in simulator.outbox] == ["grace@contoso.example", MARIE]
    assert (sent["status"], sent["approval_url"]) == ("already_sent", None)
    assert (repeat["status"], repeat["message_id"]) == ("already_sent", held["message_id"])
    assert MARIE not in server.log
    assert "Lunch" not in server.log


@pytest.mark.full
async def test_i1_replica_that_a_client_never_met_asks_it_to_open_the_page(
    simulator: Simulator, shared_redis: Redis, tmp_path: Path
) -> None:
    """A client initializes at one replica and calls at another: -32042, once; by 2026-07-28 it needs no handshake."""
    replicas = start_replicas(tmp_path, simulator, shared_redis.url, M365_SEND_APPROVAL="all")
    grant = await signed_in(replicas[0], simulator)
    met: list[str] = []
    asked: list[ElicitRequestParams] = []

    async def answer(context: Any, params: ElicitRequestParams) -> ElicitResult:
        asked.append(params)
        return ElicitResult(action="accept")

    async def take_turns(request: httpx2.Request) -> None:
        request.url = httpx2.URL(f"{replicas[len(met) % 2].url}/mcp")
        met.append(str(request.url))

    def client(http: httpx2.AsyncClient, mode: Any) -> Client:
        return Client(
            streamable_http_client(f"{replicas[0].url}/mcp", http_client=http), mode=mode, elicitation_callback=answer
        )

    async with direct_client(headers={"Authorization": f"Bearer {grant.access}"}) as http:
        http.event_hooks = {"request": [take_turns]}
        async with client(http, "legacy") as old:
            with pytest.raises(MCPError) as caught:
                await old.call_tool("send_mail", MAIL)
            repeats = [(await old.call_tool("send_mail", MAIL)).structured_content for _ in range(2)]
        async with client(http, "2026-07-28") as new:
            other = (await new.call_tool("send_mail", {**MAIL, "subject": "Other"})).structured_content

    [by_error] = UrlElicitationRequiredError.from_error(caught.value.error).elicitations
    assert [one and one["approval_url"] for one in repeats] == [by_error.url] * 2
    assert other is not None
    assert [getattr(one, "url", None) for one in asked] == [other["approval_url"]]
    assert len(set(met)) == 2
    assert simulator.outbox == []
