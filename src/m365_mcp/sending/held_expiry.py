"""Notices held mail whose time ran out undecided, once, also where nobody asks for it again.

Every replica reads which mail ends in the minutes that are over. The change of the mail's own record decides which
replica tells of it, so a mail that two of them find is told once.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from m365_mcp import logs
from m365_mcp.background import repeating
from m365_mcp.errors import StorageUnavailable
from m365_mcp.sending.held_ends import SHARDS, HeldEnds, minute_of
from m365_mcp.sending.held_mail import HeldMails
from m365_mcp.sending.ledger import Ledger

LOOK_SECONDS = 60.0
LOOKED_BACK = 60  # minutes that a new process looks back, for mail whose replica is gone
_log = logs.get(__name__)


@dataclass
class HeldExpiry:
    """Looks for held mail whose time is over.

    Attributes:
        held: the held mail.
        ledger: has what became of each.
        look_seconds: the time between two looks.
    """

    held: HeldMails
    ledger: Ledger
    look_seconds: float = LOOK_SECONDS
    _next: int = field(default=0, init=False)

    def running(self) -> AbstractAsyncContextManager[None]:
        """Look again and again while the block runs."""
        return repeating(self.look, self.look_seconds, waits=True)

    async def look(self) -> None:
        """Close the mail of every minute that is over. While the store is away, the next look does it."""
        now = minute_of(self.held.clock())
        try:
            for minute in range(max(self._next, now - LOOKED_BACK), now):
                for shard in SHARDS:
                    await self._look_at(minute, shard)
                self._next = minute + 1
        except StorageUnavailable:
            _log.warning("held_mail_not_looked_at", effect="the next look finds what has expired")

    async def _look_at(self, minute: int, shard: str) -> None:
        ends = HeldEnds(self.held.records)
        noted = await ends.of(minute, shard)
        for mail_id in noted:
            await self._close_if_expired(mail_id)
        if noted:
            await ends.forget(minute, shard)

    async def _close_if_expired(self, mail_id: str) -> None:
        mail = await self.held.find(mail_id)
        if mail is None or mail.is_decided or mail.expires_at > self.held.clock():
            return
        found = await self.ledger.find(mail.names)
        # While the store was away, a decision may stand in the ledger only.
        if found is None or found.entry.message_id != mail.id or found.entry.state == "held":
            await self.held.expire(mail)
