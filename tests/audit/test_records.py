"""What is recorded of sends, decisions, sign-ins, ended sessions and commands, in the form of OCSF 1.6.0."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import redis as redis_py
from rich.console import Console

from m365_mcp import settings
from m365_mcp.audit.events import OperatorCommand, RecordsLost
from m365_mcp.audit.ocsf import Options, own_activity
from m365_mcp.audit.records import render
from m365_mcp.auth.sessions import SessionEnd
from m365_mcp.auth.sign_in_events import Attempt
from m365_mcp.auth.sign_in_records import describe_code, with_sign_in
from m365_mcp.commands import sessions as command
from m365_mcp.errors import OutcomeUnknown, PolicyDenied, RateLimited, StorageUnavailable
from m365_mcp.mail import MessageRequest
from m365_mcp.person import PersonId
from m365_mcp.policy.facts import InternalDomains
from m365_mcp.sending.origin import Origin
from m365_mcp.sending.send_events import Outcome, SendEvent
from m365_mcp.sending.send_request import SendContent, SendRequest
from m365_simulator.app import TENANT_ID
from tests.audit.reading import of_class, problems, read
from tests.e2e.person import SignInFailed
from tests.e2e.programs import Redis
from tests.inprocess import ADA, GRACE, SETTINGS, World, running

EMAIL, AUTHENTICATION, API = 4009, 3002, 6003
SECRET_WORDS = ("@contoso.example", "@fabrikam.example", "A very private subject", "a very private body")
FORBID = (
    '@id("no-fabrikam")\nforbid (principal, action, resource) when { resource.domains.contains("fabrikam.example") };'
)


async def send(world: World, to: str = "grace@contoso.example", subject: str = "A very private subject") -> None:
    """Send a mail as Ada, who signs in for it."""
    outbox = await world.outbox(await world.sign_in())
    message = await outbox.compose(MessageRequest(to=[to], subject=subject, body="<p>a very private body</p>"))
    await outbox.send(message, idempotency_key=None, allow_duplicate=False)


def of_operation(file: Path, operation: str) -> list[dict[str, Any]]:
    """Return the API activities of one operation."""
    return [record for record in of_class(file, API) if record["api"]["operation"] == operation]


def without_pattern(text: str) -> str:
    """Return a file's text without the addresses that stand for a whole domain."""
    return text.replace("*@", "")


async def test_h7_send_is_one_record_with_who_what_and_where_to(tmp_path: Path) -> None:
    """A sent mail is one valid record with person, client, session, domains, size, our id and Graph's request id."""
    file = tmp_path / "audit"
    async with running(m365_audit=f"file:{file}") as world:
        await send(world)
        (mail,) = await world.sent()

    (record,) = of_class(file, EMAIL)
    assert problems(record) == []
    assert (record["status"], record["status_id"], record["type_uid"]) == ("sent", 1, 400901)
    assert record["actor"]["user"]["org"]["uid"] == record["metadata"]["tenant_uid"] == TENANT_ID
    assert record["actor"]["session"]["uid"]
    assert record["email"]["to"] == ["*@contoso.example"]
    assert record["unmapped"]["recipient_domains"] == {"contoso.example": 1}
    assert record["email"]["size"] >= len("<p>a very private body</p>")
    assert record["email"]["message_uid"] in json.dumps(mail)
    assert record["unmapped"]["graph_request_id"]


async def test_no_address_subject_or_body_is_recorded_by_default(tmp_path: Path) -> None:
    """The whole file of a sign-in, a send, a refusal and an ended session has no address, no subject and no text."""
    file, policies = tmp_path / "audit", tmp_path / "policies"
    policies.write_text(FORBID)
    async with running(m365_audit=f"file:{file}", m365_policy_file=policies) as world:
        await send(world)
        with pytest.raises(PolicyDenied):
            await send(world, "eve@fabrikam.example")
        async for session in world.container.sign_ins.sessions.all():
            await world.container.sign_ins.sessions.end(session.id, "by_operator")

    text = without_pattern(file.read_text())
    assert [problem for record in read(file) for problem in problems(record)] == []
    assert {record["class_uid"] for record in read(file)} == {EMAIL, AUTHENTICATION, API}
    assert [word for word in SECRET_WORDS if word in text] == []


