"""What a way to send must offer, and what the caller of a send gets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol

from m365_mcp.sending.held_mail import HeldContent, as_time
from m365_mcp.sending.ledger_entry import Entry


@dataclass(frozen=True)
class SendReceipt:
    """What the caller gets for a message that Graph has accepted, or that waits for the person's approval.

    Attributes:
        message_id: our id of the message; its headers contain it, too.
        accepted_at: when Graph accepted the message: UTC, ISO 8601; None if it has not.
        request_id: Microsoft's id of the request.
        is_repeat: whether an earlier call sent the message, and this call sent nothing.
        draft_id: Graph's id of the draft, if this server sent the message as a draft.
        is_saved: whether a copy of the mail is in Sent Items; None when the record of the send does not tell.
        approval: what the person is asked; None for a message that was sent.
    """

    message_id: str
    accepted_at: str | None
    request_id: str | None
    is_repeat: bool = False
    draft_id: str | None = None
    is_saved: bool | None = None
    approval: Approval | None = None


@dataclass(frozen=True)
class Approval:
    """What a caller hears of a message that waits for the person, or that the person has discarded.

    Attributes:
        status: which of the two.
        url: the page where the person sends or discards it; None after that.
        expires_at: until when: UTC, ISO 8601.
        rule: the id of the policy that has it wait.
        is_new: whether it waits since this call; no repeat of the call finds this again.
    """

    status: Literal["approval_needed", "declined"]
    url: str | None
    expires_at: str | None
    rule: str | None
    is_new: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class ApprovalTerms:
    """Where and how long a message waits for the person, and how they approve it.

    Attributes:
        url: the address of the pages.
        seconds: how long a message waits.
        proof: how the person proves on the page who they are, as M365_APPROVAL_PROOF has it.
    """

    url: str = ""
    seconds: float = 900.0
    proof: str = "browser"

    def page_of(self, message_id: str) -> str:
        """Return the address of the page of a message."""
        return f"{self.url}/{message_id}"

    def of(self, entry: Entry, *, is_new: bool = False) -> Approval:
        """Return what a caller hears of a message that waits, or that the person has discarded."""
        if entry.state == "declined":
            return Approval("declined", None, None, entry.rule)
        until = as_time(entry.held_until or 0.0)
        return Approval("approval_needed", self.page_of(entry.message_id), until, entry.rule, is_new)


DEFAULT_TERMS = ApprovalTerms()


RecordDraft = Callable[[str], Awaitable[None]]
Progress = Callable[[str], Awaitable[None]]


class SendStrategy(Protocol):
    """A way to send one message through Graph."""

    records_draft: ClassVar[bool]  # whether `send` calls `record_draft`, so that a send without a draft was never begun

    async def send(self, message_id: str, record_draft: RecordDraft) -> str | None:
        """Send the message with this id, and return Graph's request id.

        Args:
            message_id: our id of the message.
            record_draft: stores Graph's id of a draft; the strategy calls it before it sends the draft.

        Raises:
            OutcomeUnknown: Graph may have accepted the message.
            M365Error: Graph did not accept the message.
        """

    def to_hold(self) -> HeldContent:
        """Return what is to be sent, for a message that waits for the person's approval."""

    async def reconcile(self, message_id: str, draft_id: str | None) -> bool | None:
        """Look up a send with an unknown outcome: return True if Graph sent it, False if not, None if still unknown."""


async def no_progress(_: str) -> None:
    """Ignore the progress."""
