"""Dry runs: what would leave and whether the policies permit it, without a send, a draft or an entry in the ledger."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass

from m365_mcp.errors import PolicyDenied, PolicyFailed
from m365_mcp.graph.attachments import Attached
from m365_mcp.graph.items import Item
from m365_mcp.mail import Message
from m365_mcp.sending.draft_inspection import DraftInspection
from m365_mcp.sending.held_mail import ApprovalNeeded
from m365_mcp.sending.outbox import Outbox


@dataclass(frozen=True)
class Decision:
    """What the policies say of a message: permitted, unless there is a refusal or a policy that asks the person.

    Attributes:
        refusal: why the message may not leave.
        asked_by: the id of the policy that has the message wait for the person's approval.
    """

    refusal: PolicyDenied | PolicyFailed | None = None
    asked_by: str | None = None


@dataclass(frozen=True)
class DryRun:
    """A message as it would leave, and whether it may.

    Attributes:
        item: its sender, recipients and subject.
        content_type: HTML or Text.
        body_bytes: the size of the text as it would leave, in UTF-8.
        attachments: its attachments.
        warnings: what the server changed and what the sender should check.
        decision: what the policies say.
    """

    item: Item
    content_type: str
    body_bytes: int
    attachments: tuple[Attached, ...]
    warnings: tuple[str, ...]
    decision: Decision


async def decision_of(permit: Awaitable[None]) -> Decision:
    """Return what the policies say to what `permit` asks them."""
    try:
        await permit
    except (PolicyDenied, PolicyFailed) as refusal:
        return Decision(refusal=refusal)
    except ApprovalNeeded as needed:
        return Decision(asked_by=needed.rule)
    return Decision()


async def dry_run_of_message(outbox: Outbox, message: Message, *actions: str) -> DryRun:
    """Return what would become of a composed message. Raises M365Error if Graph does not say who the person is."""
    item = Item(
        "",
        message.subject,
        is_draft=True,
        to=message.to,
        cc=message.cc,
        bcc=message.bcc,
        reply_to=message.reply_to,
        from_=message.from_,
    )
    attached = tuple(Attached(file.name, is_file=True, size=file.size) for file in message.attachments)
    decision = await decision_of(outbox.policy.message(message, *actions))
    return DryRun(item, message.content_type, len(message.body.encode()), attached, message.warnings, decision)


async def dry_run_of_draft(inspection: DraftInspection, draft_id: str) -> DryRun:
    """Return what would become of a draft as it is in the mailbox now.

    Raises:
        M365Error: the draft could not be sent for another reason; see `DraftInspection.inspect`.
    """
    item, attached = await inspection.examine(draft_id)
    content_type, content = await inspection.drafts.body(item.id)
    decision = await decision_of(inspection.policy.draft(item, attached, "Send"))
    is_text = content_type.lower() == "text"
    return DryRun(item, "Text" if is_text else "HTML", len(content.encode()), attached, (), decision)
