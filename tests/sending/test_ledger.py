"""How long the ledger recognises a repeat: by an equal key, and by an equal message."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from cryptography.fernet import Fernet

from m365_mcp.person import PersonId
from m365_mcp.sending.ledger import Ledger, RepeatWindows
from m365_mcp.sending.send_request import SendRequest
from m365_mcp.storage.encryption import RecordCipher
from m365_mcp.storage.leases import Leases
from m365_mcp.storage.records import Records

ADA = PersonId("t", "ada")


class TimedBackend:
    """A backend whose texts expire by a clock of the test."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self._texts: dict[tuple[str, str], tuple[str, float]] = {}

    async def get(self, collection: str, key: str) -> str | None:
        text, ends = self._texts.get((collection, key), (None, 0.0))
        return text if self.now < ends else None

    async def compare_and_swap(
        self, collection: str, key: str, old: str | None, new: str | None, seconds: float
    ) -> bool:
        if await self.get(collection, key) != old:
            return False
        self._texts.pop((collection, key), None)
        if new is not None:
            self._texts[collection, key] = (new, self.now + seconds)
        return True

    async def keys(self, collection: str) -> AsyncIterator[str]:
        for name, key in self._texts:
            if name == collection:
                yield key


async def is_repeat(backend: TimedBackend, request: SendRequest, after: float) -> bool:
    """Send once, advance the clock, and return whether the same request then counts as a repeat."""
    records = Records(backend, RecordCipher(Fernet(Fernet.generate_key())))
    windows = RepeatWindows(key=7200.0, message=300.0)
    ledger = Ledger(records, Leases(records), windows, lambda: backend.now)
    reservation = await ledger.reserve(request)
    await ledger.update(reservation, state="sent", receipt={"accepted_at": "now"})
    backend.now += after
    return not (await ledger.reserve(request)).is_ours


@pytest.mark.parametrize(
    ("key", "after", "expected"),
    [(None, 299, True), (None, 301, False), ("k", 301, True), ("k", 7199, True), ("k", 7201, False)],
)
async def test_repeat_is_recognised_within_its_own_window(key: str | None, after: float, expected: bool) -> None:
    """The ledger recognises an equal key in the window of keys, and an equal message in the window of messages."""
    request = SendRequest(ADA, "fingerprint", idempotency_key=key)

    assert await is_repeat(TimedBackend(), request, after) is expected
