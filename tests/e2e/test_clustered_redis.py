"""A clustered Redis refuses a command or transaction whose keys lie in more than one slot, on one node as on many."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis as redis_py
from redis.exceptions import ResponseError

from m365_mcp.person import PersonId
from tests.e2e.attaching import MAIL, AttachingPerson, content, put
from tests.e2e.grants import call_tool, refresh, signed_in, start_server
from tests.e2e.programs import Redis, Server, Simulator, make_redis
from tests.e2e.test_ending_sessions import operate
from tests.e2e.test_sending_once import said

ADA, GRACE = PersonId("tenant", "ada"), PersonId("tenant", "grace")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    """One node that holds all slots."""
    redis = make_redis(tmp_path_factory.mktemp("cluster"), "--cluster-enabled", "yes")
    redis.program.shared = True
    redis.start()
    with redis_py.Redis.from_url(redis.url) as admin:
        admin.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        redis.program.wait_until(lambda: b"cluster_state:ok" in admin.execute_command("CLUSTER", "INFO"))
    yield redis
    assert redis.program.end() == 0


@pytest.fixture
def admin(cluster: Redis) -> Iterator[redis_py.Redis]:
    """A connection of the operator's own, with the counters at nought."""
    with redis_py.Redis.from_url(cluster.url) as client:
        client.config_resetstat()
        yield client


@pytest.fixture
def server(tmp_path: Path, simulator: Simulator, cluster: Redis) -> Server:
    return start_server(tmp_path, simulator, REDIS_URL=cluster.url, M365_TOOLSETS="attachments")


def refusals(admin: redis_py.Redis) -> dict[str, object]:
    """Return what the cluster has refused because of slots."""
    errors = admin.info("errorstats")
    return {name: count for name, count in errors.items() if name.rpartition("_")[2] in ("CROSSSLOT", "MOVED", "ASK")}


def test_cluster_refuses_keys_of_two_slots_and_takes_those_of_one_person(admin: redis_py.Redis) -> None:
    """The stand-in is strict; records of one person change in one transaction, those of two persons cannot."""
    with admin.pipeline() as transaction:
        for what in ("request a", "request b"):
            transaction.set(f"m365-sends:{ADA.record_key(what)}", "text")
            transaction.set(f"m365-outcomes:{ADA.record_key(what)}", "text")
        assert transaction.execute() == [True] * 4

    with pytest.raises(ResponseError, match=r"same slot|CROSSSLOT"):
        admin.mset({ADA.record_key("request a"): "text", GRACE.record_key("request a"): "text"})
    assert refusals(admin)


async def test_whole_day_of_a_person_works_on_a_cluster(
    server: Server, simulator: Simulator, admin: redis_py.Redis
) -> None:
    """Sign-in, refresh, sends with and without a key, an upload, the operator's commands: no slot is crossed."""
    grant = await signed_in(server, simulator)
    grant = grant.after(await refresh(server.url, grant))
    mail = {"to": ["grace@contoso.example"], "body": "<p>Hi</p>"}
    asked = [mail | {"subject": "one"}, mail | {"subject": "two", "idempotency_key": "k"}] * 2
    told = [said(await call_tool(server.url, grant.access, "send_mail", **arguments)) for arguments in asked]
    ada, data = AttachingPerson(server, grant), content(300_000)
    draft_id, link = await ada.link(size=len(data))
    uploaded = await put(link, data)
    sent = await ada.send(draft_id)
    listed, ended = operate(server, "list"), operate(server, "end", "--all")

    assert told == ["sent", "sent", "repeat", "repeat"]
    assert uploaded.status_code == 201
    assert not sent["isError"]
    assert sorted(mail["subject"] for mail in simulator.outbox) == sorted(["one", "two", MAIL["subject"]])
    assert "ada@contoso.example" in listed.stdout
    assert ended.returncode == 0
    assert refusals(admin) == {}
    assert any(b"{" in key for key in admin.scan_iter("m365-sends:*"))
