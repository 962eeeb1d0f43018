"""`m365-mcp doctor --sign-in`: the test mail, where settings hold it back, and where a fault does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.doctors import examined, wrong
from tests.e2e.programs import Redis, Simulator, make_server

FORBID = '@id("no-mail-at-all") forbid (principal, action == Action::"Send", resource);'
BROKEN = """@id("too-large") forbid (principal, action == Action::"Send", resource)
when { resource.recipientCount + 9223372036854775807 > 0 };"""


@pytest.mark.usefixtures("no_session_left")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"M365_SEND_LEVEL": "draft"}, "M365_SEND_LEVEL"),
        ({"M365_SEND_LEVEL": "off"}, "M365_SEND_LEVEL"),
        ({"M365_SEND_APPROVAL": "all"}, "waits for your approval"),
        ({"M365_SEND_ALLOWED_DOMAINS": "fabrikam.example"}, "domain"),
        ({"M365_SEND_ALLOWED_DOMAINS": "none"}, "domain"),
        ({"M365_POLICY_FILE": FORBID}, "no-mail-at-all"),
        ({"M365_SEND_PERSON_HOURLY": "1"}, "limit of 1"),
        ({"M365_SEND_HOURLY_LIMIT": "1"}, "hour"),
        ({"M365_SEND_TOTAL_RECIPIENTS_DAILY": "1"}, "day"),
    ],
    ids=str,
)
async def test_mail_that_does_not_leave_by_choice_is_no_failure(
    simulator: Simulator, shared_redis: Redis, tmp_path: Path, change: dict[str, str], said: str
) -> None:
    """The report says in one line what happened instead of a sent mail; a limit lets the first one through."""
    for name in change.keys() & {"M365_POLICY_FILE"}:
        (tmp_path / "test.cedar").write_text(change[name])
        change = {name: str(tmp_path / "test.cedar")}
    is_limit = change.keys() & {"M365_SEND_PERSON_HOURLY", "M365_SEND_HOURLY_LIMIT", "M365_SEND_TOTAL_RECIPIENTS_DAILY"}
    server = make_server(tmp_path, simulator, REDIS_URL=shared_redis.url, **change)
    server.start()

    for _ in range(2 if is_limit else 1):
        out = await examined(server, simulator, tmp_path, "--json")

    found = next(one for one in json.loads(out)["checks"] if one["name"] == "test_mail")
    assert (wrong(out), found["status"], found["code"]) == ([], "skip", "not_checked")
    assert said in found["cause"]
    assert len(simulator.outbox) == (1 if is_limit else 0)


@pytest.mark.usefixtures("no_session_left")
async def test_policy_that_cannot_be_evaluated_is_a_fault(
    simulator: Simulator, shared_redis: Redis, tmp_path: Path
) -> None:
    """Nobody has chosen that: the check fails, and no mail leaves."""
    (tmp_path / "test.cedar").write_text(BROKEN)
    server = make_server(tmp_path, simulator, REDIS_URL=shared_redis.url, M365_POLICY_FILE=str(tmp_path / "test.cedar"))

    out = await examined(server, simulator, tmp_path, "--json")

    assert wrong(out) == [("test_mail", "fail", "policy_error")]
    assert simulator.outbox == []
