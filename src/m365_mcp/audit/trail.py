"""The audit trail of one process: takes events from the event loop, and lets nothing pass unrecorded if it must not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from m365_mcp.audit import calls
from m365_mcp.audit import passkey_records as passkey_records  # registers its renderer
from m365_mcp.audit.records import render
from m365_mcp.audit.tips import TipExchange
from m365_mcp.audit.writer import Writer
from m365_mcp.errors import AuditUnavailable
from m365_mcp.sending.send_events import SendEvent

CONFIRM_SECONDS = 5.0


@dataclass(frozen=True)
class AuditTrail:
    """The audit trail of one process; an observer of sends, and of all other events.

    Attributes:
        writer: writes the records; None: there is no audit trail.
        tips: exchanges the tips of the chains; None: there is no audit trail.
        is_required: whether a message leaves only when a record says that it is about to.
        notes_addresses: whether records of sign-ins have the IP address.
        confirm_seconds: how long a send waits for its record.
    """

    writer: Writer | None = None
    tips: TipExchange | None = None
    is_required: bool = False
    notes_addresses: bool = False
    confirm_seconds: float = CONFIRM_SECONDS

    @property
    def is_on(self) -> bool:
        """Whether the operator wants records."""
        return self.writer is not None

    def record(self, event: object) -> None:
        """Record an event; returns at once and raises nothing."""
        calls.note(event)
        if self.writer is not None:
            self.writer.add(event)

    def end(self, event: SendEvent) -> None:
        """Record the outcome of a send; see `SendObserver`."""
        self.record(event)

    async def begin(self, event: SendEvent) -> None:
        """Return when a record says that the message is about to leave, if the operator requires that.

        Raises:
            AuditUnavailable: the record could not be written in time.
        """
        if self.writer is None or not self.is_required:
            return
        at = time.time_ns() // 1_000_000
        written = self.writer.add_and_confirm(lambda options: render(event, at, options))
        try:
            await asyncio.wait_for(asyncio.wrap_future(written), self.confirm_seconds)
        except (OSError, TimeoutError) as error:
            raise AuditUnavailable from error

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send what an earlier process has left, and exchange tips with the other replicas, while the block runs."""
        if self.writer is None or self.tips is None:
            yield
            return
        self.writer.output.resume()
        async with self.tips.running():
            yield

    async def close(self) -> None:
        """Exchange tips for the last time, and write what waits. The store must still be open."""
        if self.writer is None:
            return
        if self.tips is not None and self.writer.has_begun:
            await self.tips.exchange()
        await asyncio.to_thread(self.writer.close)
