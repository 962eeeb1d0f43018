"""The records of one send: one call reserves them all, together with the lease of the send, or none; see `ledger`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from m365_mcp.errors import IdempotencyKeyReused, M365Error, OutcomeUnknown, StorageUnavailable
from m365_mcp.retries import jittered
from m365_mcp.sending.ledger_entry import Entry, Reservation, parse_entry
from m365_mcp.sending.send_request import SendRequest
from m365_mcp.storage.leases import Lease, Leases
from m365_mcp.storage.records import ABSENT, Records, Versioned, Write

COLLECTION = "m365-sends"
POLL_SECONDS = 0.1
TRIES = 10
_UNREADABLE = "This server's record of an earlier call for this message cannot be read: the message may be sent."


@dataclass(frozen=True)
class SendRecords:
    """Reserves and changes the records of sends; for the attributes see `Ledger`."""

    records: Records
    leases: Leases
    clock: Callable[[], float]

    async def reserve(
        self, request: SendRequest, fresh: Entry, names: tuple[str, ...], seconds: float, slot: str | None = None
    ) -> Reservation:
        """Reserve every record of a send. When an earlier call has one, release the others and return its entry.

        Args:
            request: the send.
            fresh: the entry of this call.
            names: the keys of the records.
            seconds: how long the store retains them.
            slot: the name of a further lease that the send takes if it is free.

        Raises:
            IdempotencyKeyReused: the caller used the key for another message.
            OutcomeUnknown: the entry of an earlier call cannot be read.
            StorageUnavailable: the caller must not send.
        """
        reservations, lease, taken = await self._create_all(fresh, names, seconds, slot)
        for index, reservation in enumerate(reservations):
            if reservation.is_ours:
                continue
            try:
                found = await self._reserve_record(request, reservation, is_first=index == 0)
            except M365Error:
                await self._give_back(reservations, (lease, taken), fresh)
                raise
            if not found.is_ours:
                await self._give_back(reservations, (lease, taken), found.entry)
                return found
            reservations[index] = found
        return replace(reservations[0], lease=lease, slot=taken)

    async def _create_all(
        self, fresh: Entry, names: tuple[str, ...], seconds: float, slot: str | None
    ) -> tuple[list[Reservation], Lease | None, Lease | None]:
        """Create every record that is not there, the lease and the slot; return what is ours."""
        began, content = time.monotonic(), fresh.model_dump()
        lease_names = [f"send.{fresh.lease}", *([slot] if slot else [])]
        writes = [Write(COLLECTION, name, content, seconds) for name in names]
        created = await self.records.create(*writes, *map(self.leases.write_of, lease_names))
        reservations = [
            Reservation(name, stored or ABSENT, fresh, stored is not None, seconds, names)
            for name, stored in zip(names, created[: len(names)], strict=True)
        ]
        lease, taken, *_ = [
            None if stored is None else self.leases.acquired(name, stored, began)
            for name, stored in zip(lease_names, created[len(names) :], strict=True)
        ] + [None]
        return reservations, lease, taken

    async def _reserve_record(self, request: SendRequest, wanted: Reservation, *, is_first: bool) -> Reservation:
        """Reserve one record. When an earlier call has the record, return its entry instead."""
        found = wanted
        for _ in range(TRIES):
            stored = await self.records.read(COLLECTION, wanted.name)
            entry = parse_entry(stored)
            if entry is None and stored.version is not None:
                raise OutcomeUnknown(_UNREADABLE)
            if entry is not None and not is_same_message(request, entry):
                raise IdempotencyKeyReused
            if entry is not None and not entry.is_over(self.clock()):
                found = replace(wanted, stored=stored, entry=entry, is_ours=_is_own(request, wanted, entry))
                if found.is_ours or is_first or not _is_given_back(wanted, entry):
                    return found
                await asyncio.sleep(jittered(POLL_SECONDS))
                continue
            written = await self.write(replace(wanted, stored=stored), wanted.entry)
            if written is not None:
                return replace(wanted, stored=written, is_ours=True)
        if found.stored.version is None:
            raise StorageUnavailable
        return found

    async def _give_back(
        self, reservations: Sequence[Reservation], leases: Sequence[Lease | None], other: Entry
    ) -> None:
        """Release what a call has reserved that does not send. What cannot be released counts as unknown."""
        with suppress(StorageUnavailable):
            for ours in (reservation for reservation in reservations if reservation.is_ours):
                await self._release(ours, other)
            for lease in leases:
                if lease is not None:
                    await self.leases.release(lease)

    async def _release(self, ours: Reservation, other: Entry) -> None:
        """Release a record: copy the outcome of the call that has the other record, or mark the send as failed."""
        entry = ours.entry.model_copy(update={"state": "failed"})
        if other.state in ("sent", "unknown"):
            entry = other.model_copy(update={"fingerprint": ours.entry.fingerprint})
        await self.write(ours, entry)

    async def write(self, reservation: Reservation, entry: Entry) -> Versioned | None:
        """Change one record, and return it, or None when another call has changed it. Raises StorageUnavailable."""
        return await self.records.compare_and_swap(
            COLLECTION, reservation.name, reservation.stored, entry.model_dump(), reservation.seconds
        )


def _is_own(request: SendRequest, wanted: Reservation, found: Entry) -> bool:
    """Return whether this call wrote the record, and the Redis client asked again after a lost response."""
    return request.message_id is None and found.message_id == wanted.entry.message_id


def _is_given_back(wanted: Reservation, found: Entry) -> bool:
    """Return whether the call that has this record competed for the first record, too; it lost, and releases this."""
    return found.state == "sending" and found.lease == wanted.entry.lease


def is_same_message(request: SendRequest, entry: Entry) -> bool:
    """Return whether an entry belongs to this message: the request or the mail that v0.1.0 composes is equal."""
    return entry.request_fingerprint == request.fingerprint or entry.fingerprint == request.stored_fingerprint
