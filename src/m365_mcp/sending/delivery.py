"""One delivery: its place in the ledger, its turn at the mailbox, the request to Graph, and what became of it.

May know `errors`, `logs`, `metrics` and `sending.*`; how Graph is asked is handed in.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from m365_mcp import logs, trouble
from m365_mcp.errors import M365Error, OutcomeUnknown, StorageUnavailable
from m365_mcp.metrics import Metrics
from m365_mcp.sending.frequency import Frequency
from m365_mcp.sending.ledger import Claim, Ledger, Wish
from m365_mcp.sending.places import MailboxPlaces

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
    """

    message_id: str
    accepted_at: str
    request_id: str | None
    is_repeat: bool = False


# Hands a message with this id to Graph and returns Graph's request id. OutcomeUnknown: it may have been taken; any
# other M365Error: it was not.
Dispatch = Callable[[str], Awaitable[str | None]]


@dataclass(frozen=True)
class Delivery:
    """Sends each message once.

    Attributes:
        ledger: what was sent.
        places: how many requests a mailbox takes at a time.
        frequency: how often one address may be written to.
        metrics: where outcomes are counted.
    """

    ledger: Ledger
    places: MailboxPlaces
    frequency: Frequency
    metrics: Metrics
    _running: set[asyncio.Task[Receipt]] = field(default_factory=set, init=False, repr=False)

    async def send(self, wish: Wish, addresses: tuple[str, ...], dispatch: Dispatch) -> Receipt:
        """Send the message once, or return the receipt of the call that has.

        Raises:
            OutcomeUnknown: it may have been sent; a repeat says the same and sends nothing.
            IdempotencyKeyReused: the key stands for another message.
            M365Error: it was not sent.
        """
        task = asyncio.create_task(self._send(wish, addresses, dispatch))
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

    async def _send(self, wish: Wish, addresses: tuple[str, ...], dispatch: Dispatch) -> Receipt:
        claim = await self.ledger.claim(wish)
        if not claim.is_ours:
            return self._repeat(claim)
        try:
            await self.frequency.count(wish.person, addresses)
            async with self.places.one(wish.person):
                request_id = await dispatch(claim.entry.message_id)
        except OutcomeUnknown as error:
            await self._note(claim, "unknown")
            raise OutcomeUnknown(error.sentence, reference=error.reference) from error
        except M365Error:
            await self._note(claim, "failed")
            raise
        except BaseException:
            await self._note(claim, "unknown")
            raise
        receipt = Receipt(claim.entry.message_id, datetime.now(UTC).isoformat(timespec="seconds"), request_id)
        await self._note(claim, "sent", receipt={"accepted_at": receipt.accepted_at, "request_id": request_id})
        return receipt

    async def _note(self, claim: Claim, state: str, **changes: Any) -> None:
        self.metrics.sends.labels(state).inc()
        # If the store is away now, the record says `sending` and will count as unknown; the caller is told the truth.
        with contextlib.suppress(StorageUnavailable):
            await self.ledger.note(claim, state=state, **changes)
            return
        trouble.forget()
        _log.warning("send_outcome_not_noted", outcome=state)

    def _repeat(self, claim: Claim) -> Receipt:
        entry = claim.entry
        self.metrics.sends.labels("repeat").inc()
        if entry.state != "sent" or entry.receipt is None:
            raise OutcomeUnknown(_EARLIER)
        first = Receipt(entry.message_id, str(entry.receipt["accepted_at"]), entry.receipt.get("request_id"))
        return replace(first, is_repeat=True)