async def test_content_is_recorded_as_far_as_the_operator_asks(tmp_path: Path) -> None:
    """M365_AUDIT_CONTENT=recipients,subject brings these two, and not the body."""
    file = tmp_path / "audit"
    async with running(m365_audit=f"file:{file}", m365_audit_content="recipients,subject") as world:
        await send(world)

    (record,) = of_class(file, EMAIL)
    assert problems(record) == []
    assert record["email"]["to"] == record["unmapped"]["recipients"] == ["grace@contoso.example"]
    assert record["email"]["subject"] == "A very private subject"
    assert "a very private body" not in file.read_text()


async def test_g11_refusing_decision_is_recorded_with_its_policy(tmp_path: Path) -> None:
    """A denied mail leaves the decision, with the domains, and the send that did not happen, both with the policy."""
    file, policies = tmp_path / "audit", tmp_path / "policies"
    policies.write_text(FORBID)
    async with running(m365_audit=f"file:{file}", m365_policy_file=policies) as world:
        with pytest.raises(PolicyDenied):
            await send(world, "eve@fabrikam.example")

    (decision,), (not_sent,) = of_operation(file, "policy.decide"), of_class(file, EMAIL)
    assert decision["policy"] == not_sent["policy"] == {"uid": "no-fabrikam"}
    assert decision["unmapped"]["recipient_domains"] == {"fabrikam.example": 1}
    assert (not_sent["status"], not_sent["status_code"], not_sent["action_id"]) == ("not_sent", "policy_denied", 2)


async def test_h7_repeat_and_unknown_outcome_are_recorded_as_such(tmp_path: Path) -> None:
    """A repeat is no second send, and a send without a clear answer is neither sent nor not sent."""
    file = tmp_path / "audit"
    async with running(m365_audit=f"file:{file}") as world:
        await send(world)
        await send(world)
        await world.fault({"path": "/v1.0/me/sendMail"}, {"status": 503}, when="after")
        with pytest.raises(OutcomeUnknown):
            await send(world, subject="Another subject")

    records = of_class(file, EMAIL)
    assert [(record["status"], record["status_id"]) for record in records] == [
        ("sent", 1),
        ("repeat", 99),
        ("unknown", 0),
    ]
    assert (
        records[0]["email"]["message_uid"] == records[1]["email"]["message_uid"] != records[2]["email"]["message_uid"]
    )


async def test_h7_sign_in_is_recorded_with_person_session_and_address(tmp_path: Path) -> None:
    """A sign-in leaves its beginning and its end; the end has person, client, session and the browser's IP address."""
    file = tmp_path / "audit"
    async with running(m365_audit=f"file:{file}") as world:
        await world.sign_in()

    begun, completed = of_class(file, AUTHENTICATION)
    assert [problems(record) for record in (begun, completed)] == [[], []]
    assert (begun["status"], completed["status"], completed["status_id"]) == ("begun", "completed", 1)
    assert begun["metadata"]["correlation_uid"] == completed["metadata"]["correlation_uid"]
    assert begun["src_endpoint"]["ip"] == completed["src_endpoint"]["ip"] == "127.0.0.1"
    assert completed["user"]["org"]["uid"] == TENANT_ID
    assert completed["session"]["uid"]


