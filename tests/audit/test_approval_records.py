"""What is recorded of mail that waits for its sender's approval."""

from __future__ import annotations

from pathlib import Path

import pytest

from m365_mcp.errors import ApprovalVoid, AuditUnavailable
from m365_mcp.mail import MessageRequest
from m365_mcp.sending.own_drafts import OwnDrafts
from tests.audit.reading import of_class, problems
from tests.audit.test_outputs import spoil
from tests.audit.test_records import send
from tests.inprocess import ADA, running

RULE = {"uid": "setting:M365_SEND_APPROVAL"}


async def test_held_approved_and_discarded_mail_are_records(tmp_path: Path) -> None:
    """Held, sent with the person's approval, and discarded: each is a record with the policy that asked."""
    file = tmp_path / "audit"
    async with running(m365_audit=f"file:{file}", m365_send_approval="all") as world:
        approvals = world.container.approvals
        await send(world)
        await send(world, subject="Another subject")
        await send(world, subject="Another subject")
        person = (await world.outbox(await world.sign_in(ADA))).person
        first, second = sorted(await approvals.of(person), key=lambda mail: mail.held_at)
        await approvals.approve(first, (await approvals.show(first)).digest)
        await approvals.decline(second)

    records = of_class(file, 4009)
    assert [problem for record in records for problem in problems(record)] == []
    assert [(record["status"], record["status_id"]) for record in records] == [
        ("held", 99),
        ("held", 99),
        ("repeat", 99),
        ("sent", 1),
        ("declined", 99),
    ]
    assert [record.get("status_detail") for record in records][3] == "approved by the person"
    assert [record["unmapped"].get("approval_proof") for record in records] == [None, None, None, "browser", None]
    assert [record["email"]["message_uid"] for record in records[3:]] == [first.id, second.id]
    assert [record["policy"] for record in records if "policy" in record] == [RULE] * 4
    assert {record["actor"]["user"]["uid"] for record in records} == {person.object_id}
    assert records[3]["email"]["size"] == records[0]["email"]["size"]


async def test_approval_that_is_void_is_recorded(tmp_path: Path) -> None:
    """A draft that was changed after the page had shown it leaves a send that did not happen, with the reason."""
    file = tmp_path / "audit"
    async with running(m365_audit=f"file:{file}", m365_send_approval="all", m365_toolsets="drafts") as world:
        outbox = await world.outbox(await world.sign_in(ADA))
        approvals = world.container.approvals
        message = await outbox.compose(MessageRequest(to=["grace@contoso.example"], subject="S", body="<p>B</p>"))
        _, draft = await OwnDrafts(outbox).create(message)
        await OwnDrafts(outbox).send(draft.id)
        [mail] = await approvals.of(outbox.person)
        shown = await approvals.show(mail)
        await outbox.drafts.change(draft.id, {"subject": "Another"})
        with pytest.raises(ApprovalVoid):
            await approvals.approve(mail, shown.digest)

    held, void = of_class(file, 4009)
    assert problems(void) == []
    assert (void["status"], void["status_code"], void["status_id"]) == ("not_sent", "approval_void", 2)
    assert void["email"]["message_uid"] == held["email"]["message_uid"]
    assert void["policy"] == RULE
    assert "action_id" not in void  # no policy has blocked it


async def test_approved_mail_still_waits_when_its_send_cannot_be_recorded(tmp_path: Path) -> None:
    """With M365_AUDIT_REQUIRED an approval that cannot be recorded sends nothing, and can be given once more."""
    file = tmp_path / "audit"
    async with running(m365_audit=f"file:{file}", m365_audit_required=True, m365_send_approval="all") as world:
        approvals = world.container.approvals
        await send(world)
        person = (await world.outbox(await world.sign_in(ADA))).person
        [mail] = await approvals.of(person)
        digest = (await approvals.show(mail)).digest
        file.unlink()
        world.container.audit.writer.output.close()  # type: ignore[union-attr] # so that the file is opened again
        spoil(file)
        with pytest.raises(AuditUnavailable):
            await approvals.approve(mail, digest)
        assert await world.sent() == []
        file.rmdir()
        await approvals.approve(mail, digest)
        assert len(await world.sent()) == 1
