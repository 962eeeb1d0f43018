"""Bounds how many registrations there are with which nobody has signed in; the oldest makes room for the next.

Anybody can register. Each unused registration holds one of N slots, which are taken in turn by a number that all
replicas count together; whoever takes a slot drops the registration that held it. A marker decides between dropping a
registration and using it: both change the marker by compare-and-swap, so one of them loses, and a registration with
which somebody has signed in is never dropped.
"""

from __future__ import annotations

from dataclasses import dataclass

from m365_mcp.errors import StorageUnavailable
from m365_mcp.storage.numbers import Numbers
from m365_mcp.storage.records import ABSENT, Records

UNUSED_REGISTRATION_SECONDS = 7 * 24 * 3600
_MARKERS, _SLOTS = "m365-unused-registrations", "m365-registration-slots"
_UNUSED, _DROPPED = {"state": "unused"}, {"state": "dropped"}
_DROPPED_SECONDS = 3600.0  # longer than a sign-in that was begun may take
_TRIES = 5


@dataclass(frozen=True)
class UnusedRegistrations:
    """The registrations with which nobody has signed in.

    Attributes:
        records: the shared store.
        numbers: counts registrations.
        limit: how many there may be.
    """

    records: Records
    numbers: Numbers
    limit: int

    async def add(self, client_id: str) -> str | None:
        """Add a registration, and return the id of the one to delete in its place, if any.

        Raises:
            StorageUnavailable: the store did not respond; the registration may have a slot or not.
        """
        await self.records.compare_and_swap(_MARKERS, client_id, ABSENT, _UNUSED, UNUSED_REGISTRATION_SECONDS)
        holder = {"client_id": client_id}
        for _ in range(_TRIES):
            slot = str(await self.numbers.next("registrations") % self.limit)
            stored = await self.records.read(_SLOTS, slot)
            if await self.records.compare_and_swap(_SLOTS, slot, stored, holder, UNUSED_REGISTRATION_SECONDS):
                return await self._drop((stored.value or {}).get("client_id"))
            # Another replica has gone round all the slots meanwhile.
        raise StorageUnavailable

    async def _drop(self, client_id: str | None) -> str | None:
        """Return the id if that registration is unused, which from now on nobody changes."""
        if client_id is None:
            return None
        stored = await self.records.read(_MARKERS, client_id)
        if stored.version is None or stored.value == _DROPPED:
            return None  # in use, or expired
        dropped = await self.records.compare_and_swap(_MARKERS, client_id, stored, _DROPPED, _DROPPED_SECONDS)
        return client_id if dropped is not None else None

    async def use(self, client_id: str) -> bool:
        """Return whether a registration is in use from now on; False when it has been dropped.

        Raises:
            StorageUnavailable: the store did not respond; the same call may be made again.
        """
        for _ in range(_TRIES):
            stored = await self.records.read(_MARKERS, client_id)
            if stored.version is None:
                return True  # already, or registered with a version that did not count
            if stored.value == _DROPPED:
                return False
            if await self.records.compare_and_swap(_MARKERS, client_id, stored, None) is not None:
                return True
        raise StorageUnavailable
