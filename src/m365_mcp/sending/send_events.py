"""The event of one call that sends a message, and who is told of it; `delivery` makes one for each call."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal, Protocol

from m365_mcp.errors import ApprovalOver, M365Error, OutcomeUnknown, PolicyDenied, PolicyFailed
from m365_mcp.mail import Message
from m365_mcp.metrics import Metrics
from m365_mcp.person import PersonId
from m365_mcp.policy.facts import Told
from m365_mcp.sending.held_mail import HeldMail
from m365_mcp.sending.origin import Origin
from m365_mcp.sending.send_request import SendContent, SendRequest
from m365_mcp.sending.send_strategy import SendReceipt

# What the policies were told of the message that this task sends.
_told: ContextVar[list[Told] | None] = ContextVar("what the policies were told", default=None)


def note_told(told: Told) -> None:
    """Note what the policies are told, for the record of the send that this task performs, if it performs one."""
    noted = _told.get()
    if noted is not None:
        noted[:] = [told]


# `begun` comes before Graph gets the message, and only where the operator requires a record of every send. `held`,
# `declined` and `expired` are of a message that waits for the person's approval; `cancelled` and `not_cancelled` of one
# that Exchange was to send later.
Outcome = Literal[
    "begun", "sent", "not_sent", "unknown", "repeat", "held", "declined", "expired", "cancelled", "not_cancelled"
]


@dataclass(frozen=True)
class SendEvent:
    """One call that sends a message, and its outcome.

    Attributes:
        request: who sends, with which client, and what.
        addresses: the addresses of all recipients.
        outcome: what happened.
        is_approved: whether the person has approved the message on a page of this server.
        proof: how they proved there who they are, as M365_APPROVAL_PROOF has it; None: they approved nothing.
        message_id: our id of the message; None if none was chosen yet.
        request_id: Microsoft's id of the request.
        code: why the message was not sent, or why that is not known: a code of ours.
        policy: the id of the policy that forbids the message, or has it wait.
        seconds: the time since the call.
        told: what the policies were told of the message; None: they were not asked.
    """

    request: SendRequest
    addresses: tuple[str, ...]
    outcome: Outcome = "begun"
    is_approved: bool = False
    proof: str | None = None
    message_id: str | None = None
    request_id: str | None = None
    code: str | None = None
    policy: str | None = None
    seconds: float = 0.0
    told: Told | None = None


def event_of(
    mail: HeldMail, message: Message | None, outcome: Outcome = "begun", proof: str | None = None
) -> SendEvent:
    """Return the event of a held message that the person has approved; or discarded, or whose time or session ended.

    Args:
        mail: the record of the message.
        message: the composed message, if it is known.
        outcome: `begun`; or `declined`, `expired`.
        proof: how the person has proved who they are.
    """
    content = partial(SendContent, mail.subject or None) if message is None else partial(content_of, message)
    origin = Origin(mail.session_id, mail.client, mail.sign_in_name)
    request = SendRequest(mail.person, "", message_id=mail.id, origin=origin, content=content)
    is_approved = outcome == "begun"
    return SendEvent(request, mail.addresses, outcome, is_approved, proof, message_id=mail.id, policy=mail.rule)


def cancellation(
    person: PersonId, origin: Origin, message_id: str, addresses: tuple[str, ...], outcome: Outcome = "cancelled"
) -> SendEvent:
    """Return the event of a scheduled message that Exchange does not send, or that could not be cancelled.

    Args:
        person: whose message it is.
        origin: where it was scheduled, or where the person cancels it.
        message_id: our id of it.
        addresses: the addresses of all recipients.
        outcome: `cancelled` or `not_cancelled`.
    """
    content = partial(SendContent, addresses=addresses)
    request = SendRequest(person, "", message_id=message_id, origin=origin, content=content)
    return SendEvent(request, addresses, outcome, message_id=message_id)


def tell_of_expiry(metrics: Metrics, observer: SendObserver, mail: HeldMail) -> None:
    """Count a held message whose time ran out undecided, and tell the observer."""
    metrics.sends.labels("expired").inc()
    observer.end(event_of(mail, None, "expired"))


def tell_of_refusal(observer: SendObserver, mail: HeldMail, error: M365Error, proof: str) -> None:
    """Tell the observer that an approval sent nothing, because of an error before the send began."""
    observer.end(replace(event_of(mail, None, proof=proof), outcome="not_sent", code=error.code))


def content_of(message: Message) -> SendContent:
    """Return what a composed message contains, for a record of the send."""
    return SendContent(message.subject, message.body, tuple(file.size for file in message.attachments))


class SendObserver(Protocol):
    """Is told of every send."""

    async def begin(self, event: SendEvent) -> None:
        """Return if the message may be sent. Raises AuditUnavailable if the send must be recorded and cannot be."""

    def end(self, event: SendEvent) -> None:
        """Take the outcome of a send; returns at once and raises nothing."""


class NoObserver:
    """Ignores every send."""

    async def begin(self, _: SendEvent) -> None:
        """Return."""

    def end(self, _: SendEvent) -> None:
        """Return."""


@dataclass
class ObservedSend:
    """A call that sends a message, while it runs.

    Attributes:
        observer: is told of the outcome.
        event: what is known so far.
    """

    observer: SendObserver
    event: SendEvent
    _began_at: float = field(default_factory=time.monotonic, init=False)
    _has_begun: bool = field(default=False, init=False)
    _rule: str | None = field(default=None, init=False)
    _noted: list[Told] = field(default_factory=list, init=False)

    def reserved(self, message_id: str) -> None:
        """Note our id of the message."""
        self.event = replace(self.event, message_id=message_id)

    def held(self, rule: str) -> None:
        """Note that the message waits for the person's approval because of this policy."""
        self._rule = rule

    async def begin(self) -> None:
        """Return if the message may be sent; the observer is asked once. Raises AuditUnavailable."""
        if not self._has_begun:
            await self.observer.begin(self.event)
            self._has_begun = True

    async def run(self, sending: Awaitable[SendReceipt]) -> SendReceipt:
        """Return what `sending` returns, and tell the observer how it ended."""
        token = _told.set(self._noted)
        try:
            receipt = await sending
        except BaseException as error:
            self._failed(error)
            raise
        finally:
            _told.reset(token)
        if receipt.approval is None:
            self._end("repeat" if receipt.is_repeat else "sent", request_id=receipt.request_id)
        else:
            self._end("held" if self._rule else "repeat", policy=self._rule)
        return receipt

    def _failed(self, error: BaseException) -> None:
        """Tell that Graph did not accept the message, or that this is not known.

        An approval that came second tells nothing: the first one has a record of its own.
        """
        if isinstance(error, ApprovalOver):
            return
        if not isinstance(error, M365Error):
            self._end("unknown", code="internal_error")
            return
        outcome: Outcome = "unknown" if isinstance(error, OutcomeUnknown) else "not_sent"
        policy = error.rule if isinstance(error, PolicyDenied | PolicyFailed) else None
        self._end(outcome, request_id=error.reference, code=error.code, policy=policy)

    def _end(
        self, outcome: Outcome, *, request_id: str | None = None, code: str | None = None, policy: str | None = None
    ) -> None:
        seconds = time.monotonic() - self._began_at
        told = self._noted[0] if self._noted else None
        changed = replace(self.event, outcome=outcome, request_id=request_id, code=code, seconds=seconds, told=told)
        self.observer.end(replace(changed, policy=policy or self.event.policy))