async def test_log_of_a_sign_in_has_no_person_and_no_address(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the audit trail has of a sign-in besides is in no log."""
    file = tmp_path / "audit"
    async with running(m365_audit=f"file:{file}") as world:
        await world.sign_in()

    completed = of_class(file, AUTHENTICATION)[1]
    log = capsys.readouterr().out
    assert "outcome=completed" in log
    assert "127.0.0.1" not in log
    assert completed["user"]["uid"] not in log
    assert completed["session"]["uid"] not in log


def test_address_of_the_browser_comes_with_the_code() -> None:
    """The client that redeems the code may be elsewhere; the record has the address that the browser came back from."""
    tokens = with_sign_in({"access_token": "x"}, Attempt("callback", "reference", 1.0, address="192.0.2.7"))
    attempt = Attempt("token", address="198.51.100.1")
    describe_code(attempt, SimpleNamespace(client_id="c", redirect_uri="http://localhost/cb", idp_tokens=tokens))

    assert attempt.completed(2.0).address == "192.0.2.7"


async def test_address_of_a_sign_in_can_be_left_out(tmp_path: Path) -> None:
    """With M365_AUDIT_IP=false no record has an IP address."""
    file = tmp_path / "audit"
    async with running(m365_audit=f"file:{file}", m365_audit_ip=False) as world:
        await world.sign_in()

    assert len(read(file)) > 1
    assert "127.0.0.1" not in file.read_text()


async def test_h7_refused_sign_in_is_recorded_with_its_code(tmp_path: Path) -> None:
    """A registration with a redirect URI that is not allowed leaves a failed Authentication with our code."""
    file = tmp_path / "audit"
    async with running(m365_audit=f"file:{file}", mcp_allowed_redirect_uris="https://one.example/cb") as world:
        await world.register(redirect_uris=["https://evil.example/cb"])

    (record,) = of_class(file, AUTHENTICATION)
    assert problems(record) == []
    assert (record["status"], record["status_id"]) == ("refused", 2)
    assert record["status_code"]
    assert record["unmapped"]["redirect_host"] == "evil.example"


@pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")  # py-key-value 0.4.6 calls it
async def test_h7_ended_sessions_and_the_command_are_recorded(tmp_path: Path, redis: Redis) -> None:
    """`m365-mcp sessions end` leaves the command with the operator, and one Logoff for each session it ended."""
    file = tmp_path / "audit"
    stored = {"redis_url": redis.url, "m365_audit": f"file:{file}"}
    async with running(**stored) as world:
        await world.sign_in(ADA)
    chosen = settings.load(**{**SETTINGS, **stored})

    await command.end(chosen, Console(file=io.StringIO()), ADA, everybody=False)

    (logoff,) = [record for record in of_class(file, AUTHENTICATION) if record["activity_id"] == 2]
    (done,) = of_operation(file, "sessions end")
    assert problems(logoff) == problems(done) == []
    assert (logoff["status_detail"], done["unmapped"]["changed"]) == ("by_operator", 1)
    assert done["actor"]["user"]["name"]


async def test_h7_person_of_another_tenant_is_recorded_as_refused(tmp_path: Path) -> None:
    """Who signs in from a tenant that the operator does not allow leaves a refused sign-in, and no session."""
    file = tmp_path / "audit"
    chosen = {"azure_tenant_id": "organizations", "azure_allowed_tenants": TENANT_ID, "m365_audit": f"file:{file}"}
    async with running(**chosen) as world:
        await world.control("PATCH", "app", {"multi_tenant": True})
        client_id = (await world.register()).json()["client_id"]
        with pytest.raises(SignInFailed):
            await world.code(client_id, world.person("marie@fabrikam.example"))

    begun, refused = of_class(file, AUTHENTICATION)
    assert problems(refused) == []
    assert (refused["status"], refused["status_code"], refused["status_id"]) == ("refused", "person_not_allowed", 2)
    assert refused["metadata"]["correlation_uid"] == begun["metadata"]["correlation_uid"]
    assert refused["src_endpoint"]["ip"] == "127.0.0.1"
    assert "marie" not in file.read_text()


async def test_g11_change_of_the_policies_is_recorded_with_its_digest(tmp_path: Path) -> None:
    """A changed file of policies leaves the digest now in force; one with a mistake leaves one refusal."""
    file, policies = tmp_path / "audit", tmp_path / "policies"
    policies.write_text(FORBID)
    async with running(m365_audit=f"file:{file}", m365_policy_file=policies) as world:
        watcher = world.container.policy_watcher
        policies.write_text(FORBID.replace("no-fabrikam", "no-fabrikam-more"))
        await watcher.look()
        policies.write_text("forbid (")
        await watcher.look()
        await watcher.look()
        digest = watcher.decision_point.policies.digest

    changed, refused = of_operation(file, "policy.change")
    assert problems(changed) == problems(refused) == []
    assert (changed["status"], changed["status_id"], changed["unmapped"]["digest"]) == ("in_force", 1, digest)
    assert (refused["status"], refused["status_id"], refused["unmapped"]["digest"]) == ("refused", 2, digest)


@pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")  # py-key-value 0.4.6 calls it
async def test_h7_command_that_breaks_off_is_recorded_with_what_it_has_done(tmp_path: Path, redis: Redis) -> None:
    """`m365-mcp sessions end --all` on a store that fails leaves the command as failed, with the operator."""
    file = tmp_path / "audit"
    stored = {"redis_url": redis.url, "m365_audit": f"file:{file}"}
    async with running(**stored) as world:
        for name in (ADA, GRACE):
            await world.sign_in(name)
    chosen = settings.load(**{**SETTINGS, **stored})

    with redis_py.Redis.from_url(redis.url) as client:
        client.config_set("maxmemory", 1)  # it reads, and writes nothing
        try:
            with pytest.raises(StorageUnavailable):
                await command.end(chosen, Console(file=io.StringIO()), None, everybody=True)
        finally:
            client.config_set("maxmemory", 0)
    await command.end(chosen, Console(file=io.StringIO()), None, everybody=True)

    failed, done = of_operation(file, "sessions end")
    assert problems(failed) == []
    assert (failed["status"], failed["status_id"], failed["unmapped"]["changed"]) == ("failed", 2, 0)
    assert (done["status"], done["status_id"], done["unmapped"]["changed"]) == ("done", 1, 2)
    assert failed["severity_id"] == done["severity_id"] == 3


PERSON = PersonId("11111111-2222-4333-8444-555555555555", "22222222-3333-4444-8555-666666666666")


def sent(outcome: Outcome = "sent", addresses: tuple[str, ...] = ("a@b.example",), **changes: Any) -> SendEvent:
    """Return an event of a send."""
    request = SendRequest(PERSON, "f", origin=Origin("session", "client"), content=lambda: SendContent("s", "b", (1,)))
    return SendEvent(request, addresses, outcome, message_id="id", **changes)


@pytest.mark.parametrize(
    "event",
    [
        sent(),
        sent("begun"),
        sent("held", policy="setting:M365_SEND_APPROVAL"),
        sent("declined", policy="setting:M365_SEND_APPROVAL"),
        sent("expired", policy="setting:M365_SEND_APPROVAL"),
        *(sent(outcome, policy="house") for outcome in ("cancelled", "not_cancelled")),
        sent(is_approved=True, policy="setting:M365_SEND_APPROVAL"),
        sent("not_sent", code="policy_denied", policy="no-fabrikam"),
        sent("not_sent", code=RateLimited.code),
        sent("not_sent", code=StorageUnavailable.code, addresses=()),
        sent(addresses=("/O=ORG/CN=X", "x@localhost", "grüße@bücher.example", "a'b@c.example")),
        SessionEnd("id", "by_client", None),
        OperatorCommand("sessions end", "root", 3, everybody=True),
        OperatorCommand("sessions end", "root", 0, everybody=False, is_complete=False),
        RecordsLost(7),
    ],
    ids=lambda event: type(event).__name__,
)
@pytest.mark.parametrize("content", [(), ("recipients", "subject", "body")])
def test_every_record_is_valid_ocsf(event: object, content: tuple[str, ...]) -> None:
    """Whatever happened, and whatever the operator wants recorded, OCSF's own schema accepts the record."""
    options = Options("replica-1", frozenset(content), InternalDomains())

    assert problems(render(event, 1_790_000_000_000, options)) == []
    assert problems(own_activity("audit.tips", 1_790_000_000_000, options)) == []


@pytest.mark.parametrize(
    ("internal", "direction"), [(None, 0), (("b.example",), 3), (("c.example",), 2)], ids=["unset", "inside", "outside"]
)
def test_direction_is_told_where_the_operator_names_the_domains(
    internal: tuple[str, ...] | None, direction: int
) -> None:
    """Outbound and internal are told apart by M365_INTERNAL_DOMAINS, and unknown without it."""
    record = render(sent(), 0, Options(internal=InternalDomains(internal)))

    assert record["direction_id"] == direction


async def test_nothing_is_started_and_noted_without_the_setting() -> None:
    """A server without M365_AUDIT has no writer and notes no IP address."""
    async with running() as world:
        await world.sign_in()

        assert world.container.audit.writer is None
        assert not world.container.audit.notes_addresses
