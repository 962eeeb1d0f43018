"""Dry runs: what would leave and whether the policies permit it, without a send, a draft or an entry in the ledger."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass

from m365_mcp.errors import PolicyDenied, PolicyFailed
from m365_mcp.graph.attachments import Attached
from m365_mcp.graph.items import Item
from m365_mcp.mail import Message
from m365_mcp.sending.draft_inspection import DraftInspection
from m365_mcp.sending.outbox import Outbox


@dataclass(frozen=True)
class DryRun:
    """A message as it would leave, and whether it may.

    Attributes:
        item: its sender, recipients and subject.
        content_type: HTML or Text.
        body_bytes: the size of the text as it would leave, in UTF-8.
        attachments: its attachments.
        warnings: what the server changed and what the sender should check.
        refusal: why the policies do not permit it; None: they do.
    """

    item: Item
    content_type: str
    body_bytes: int
    attachments: tuple[Attached, ...]
    warnings: tuple[str, ...]
    refusal: PolicyDenied | PolicyFailed | None


async def refusal_of(permit: Awaitable[None]) -> PolicyDenied | PolicyFailed | None:
    """Return why the policies refuse what `permit` asks them; None if they permit it."""
    try:
        await permit
    except (PolicyDenied, PolicyFailed) as refusal:
        return refusal
    return None


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
    refusal = await refusal_of(outbox.policy.message(message, *actions))
    return DryRun(item, message.content_type, len(message.body.encode()), attached, message.warnings, refusal)


async def dry_run_of_draft(inspection: DraftInspection, draft_id: str) -> DryRun:
    """Return what would become of a draft as it is in the mailbox now.

    Raises:
        M365Error: the draft could not be sent for another reason; see `DraftInspection.inspect`.
    """
    item, attached = await inspection.examine(draft_id)
    content_type, content = await inspection.drafts.body(item.id)
    refusal = await refusal_of(inspection.policy.draft(item, attached, "Send"))
    is_text = content_type.lower() == "text"
    return DryRun(item, "Text" if is_text else "HTML", len(content.encode()), attached, (), refusal)
