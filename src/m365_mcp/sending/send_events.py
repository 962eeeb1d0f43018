"""The event of one call that sends a message, and who is told of it; `delivery` makes one for each call."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from m365_mcp.errors import M365Error, OutcomeUnknown, PolicyDenied, PolicyFailed
from m365_mcp.sending.send_request import SendRequest

# `begun` comes before Graph gets the message, and only where the operator requires a record of every send.
Outcome = Literal["begun", "sent", "not_sent", "unknown", "repeat"]


@dataclass(frozen=True)
class SendEvent:
    """One call that sends a message, and its outcome.

    Attributes:
        request: who sends, with which client, and what.
        addresses: the addresses of all recipients.
        outcome: what happened.
        message_id: our id of the message; None if none was chosen yet.
        request_id: Microsoft's id of the request.
        code: why the message was not sent, or why that is not known: a code of ours.
        policy: the id of the policy that forbids the message.
        seconds: the time since the call.
    """

    request: SendRequest
    addresses: tuple[str, ...]
    outcome: Outcome = "begun"
    message_id: str | None = None
    request_id: str | None = None
    code: str | None = None
    policy: str | None = None
    seconds: float = 0.0


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

    def reserved(self, message_id: str) -> None:
        """Note our id of the message."""
        self.event = replace(self.event, message_id=message_id)

    async def begin(self) -> None:
        """Return if the message may be sent. Raises AuditUnavailable."""
        await self.observer.begin(self.event)

    def succeeded(self, request_id: str | None, *, is_repeat: bool) -> None:
        """Tell that Graph has accepted the message, now or in an earlier call."""
        self._end("repeat" if is_repeat else "sent", request_id=request_id)

    def failed(self, error: BaseException) -> None:
        """Tell that Graph did not accept the message, or that this is not known."""
        if not isinstance(error, M365Error):
            self._end("unknown", code="internal_error")
            return
        outcome: Outcome = "unknown" if isinstance(error, OutcomeUnknown) else "not_sent"
        policy = error.policy if isinstance(error, PolicyDenied | PolicyFailed) else None
        self._end(outcome, request_id=error.reference, code=error.code, policy=policy)

    def _end(
        self, outcome: Outcome, *, request_id: str | None = None, code: str | None = None, policy: str | None = None
    ) -> None:
        seconds = time.monotonic() - self._began_at
        changed = replace(self.event, outcome=outcome, request_id=request_id, code=code, policy=policy, seconds=seconds)
        self.observer.end(changed)
