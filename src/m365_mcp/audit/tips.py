"""Exchanges the tips of the replicas' chains through the store, so that each chain bears witness to the others.

Each replica writes a record with its own signed tip and the newest tips of the others into its chain, and puts its tip
into the store. Who cuts the end off one replica's records, or removes them all, is told on by the records of another.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from m365_mcp import logs
from m365_mcp.audit.chain import TIP, Tip, read_tip
from m365_mcp.audit.ocsf import Options, Record, own_activity
from m365_mcp.audit.writer import Writer
from m365_mcp.background import repeating
from m365_mcp.errors import StorageUnavailable
from m365_mcp.storage.records import Records

COLLECTION = "m365-audit-tips"
KEY = "tips"
EXCHANGE_SECONDS = 60.0
KEPT_SECONDS = 7 * 24 * 3600.0  # how long the tip of a replica that is gone stays in the store
CONFIRM_SECONDS = 5.0
MAX_TIPS = 200
_TRIES = 10
_log = logs.get(__name__)


@dataclass
class TipExchange:
    """Exchanges tips.

    Attributes:
        writer: writes the records of tips.
        records: the store that the replicas share.
        key: signs tips; None: they are not signed.
        seconds: the time between two exchanges.
    """

    writer: Writer
    records: Records
    key: Ed25519PrivateKey | None
    seconds: float = EXCHANGE_SECONDS
    _told: tuple[int, frozenset[tuple[str, int]]] = field(default=(0, frozenset()), init=False)

    def running(self) -> AbstractAsyncContextManager[None]:
        """Exchange tips again and again while the block runs."""
        return repeating(self.exchange, self.seconds)

    async def exchange(self) -> None:
        """Record our tip and those of the others, and put ours into the store; if nothing has happened, do nothing.

        An output or a store that is away is tried again with the next exchange.
        """
        try:
            others = await self._others()
            # Records of tips do not count, or two replicas would tell each other of them for ever.
            known = self.writer.events, frozenset((tip.chain, events) for tip, events in others)
            if known == self._told:
                return
            await self._publish(await self._record([tip for tip, _ in others]))
        except (OSError, TimeoutError, StorageUnavailable) as error:
            _log.warning("audit_tips_not_exchanged", error=type(error).__name__)
            return
        self._told = known

    async def _others(self) -> list[tuple[Tip, int]]:
        """Return the newest tips of the others and their numbers of events; with a key, only those it has signed."""
        stored = await self.records.read(COLLECTION, KEY)
        public = self.key.public_key() if self.key else None
        found = []
        for chain, value in sorted((stored.value or {}).items()):
            tip = read_tip(value)
            if tip is None or chain == self.writer.chain.id or (public is not None and not tip.is_signed_by(public)):
                continue
            found.append((tip, int(value.get("events", 0))))
        return found

    async def _record(self, others: list[Tip]) -> Tip:
        """Write a record of the tips, and return the signed tip of the chain that ends with it."""
        at = time.time_ns() // 1_000_000

        def make(options: Options) -> Record:
            # The thread of the writer calls this, so that our tip is that of the record before.
            own = self.writer.chain.tip.signed(self.key)
            record = own_activity("audit.tips", at, options)
            tips = [tip.as_json() for tip in (own, *others) if tip.number]
            return record | {"status_id": 1, "unmapped": {TIP: tips}}

        written = self.writer.add_and_confirm(make, is_event=False)
        return (await asyncio.wait_for(asyncio.wrap_future(written), CONFIRM_SECONDS)).signed(self.key)

    async def _publish(self, tip: Tip) -> None:
        """Put our tip into the store. Raises StorageUnavailable."""
        for _ in range(_TRIES):
            stored = await self.records.read(COLLECTION, KEY)
            now = time.time()
            entry = tip.as_json() | {"at": now, "events": self.writer.events}
            tips = {**_recent(stored.value or {}, now), tip.chain: entry}
            if await self.records.compare_and_swap(COLLECTION, KEY, stored, tips, KEPT_SECONDS):
                return
        raise StorageUnavailable


def _recent(tips: dict[str, Any], now: float) -> dict[str, Any]:
    """Return the tips that are still kept, the newest of them if there are too many."""
    dated = {chain: tip for chain, tip in tips.items() if isinstance(tip, dict) and isinstance(tip.get("at"), float)}
    kept = [(tip["at"], chain) for chain, tip in dated.items() if now - tip["at"] < KEPT_SECONDS]
    return {chain: dated[chain] for _, chain in sorted(kept)[1 - MAX_TIPS :]}
