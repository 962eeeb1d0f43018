"""One delivery: its place in the ledger, its turn at the mailbox, the request to Graph, and what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from m365_mcp import logs
from m365_mcp.errors import GraphUnavailable, M365Error, OutcomeUnknown, StorageUnavailable, Throttled
from m365_mcp.metrics import Metrics
from m365_mcp.retries import RetryPolicy, retry
from m365_mcp.sending.ledger import Ledger, Reservation
from m365_mcp.sending.mailbox_slots import MailboxSlots
from m365_mcp.sending.recipient_rate_limit import RecipientRateLimit
from m365_mcp.sending.send_request import SendRequest

FIRST_PAUSE_SECONDS = 1.0  # before a throttled message is offered again, when Graph asks for less
_log = logs.get(__name__)
_EARLIER = "An earlier call has handed this message to Microsoft Graph, and no clear answer came back: it may be sent."


@dataclass(frozen=True)
class SendReceipt:
    """What is known of a message that was accepted.

    Attributes:
        message_id: our id of it, which is also in its headers.
        accepted_at: UTC, ISO 8601.
        request_id: Microsoft's id of the request.
        is_repeat: whether an earlier call has sent it, and this one sent nothing.
        draft_id: Graph's id of the draft it was sent as, if it was.
    """

    message_id: str
    accepted_at: str
    request_id: str | None
    is_repeat: bool = False
    draft_id: str | None = None


NoteDraft = Callable[[str], Awaitable[None]]
Progress = Callable[[str], Awaitable[None]]


class SendStrategy(Protocol):
    """A way of handing one message to Graph."""

    async def send(self, message_id: str, note_draft: NoteDraft) -> str | None:
        """Hand the message over with this id, and return Graph's request id.

        Args:
            message_id: our id of the message.
            note_draft: to be called with Graph's id of a draft before it is sent.

        Raises:
            OutcomeUnknown: it may have been taken.
            M365Error: it was not.
        """

    async def reconcile(self, message_id: str, draft_id: str | None) -> bool | None:
        """Find out what became of an unclear send: True sent, False not sent, None cannot be told."""


async def no_progress(_: str) -> None:
    """Tell nobody about progress."""


@dataclass(frozen=True)
class Delivery:
    """Sends each message once.

    Attributes:
        ledger: what was sent.
        slots: how many requests a mailbox takes at a time.
        rate_limit: how often one address may be written to.
        metrics: where outcomes are counted.
        throttled_seconds: for how long a message that Graph throttles is offered again; 0: it is not.
    """

    ledger: Ledger
    slots: MailboxSlots
    rate_limit: RecipientRateLimit
    metrics: Metrics
    throttled_seconds: float = 0.0
    _running: set[asyncio.Task[SendReceipt]] = field(default_factory=set, init=False, repr=False)

    async def send(
        self, request: SendRequest, addresses: tuple[str, ...], strategy: SendStrategy, progress: Progress = no_progress
    ) -> SendReceipt:
        """Send the message once, or return the receipt of the call that has.

        Args:
            request: what is to be sent, and for whom.
            addresses: everybody it goes to.
            strategy: how it is handed to Graph.
            progress: told what is waited for.

        Raises:
            OutcomeUnknown: it may have been sent; a repeat says the same and sends nothing.
            IdempotencyKeyReused: the key stands for another message.
            M365Error: it was not sent.
        """
        task = asyncio.create_task(self._send(request, addresses, strategy, progress))
        self._running.add(task)
        task.add_done_callback(self._done)
        # Shielded, here and nowhere else: a caller who hangs up must not leave a send without an outcome.
        return await asyncio.shield(task)

    def _done(self, task: asyncio.Task[SendReceipt]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, because whoever waited may have gone

    async def finish(self) -> None:
        """Return when no send is under way any more."""
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _send(
        self, request: SendRequest, addresses: tuple[str, ...], strategy: SendStrategy, progress: Progress
    ) -> SendReceipt:
        reserve = await self.ledger.reserve(request)
        if not reserve.is_ours and reserve.entry.state == "unknown":
            reserve = await self._reconcile(reserve, strategy)
            if reserve.entry.state == "failed":
                reserve = await self.ledger.reserve(request)
        if not reserve.is_ours:
            return self._repeat(reserve)
        async with self.ledger.working_on(reserve):
            return await self._work(_Work(reserve), request, addresses, strategy, progress)

    async def _work(
        self, work: _Work, request: SendRequest, addresses: tuple[str, ...], strategy: SendStrategy, progress: Progress
    ) -> SendReceipt:
        try:
            await self.rate_limit.count(request.person, addresses)
            async with self.slots.slot(request.person):
                request_id = await self._offer(work, strategy, progress)
        except OutcomeUnknown as error:
            return await self._reconciled_or_unknown(work.reserve, strategy, error)
        except M365Error:
            await self._note(work.reserve, "failed")
            raise
        except BaseException:
            await self._note(work.reserve, "unknown")
            raise
        return await self._sent(work.reserve, request_id)

    async def _offer(self, work: _Work, strategy: SendStrategy, progress: Progress) -> str | None:
        """Hand the message to Graph; one that it throttles, and so did not take, again where the operator allows."""

        async def note_draft(draft_id: str) -> None:
            noted = await self.ledger.note(work.reserve, draft_id=draft_id)
            if noted.entry.draft_id != draft_id:
                # This process stood still for so long that another call took the send over. That call counts.
                raise StorageUnavailable
            work.reserve = noted

        async def offer_once(left: float) -> str | None:
            try:
                return await strategy.send(work.reserve.entry.message_id, note_draft)
            except Throttled as error:
                wait = error.retry_after or 0.0
                if wait < left:
                    await progress(f"Microsoft asks to wait {round(wait)} seconds before the message is sent.")
                raise

        policy = RetryPolicy(seconds=self.throttled_seconds, first_pause=FIRST_PAUSE_SECONDS)
        return await retry(policy, offer_once, _when_throttled)

    async def _reconciled_or_unknown(
        self, reserve: Reservation, strategy: SendStrategy, error: OutcomeUnknown
    ) -> SendReceipt:
        reconciled = await self._look(reserve, strategy)
        if reconciled:
            return await self._sent(reserve, error.reference)
        await self._note(reserve, "unknown" if reconciled is None else "failed")
        if reconciled is None:
            raise OutcomeUnknown(error.sentence, reference=error.reference) from error
        raise GraphUnavailable("Microsoft Graph did not send the message.", reference=error.reference) from error

    async def _reconcile(self, reserve: Reservation, strategy: SendStrategy) -> Reservation:
        """Look up what became of an earlier call's message, and write it down."""
        reconciled = await self._look(reserve, strategy)
        if reconciled is None:
            return reserve
        receipt = {"accepted_at": _now(), "request_id": None} if reconciled else None
        return await self.ledger.note(reserve, state="sent" if reconciled else "failed", receipt=receipt)

    async def _look(self, reserve: Reservation, strategy: SendStrategy) -> bool | None:
        try:
            reconciled = await strategy.reconcile(reserve.entry.message_id, reserve.entry.draft_id)
        except M365Error:
            reconciled = None
        self.metrics.settlements.labels({True: "sent", False: "not_sent", None: "unclear"}[reconciled]).inc()
        return reconciled

    async def _sent(self, reserve: Reservation, request_id: str | None) -> SendReceipt:
        receipt = SendReceipt(reserve.entry.message_id, _now(), request_id, draft_id=reserve.entry.draft_id)
        await self._note(reserve, "sent", receipt={"accepted_at": receipt.accepted_at, "request_id": request_id})
        return receipt

    async def _note(self, reserve: Reservation, state: str, **changes: Any) -> None:
        self.metrics.sends.labels(state).inc()
        # If the store is away now, the record says `sending` and will count as unknown; the caller is told the truth.
        try:
            await self.ledger.note(reserve, state=state, **changes)
        except StorageUnavailable:
            _log.warning("send_outcome_not_noted", outcome=state)

    def _repeat(self, reserve: Reservation) -> SendReceipt:
        entry = reserve.entry
        self.metrics.sends.labels("repeat").inc()
        if entry.state != "sent" or entry.receipt is None:
            raise OutcomeUnknown(_EARLIER)
        accepted_at, request_id = str(entry.receipt["accepted_at"]), entry.receipt.get("request_id")
        return SendReceipt(entry.message_id, accepted_at, request_id, is_repeat=True, draft_id=entry.draft_id)


@dataclass
class _Work:
    """A send under way, and its place in the ledger as it was last written."""

    reserve: Reservation


def _when_throttled(error: Exception) -> bool | float:
    return isinstance(error, Throttled) and (error.retry_after or 0.0)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
