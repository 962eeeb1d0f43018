"""Delivers one message: reserves the send, waits for a mailbox slot, sends the request, and stores the outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from m365_mcp import logs
from m365_mcp.errors import (
    AuditUnavailable,
    GraphUnavailable,
    M365Error,
    OutcomeUnknown,
    StorageUnavailable,
    Throttled,
    Unavailable,
)
from m365_mcp.metrics import Metrics
from m365_mcp.person import PersonId
from m365_mcp.retries import RetryPolicy, retry
from m365_mcp.sending.held_mail import ApprovalNeeded, HeldMail, HeldMails, new_held_mail, waiting_copy
from m365_mcp.sending.ledger import Ledger
from m365_mcp.sending.ledger_entry import Reservation, RunningSend
from m365_mcp.sending.mailbox_slots import MailboxSlots, any_slot
from m365_mcp.sending.send_events import NoObserver, ObservedSend, SendEvent, SendObserver, event_of, tell_of_expiry
from m365_mcp.sending.send_limits import SendLimits
from m365_mcp.sending.send_request import SendRequest
from m365_mcp.sending.send_strategy import (
    DEFAULT_TERMS,
    ApprovalTerms,
    Progress,
    SendReceipt,
    SendStrategy,
    no_progress,
)
from m365_mcp.storage.leases import Lease

FIRST_PAUSE_SECONDS = 1.0  # the shortest pause before this server sends a throttled message again
_log = logs.get(__name__)
_EARLIER = "An earlier call sent this message to Microsoft Graph and got no clear response: it may be sent."


@dataclass(frozen=True)
class Delivery:
    """Sends each message once.

    Attributes:
        ledger: the entries of recent sends.
        slots: limits the concurrent requests for a mailbox.
        limits: counts what leaves, and refuses what goes over a limit.
        metrics: counts the outcomes.
        throttled_seconds: how long this server retries a throttled message; 0 for no retry.
        approval: where and how long a message waits for the person.
        observer: is told of every send.
    """

    ledger: Ledger
    slots: MailboxSlots
    limits: SendLimits
    metrics: Metrics
    throttled_seconds: float = 0.0
    approval: ApprovalTerms = DEFAULT_TERMS
    observer: SendObserver = field(default_factory=NoObserver)
    _running: set[asyncio.Task[SendReceipt]] = field(default_factory=set, init=False, repr=False)

    async def send(
        self, request: SendRequest, addresses: tuple[str, ...], strategy: SendStrategy, progress: Progress = no_progress
    ) -> SendReceipt:
        """Send the message once, or return the receipt of the earlier call that sent it.

        Args:
            request: the sender and the fingerprints of the message.
            addresses: the addresses of all recipients.
            strategy: sends the message through Graph.
            progress: receives a sentence for the caller when this method waits.

        Raises:
            OutcomeUnknown: Graph may have sent the message; a repeat raises the same and sends nothing.
            IdempotencyKeyReused: the caller used the key for another message.
            AuditUnavailable: the operator requires a record of the send, and it could not be written.
            M365Error: Graph did not send the message.
        """
        observed = ObservedSend(self.observer, SendEvent(request, addresses))
        return await self._finish(observed.run(self._send(observed, strategy, progress)))

    async def send_held(self, mail: HeldMail, strategy: SendStrategy) -> SendReceipt:
        """Send a held message that was approved, once, as `send` does. Raises ApprovalOver if it waits no more."""
        observed = ObservedSend(self.observer, event_of(mail, strategy.to_hold().message, proof=self.approval.proof))
        return await self._finish(observed.run(self._send_held(observed, mail, strategy)))

    async def decline(self, mail: HeldMail) -> None:
        """Discard a held message; an equal one asks anew after the window. Raises ApprovalOver, StorageUnavailable."""
        seconds = min(mail.window_seconds, self.ledger.windows.message)
        await self.ledger.decide(mail.names, mail.id, "declined", seconds)
        self.metrics.sends.labels("declined").inc()
        await self.held.close(mail, seconds)
        self.observer.end(event_of(mail, None, "declined"))

    @property
    def held(self) -> HeldMails:
        """The messages that wait for approval."""
        return HeldMails(self.ledger.records, self.ledger.clock, partial(tell_of_expiry, self.metrics, self.observer))

    async def _finish(self, sending: Coroutine[Any, Any, SendReceipt]) -> SendReceipt:
        task = asyncio.create_task(sending)
        self._running.add(task)
        task.add_done_callback(self._discard)
        # The only shield: the send needs an outcome even when the caller disconnects.
        return await asyncio.shield(task)

    def _discard(self, task: asyncio.Task[SendReceipt]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # retrieves the exception, because the caller may have disconnected

    async def finish(self) -> None:
        """Wait until no send is running."""
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _send(self, observed: ObservedSend, strategy: SendStrategy, progress: Progress) -> SendReceipt:
        waiting = await waiting_copy(observed.event.request, self.held, self.ledger)
        if waiting is not None:
            return self._repeat(waiting)
        reservation = await self._reserve(observed, strategy)
        if not reservation.is_ours and reservation.entry.state == "unknown":
            reservation = await self._reconcile(observed, reservation, strategy)
            if reservation.entry.state == "failed":
                reservation = await self._reserve(observed, strategy)
        if not reservation.is_ours:
            return self._repeat(reservation)
        async with self.ledger.holding_lease(reservation), self.slots.giving_back(reservation.slot):
            return await self._perform(RunningSend(reservation), observed, strategy, progress)

    async def _reserve(self, observed: ObservedSend, strategy: SendStrategy) -> Reservation:
        request = observed.event.request
        slot = any_slot(request.person)
        found = await self.ledger.reserve(request, records_draft=strategy.records_draft, slot=slot)
        observed.reserved(found.entry.message_id)
        return found

    async def _send_held(self, observed: ObservedSend, mail: HeldMail, strategy: SendStrategy) -> SendReceipt:
        await observed.begin()  # first, so that the mail still waits if the send cannot be recorded
        reservation = await self.ledger.decide(mail.names, mail.id, "sending", mail.window_seconds)
        self.metrics.sends.labels("approved").inc()  # of two clicks, the store has let one decide
        try:
            async with self.ledger.holding_lease(reservation):
                receipt = await self._perform(RunningSend(reservation), observed, strategy, no_progress)
        except Unavailable:
            with suppress(StorageUnavailable):  # then a repeat of the call asks the person anew
                kept = await self.held.find(mail.id)
                if kept is not None and not kept.is_decided:  # its session may have ended meanwhile
                    await self.ledger.hold_again(mail.names, mail.id, mail.expires_at)
            raise
        except M365Error:
            await self.held.close(mail, mail.window_seconds)
            raise
        await self.held.close(mail, mail.window_seconds)
        return receipt

    async def _perform(
        self, running: RunningSend, observed: ObservedSend, strategy: SendStrategy, progress: Progress
    ) -> SendReceipt:
        person = observed.event.request.person
        try:
            await observed.begin()
            async with self.limits.counting(person, observed.event.addresses):
                return await self._send_or_reconcile(running, strategy, progress, person)
        except ApprovalNeeded as needed:
            return await self._hold(running.reservation, observed, strategy, needed.rule)
        except OutcomeUnknown:
            raise
        except M365Error:
            await self._store_outcome(running.reservation, "failed")
            raise
        except BaseException:
            await self._store_outcome(running.reservation, "unknown")
            raise

    async def _send_or_reconcile(
        self, running: RunningSend, strategy: SendStrategy, progress: Progress, person: PersonId
    ) -> SendReceipt:
        """Send the message, and store the outcome unless it was refused, as `send` raises it."""
        try:
            async with self.slots.slot(person, running.reservation.slot) as slot:
                request_id = await self._send_with_retries(running, strategy, progress)
                return await self._sent(running.reservation, request_id, slot)
        except OutcomeUnknown as error:
            return await self._reconciled_or_unknown(running.reservation, strategy, error)

    async def _hold(
        self, reservation: Reservation, observed: ObservedSend, strategy: SendStrategy, rule: str
    ) -> SendReceipt:
        """Keep the message for the person's approval. Raises TooManyHeld, StorageUnavailable; nothing was sent."""
        until = (now := self.ledger.clock()) + self.approval.seconds
        event, content = observed.event, strategy.to_hold()
        mail = new_held_mail(event.request, event.addresses, reservation, content, rule, (now, until))
        try:
            await self.held.hold(mail, content.message, self.approval.seconds + reservation.seconds)
        except M365Error:
            await self._store_outcome(reservation, "failed")
            raise
        waiting = await self.ledger.hold(reservation, until, rule)
        self.metrics.sends.labels("held").inc()
        observed.held(rule)
        return self._repeat(waiting, is_new=True)

    async def _send_with_retries(self, running: RunningSend, strategy: SendStrategy, progress: Progress) -> str | None:
        """Send the message; retry as long as the operator allows while Graph throttles it and so does not accept it."""

        async def record_draft(draft_id: str) -> None:
            updated = await self.ledger.update(running.reservation, draft_id=draft_id)
            if updated.entry.draft_id != draft_id:
                # This process was frozen for so long that another call reserved the send. Only that call may send.
                raise StorageUnavailable
            running.reservation = updated

        async def send_once(left: float) -> str | None:
            try:
                return await strategy.send(running.reservation.entry.message_id, record_draft)
            except Throttled as error:
                wait = error.retry_after or 0.0
                if wait < left:
                    await progress(f"Microsoft asks to wait {round(wait)} seconds before the message is sent.")
                raise

        policy = RetryPolicy(seconds=self.throttled_seconds, first_pause=FIRST_PAUSE_SECONDS)
        return await retry(policy, send_once, lambda error: isinstance(error, Throttled) and (error.retry_after or 0.0))

    async def _reconciled_or_unknown(
        self, reservation: Reservation, strategy: SendStrategy, error: OutcomeUnknown
    ) -> SendReceipt:
        reconciled = await self._ask_strategy(reservation, strategy)
        if reconciled:
            return await self._sent(reservation, error.reference, slot=None)
        if reconciled is None:
            await self._store_outcome(reservation, "unknown")
            raise OutcomeUnknown(error.sentence, reference=error.reference) from error
        raise GraphUnavailable("Microsoft Graph did not send the message.", reference=error.reference) from error

    async def _reconcile(self, observed: ObservedSend, reservation: Reservation, strategy: SendStrategy) -> Reservation:
        """Look up the outcome of an earlier call's message, and store it; the strategy may send its draft once more."""
        try:
            await observed.begin()
        except AuditUnavailable:
            return reservation
        reconciled = await self._ask_strategy(reservation, strategy)
        if reconciled is None:
            return reservation
        receipt = {"accepted_at": _now(), "request_id": None} if reconciled else None
        return await self.ledger.update(reservation, state="sent" if reconciled else "failed", receipt=receipt)

    async def _ask_strategy(self, reservation: Reservation, strategy: SendStrategy) -> bool | None:
        # Without a draft there is nothing to look up, and a missing draft proves nothing about a direct send.
        if reservation.entry.draft_id is None and not reservation.entry.records_draft:
            return self._count_reconciled(None)
        try:
            reconciled = await strategy.reconcile(reservation.entry.message_id, reservation.entry.draft_id)
        except (M365Error, ApprovalNeeded):
            reconciled = None
        return self._count_reconciled(reconciled)

    def _count_reconciled(self, reconciled: bool | None) -> bool | None:
        self.metrics.settlements.labels({True: "sent", False: "not_sent", None: "unclear"}[reconciled]).inc()
        return reconciled

    async def _sent(self, reservation: Reservation, request_id: str | None, slot: Lease | None) -> SendReceipt:
        entry = reservation.entry
        receipt = SendReceipt(entry.message_id, _now(), request_id, draft_id=entry.draft_id, is_saved=entry.is_saved)
        stored_receipt = {"accepted_at": receipt.accepted_at, "request_id": request_id}
        await self._store_outcome(reservation, "sent", slot=slot, receipt=stored_receipt)
        return receipt

    async def _store_outcome(self, reservation: Reservation, state: str, **changes: Any) -> None:
        self.metrics.sends.labels(state).inc()
        # Without the store, the record stays `sending` and will count as unknown. The caller gets the true outcome.
        try:
            await (self.ledger.settle if state == "sent" else self.ledger.update)(reservation, state=state, **changes)
        except StorageUnavailable:
            _log.warning("send_outcome_not_stored", outcome=state)

    def _repeat(self, reservation: Reservation, *, is_new: bool = False) -> SendReceipt:
        entry = reservation.entry
        if entry.state in ("held", "declined"):
            return SendReceipt(entry.message_id, None, None, approval=self.approval.of(entry, is_new=is_new))
        self.metrics.sends.labels("repeat").inc()
        if entry.state != "sent" or entry.receipt is None:
            raise OutcomeUnknown(_EARLIER)
        accepted_at, request_id = str(entry.receipt["accepted_at"]), entry.receipt.get("request_id")
        return SendReceipt(
            entry.message_id, accepted_at, request_id, is_repeat=True, draft_id=entry.draft_id, is_saved=entry.is_saved
        )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
