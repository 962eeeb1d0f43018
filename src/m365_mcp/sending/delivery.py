"""One delivery: its place in the ledger, its turn at the mailbox, the request to Graph, and what became of it.

May know `errors`, `logs`, `metrics` and `sending.*`; how Graph is asked is handed in.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from m365_mcp import logs
from m365_mcp.errors import GraphUnavailable, M365Error, OutcomeUnknown, StorageUnavailable, Throttled, request_error
from m365_mcp.metrics import Metrics
from m365_mcp.sending.ledger import Claim, Ledger, Wish
from m365_mcp.sending.mailbox_slots import MailboxPlaces
from m365_mcp.sending.recipient_rate_limit import Frequency

_log = logs.get(__name__)
_EARLIER = "An earlier call has handed this message to Microsoft Graph, and no clear answer came back: it may be sent."


@dataclass(frozen=True)
class Receipt:
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


class Dispatch(Protocol):
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

    async def settle(self, message_id: str, draft_id: str | None) -> bool | None:
        """Find out what became of an unclear send: True sent, False not sent, None cannot be told."""


async def in_silence(_: str) -> None:
    """Tell nobody about progress."""


@dataclass(frozen=True)
class Delivery:
    """Sends each message once.

    Attributes:
        ledger: what was sent.
        places: how many requests a mailbox takes at a time.
        frequency: how often one address may be written to.
        metrics: where outcomes are counted.
        throttled_seconds: for how long a message that Graph throttles is offered again; 0: it is not.
    """

    ledger: Ledger
    places: MailboxPlaces
    frequency: Frequency
    metrics: Metrics
    throttled_seconds: float = 0.0
    _running: set[asyncio.Task[Receipt]] = field(default_factory=set, init=False, repr=False)

    async def send(
        self, wish: Wish, addresses: tuple[str, ...], dispatch: Dispatch, progress: Progress = in_silence
    ) -> Receipt:
        """Send the message once, or return the receipt of the call that has.

        Args:
            wish: what is to be sent, and for whom.
            addresses: everybody it goes to.
            dispatch: how it is handed to Graph.
            progress: told what is waited for.

        Raises:
            OutcomeUnknown: it may have been sent; a repeat says the same and sends nothing.
            IdempotencyKeyReused: the key stands for another message.
            M365Error: it was not sent.
        """
        task = asyncio.create_task(self._send(wish, addresses, dispatch, progress))
        self._running.add(task)
        task.add_done_callback(self._done)
        # Shielded: whoever hangs up must not leave a send without an outcome.
        return await asyncio.shield(task)

    def _done(self, task: asyncio.Task[Receipt]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, because whoever waited may have gone

    async def finish(self) -> None:
        """Return when no send is under way any more."""
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _send(self, wish: Wish, addresses: tuple[str, ...], dispatch: Dispatch, progress: Progress) -> Receipt:
        claim = await self.ledger.claim(wish)
        if not claim.is_ours and claim.entry.state == "unknown":
            claim = await self._settle(claim, dispatch)
            if claim.entry.state == "failed":
                claim = await self.ledger.claim(wish)
        if not claim.is_ours:
            return self._repeat(claim)
        async with self.ledger.working_on(claim):
            return await self._work(_Work(claim), wish, addresses, dispatch, progress)

    async def _work(
        self, work: _Work, wish: Wish, addresses: tuple[str, ...], dispatch: Dispatch, progress: Progress
    ) -> Receipt:
        try:
            await self.frequency.count(wish.person, addresses)
            async with self.places.one(wish.person):
                request_id = await self._offer(work, dispatch, progress)
        except OutcomeUnknown as error:
            return await self._settled_or_unknown(work.claim, dispatch, error)
        except M365Error:
            await self._note(work.claim, "failed")
            raise
        except BaseException:
            await self._note(work.claim, "unknown")
            raise
        return await self._sent(work.claim, request_id)

    async def _offer(self, work: _Work, dispatch: Dispatch, progress: Progress) -> str | None:
        """Hand the message to Graph; one that it throttles, and so did not take, again where the operator allows."""

        async def note_draft(draft_id: str) -> None:
            work.claim = await self.ledger.note(work.claim, draft_id=draft_id)

        deadline = time.monotonic() + self.throttled_seconds
        while True:
            try:
                return await dispatch.send(work.claim.entry.message_id, note_draft)
            except Throttled as error:
                wait = error.retry_after or 0.0
                if time.monotonic() + wait >= deadline:
                    raise
                await progress(f"Microsoft asks to wait {round(wait)} seconds before the message is sent.")
                await asyncio.sleep(wait)

    async def _settled_or_unknown(self, claim: Claim, dispatch: Dispatch, error: OutcomeUnknown) -> Receipt:
        settled = await self._look(claim, dispatch)
        if settled:
            return await self._sent(claim, error.reference)
        await self._note(claim, "unknown" if settled is None else "failed")
        if settled is None:
            raise OutcomeUnknown(error.sentence, reference=error.reference) from error
        raise GraphUnavailable("Microsoft Graph did not send the message.", reference=error.reference) from error

    async def _settle(self, claim: Claim, dispatch: Dispatch) -> Claim:
        """Look up what became of an earlier call's message, and write it down."""
        settled = await self._look(claim, dispatch)
        if settled is None:
            return claim
        receipt = {"accepted_at": _now(), "request_id": None} if settled else None
        return await self.ledger.note(claim, state="sent" if settled else "failed", receipt=receipt)

    async def _look(self, claim: Claim, dispatch: Dispatch) -> bool | None:
        try:
            settled = await dispatch.settle(claim.entry.message_id, claim.entry.draft_id)
        except M365Error:
            settled = None
        self.metrics.settlements.labels({True: "sent", False: "not_sent", None: "unclear"}[settled]).inc()
        return settled

    async def _sent(self, claim: Claim, request_id: str | None) -> Receipt:
        receipt = Receipt(claim.entry.message_id, _now(), request_id, draft_id=claim.entry.draft_id)
        await self._note(claim, "sent", receipt={"accepted_at": receipt.accepted_at, "request_id": request_id})
        return receipt

    async def _note(self, claim: Claim, state: str, **changes: Any) -> None:
        self.metrics.sends.labels(state).inc()
        # If the store is away now, the record says `sending` and will count as unknown; the caller is told the truth.
        with contextlib.suppress(StorageUnavailable):
            await self.ledger.note(claim, state=state, **changes)
            return
        request_error.forget()
        _log.warning("send_outcome_not_noted", outcome=state)

    def _repeat(self, claim: Claim) -> Receipt:
        entry = claim.entry
        self.metrics.sends.labels("repeat").inc()
        if entry.state != "sent" or entry.receipt is None:
            raise OutcomeUnknown(_EARLIER)
        accepted_at, request_id = str(entry.receipt["accepted_at"]), entry.receipt.get("request_id")
        return Receipt(entry.message_id, accepted_at, request_id, is_repeat=True, draft_id=entry.draft_id)


@dataclass
class _Work:
    """A send under way, and its place in the ledger as it was last written."""

    claim: Claim


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
