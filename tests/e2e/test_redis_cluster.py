"""Servers on a real Redis cluster of three nodes: a person's day, and nodes that die, fail over and come back."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.grants import Grant, assistant_at, call_tool, grant_of, refresh, signed_in, start_replicas
from tests.e2e.person import decide, done
from tests.e2e.programs import Server, Simulator
from tests.e2e.test_ending_sessions import operate
from tests.e2e.test_scheduling import in_hours
from tests.e2e.test_sending_once import said
from tests.redis_cluster import Cluster, admin, is_ok, primary_of_first_slots, running_cluster

pytestmark = [pytest.mark.full, pytest.mark.timeout(300)]

MAIL: dict[str, Any] = {"to": ["grace@contoso.example"], "subject": "Hi", "body": "<p>Hi</p>"}
OUTSIDE = {"to": ["marie@fabrikam.example"], "subject": "Lunch?", "body": "At noon?"}
SETTINGS: dict[str, Any] = {
    "M365_TOOLSETS": "schedule",
    "M365_SEND_APPROVAL": "external",
    "M365_INTERNAL_DOMAINS": "contoso.example",
    "MCP_SESSION_CACHE_SECONDS": "0",  # reads what another process has ended
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes that the tests break none of."""
    with running_cluster(tmp_path_factory.mktemp("cluster"), shared=True) as cluster:
        yield cluster


@pytest.fixture
def replicas(tmp_path: Path, simulator: Simulator, cluster: Cluster) -> list[Server]:
    cluster.clear()
    return start_replicas(tmp_path, simulator, cluster.url, **SETTINGS)


async def test_sign_in_refresh_schedule_approve_and_list(
    replicas: list[Server], simulator: Simulator, cluster: Cluster
) -> None:
    """What one replica stores, the other finds, on whatever node it is; no command crosses a slot."""
    one, two = replicas
    ada = assistant_at(one, simulator)
    held = await done(ada, "send_mail", **OUTSIDE)
    grant = await grant_of(ada)
    grant = grant.after(await refresh(two.url, grant))
    later = await done(ada, "schedule_mail", **MAIL, send_at=in_hours(2))
    cancelled = await done(ada, "cancel_scheduled", scheduled_id=later["scheduled_id"])
    page = await decide(ada.person, held["approval_url"], "send")
    sent = await done(ada, "get_send_status", message_id=held["message_id"])
    listed, ended = operate(two, "list"), operate(one, "end", "--all")
    after = [(await call_tool(server.url, grant.access)).status_code for server in replicas]

    assert (held["status"], cancelled["status"], sent["status"]) == ("approval_needed", "cancelled", "already_sent")
    assert page.status_code == 200
    assert "ada@contoso.example" in listed.stdout
    assert (ended.returncode, after) == (0, [401, 401])
    assert [mail["subject"] for mail in simulator.outbox] == ["Lunch?"]
    assert cluster.refusals() == {}


async def test_one_of_many_equal_calls_sends_and_limits_count_on_all_nodes(
    tmp_path: Path, simulator: Simulator, cluster: Cluster
) -> None:
    """Twelve equal calls on two replicas send one mail; the seventh other mail of an hour is refused on both."""
    cluster.clear()
    replicas = start_replicas(tmp_path, simulator, cluster.url, M365_SEND_PERSON_HOURLY="6")
    grants = [await signed_in(replicas[0], simulator, f"{name}@contoso.example") for name in ("ada", "grace")]

    async def send(number: int, grant: Grant, **more: str) -> str:
        return said(await call_tool(replicas[number % 2].url, grant.access, "send_mail", **{**MAIL, **more}))

    for grant in grants:
        equal = await asyncio.gather(*(send(n, grant, idempotency_key="k") for n in range(12)))
        assert Counter(equal) == {"sent": 1, "repeat": 11}
        others = [await send(n, grant, subject=f"{n}") for n in range(7)]
        assert others == ["sent"] * 5 + ["not sent"] * 2

    assert len(simulator.outbox) == 2 * 6
    assert cluster.refusals() == {}
    assert {node.port for node in cluster.keys().values()} == {node.port for node in cluster.primaries}


async def test_node_that_dies_is_an_outage_of_its_keys_and_no_sign_out(tmp_path: Path, simulator: Simulator) -> None:
    """While the node of a session is dead its calls are 503, never 401; others go on; afterwards nothing is lost."""
    with running_cluster(tmp_path / "cluster", "--cluster-require-full-coverage", "no") as cluster:
        server, other = start_replicas(tmp_path, simulator, cluster.url)
        grant = await signed_in(server, simulator)
        first = said(await call_tool(server.url, grant.access, "send_mail", **MAIL))
        [session] = cluster.keys("m365-sessions:*")
        node = cluster.owner(session)
        node.program.end(9)
        away = [(await call_tool(one.url, grant.access, "send_mail", **MAIL)).status_code for one in (server, other)]
        node.start()
        cluster.wait_until(is_ok)
        for one in (server, other):
            one.wait_until_ready()
        told = [said(await call_tool(one.url, grant.access, "send_mail", **MAIL)) for one in (other, server)]

    assert (first, away, told) == ("sent", [503, 503], ["repeat", "repeat"])
    assert len(simulator.outbox) == 1


async def test_failover_during_sends_sends_nothing_twice(tmp_path: Path, simulator: Simulator) -> None:
    """Callers who repeat a call until it is answered get each mail sent once, while a replica takes over."""
    options = "--cluster-require-full-coverage", "no", "--cluster-replica-validity-factor", "0"
    with running_cluster(tmp_path / "cluster", *options, replicas=1) as cluster:
        limits: dict[str, Any] = dict.fromkeys(("M365_SEND_HOURLY_LIMIT", "M365_SEND_PERSON_HOURLY"), "0")
        servers = start_replicas(tmp_path, simulator, cluster.url, **limits, M365_SEND_PERSON_DAILY="0")
        grant = await signed_in(servers[0], simulator)
        with admin(cluster.nodes[0]) as client:
            client.wait(1, 5000)

        async def send(number: int) -> str:
            mail = {**MAIL, "subject": f"{number}"}
            for attempt in range(400):
                to = servers[(number + attempt) % 2]
                reply = await call_tool(to.url, grant.access, "send_mail", **mail, idempotency_key=f"{number}")
                assert reply.status_code in (200, 503), reply.text
                if reply.status_code == 200 and (told := said(reply)) != "not sent":
                    return told
                await asyncio.sleep(0.1)
            raise AssertionError("never answered")

        before = [await send(number) for number in range(4)]
        cluster.nodes[0].program.end(9)
        during = await asyncio.gather(*(send(number) for number in range(16)))
        cluster.wait_until(lambda node: primary_of_first_slots(node) == cluster.nodes[3].port)
        afterwards = [await send(number) for number in range(16)]

    left = Counter(mail["subject"] for mail in simulator.outbox)
    assert before == ["sent"] * 4
    assert set(during) <= {"sent", "repeat", "unknown"}
    assert "sent" not in afterwards
    assert set(left.values()) == {1}
    assert {f"{number}" for number, told in enumerate(during) if told != "unknown"} <= left.keys()
