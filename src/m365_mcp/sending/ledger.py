"""The ledger of sends, an idempotency store: it records each send before Graph gets it, so that no repeat sends twice.

    no record → sending → sent      a repeat returns the first receipt
                        → failed    Graph did not accept the message; a repeat sends it
                        → unknown   Graph may have accepted the message; a repeat reports that and sends nothing
                        → held      the person is asked; a repeat reports that, and sends nothing
    held → sending, when the person approves it
         → declined  when the person discards it; a repeat reports that and sends nothing
    held, after its time: a repeat asks the person anew
    sending, without a lease (the process died) → unknown

A send with a key has one record, and the key names it: the caller's `idempotency_key`, or our own for a draft.
Any other send has two records for as long as v0.1.0 may run beside this version:

- The fingerprint of the composed mail names the record of v0.1.0. v0.1.0 knows no other record.
- The fingerprint of the request names our record. A change to the composing does not change this fingerprint.

A call sends only when it has reserved both records. It reserves the record of v0.1.0 first, so old and new replicas
compete for one record. One round trip creates both, the lease of the send and a slot of the mailbox; another stores the
outcome in both and releases lease and slot. Only a call that finds a record, or has lost time, reads and compares:

- Two concurrent calls, of any versions: one reserves the record of v0.1.0, and the other waits for the outcome. The
  name of that record also names the lease of the send, so each version sees that the other is at work.
- A process that dies between the two records has sent nothing. The record of v0.1.0 stays `sending` without a lease,
  and every version reports `unknown` to the next call.
- Only a version that composes differently can reserve our record without the record of v0.1.0. The other call then
  releases the record it has reserved, and waits for that send.
- `update` writes an outcome to the record of v0.1.0 first and then copies it to ours. When the process dies in between,
  our record stays `sending` and becomes `unknown`. A missing copy never causes a second mail.

A record contains both fingerprints. A call is a repeat when one of them is equal to its own. v0.1.0 compares only its
own fingerprint, and preserves fields that it does not know. A later version may drop the record of v0.1.0, when no
v0.1.0 has run for the longest repeat window.

Sources: Graph "user: sendMail" (no idempotency of any kind), Stripe's idempotency keys (stored response; the same key
with another request is an error).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from m365_mcp.errors import ApprovalOver, StorageUnavailable
from m365_mcp.retries import jittered
from m365_mcp.sending.ledger_entry import Entry, Reservation, State, parse_entry
from m365_mcp.sending.send_records import COLLECTION, POLL_SECONDS, TRIES, SendRecords, is_same_message
from m365_mcp.sending.send_request import SendRequest, new_message_id
from m365_mcp.storage.leases import Lease, Leases
from m365_mcp.storage.records import Records, Write

WORK_SECONDS = 180.0  # longer than any send runs
START_SECONDS = 5.0  # from the record of a send to its lease
LEASE_WAIT_SECONDS = 10.0


@dataclass(frozen=True)
class RepeatWindows:
    """How long the ledger recognises a repeat, in seconds: by an equal key, and by an equal message."""

    key: float = 24 * 3600.0
    message: float = 600.0


@dataclass(frozen=True)
class Ledger:
    """The recent sends of all people, shared by all replicas.

    Attributes:
        records: the store of the entries.
        leases: the process that performs a send holds a lease; without one, the process is dead.
        windows: how long the ledger recognises a repeat.
        clock: returns epoch seconds; for tests.
    """

    records: Records
    leases: Leases
    windows: RepeatWindows = RepeatWindows()
    clock: Callable[[], float] = time.time

    async def reserve(
        self, request: SendRequest, *, records_draft: bool = False, slot: str | None = None
    ) -> Reservation:
        """Reserve a send, or wait for the outcome of the call that it repeats and return that.

        Args:
            request: the send.
            records_draft: whether the send stores its draft before it sends it.
            slot: the name of a lease that the send takes in the same round trip if it is free; see `MailboxSlots`.

        Raises:
            IdempotencyKeyReused: the caller used the key for another message.
            OutcomeUnknown: the entry of an earlier call cannot be read, for instance after a lost encryption key.
            StorageUnavailable: the caller must not send. A record that was stored will count as unknown.
        """
        earlier = await self._earlier(request)
        if earlier is not None:
            return earlier
        names = request.names()
        for _ in range(TRIES):
            reservation = await self._reserve_all(request, names, records_draft, slot)
            if reservation.is_ours:
                return reservation
            reservation = await self._wait_for_outcome(reservation)
            if not reservation.entry.is_over(self.clock()):
                return reservation
        raise StorageUnavailable

    @property
    def _reserving(self) -> SendRecords:
        return SendRecords(self.records, self.leases, self.clock)

    async def _earlier(self, request: SendRequest) -> Reservation | None:
        """Return the same send as an earlier version recorded it; None if there is none, or if this call may send."""
        for name in request.earlier_names():
            found = await self.find((name,))
            if found is not None and is_same_message(request, found.entry):
                found = await self._wait_for_outcome(found)
                if not found.entry.is_over(self.clock()):
                    return found
        return None

    async def find(self, names: tuple[str, ...]) -> Reservation | None:
        """Return the send whose records have these keys; None if there is none. Raises StorageUnavailable."""
        stored = await self.records.read(COLLECTION, names[0])
        entry = parse_entry(stored)
        return None if entry is None else Reservation(names[0], stored, entry, False, self.windows.key, names)

    async def settled(self, names: tuple[str, ...]) -> Reservation | None:
        """Return the send as `find`; mark one that a process has abandoned as unknown. Raises StorageUnavailable."""
        found = await self.find(names)
        if found is not None and found.entry.state == "sending" and await self._is_abandoned(found):
            return await self.update(found, state="unknown")
        return found

    async def hold(self, reservation: Reservation, until: float, rule: str) -> Reservation:
        """Have a send wait for the person until then; afterwards the record stays for the window of repeats."""
        seconds = until - self.clock() + reservation.seconds
        kept = replace(reservation, seconds=seconds)
        return await self.update(kept, state="held", held_until=until, rule=rule)

    async def hold_again(self, names: tuple[str, ...], message_id: str, until: float) -> None:
        """Have a send that was approved and certainly not made wait again, so that the person can try once more."""
        with suppress(StorageUnavailable):  # then a repeat of the call asks the person anew
            found = await self.find(names)
            if found is not None and (found.entry.state, found.entry.message_id) == ("failed", message_id):
                seconds = max(1.0, until - self.clock()) + self.windows.message
                await self.update(replace(found, seconds=seconds), state="held", held_until=until)

    async def expire(self, names: tuple[str, ...], message_id: str, seconds: float) -> bool:
        """End the time of a held send now, so that a repeat asks the person anew; return whether it waited.

        Args:
            names: the keys of its records.
            message_id: our id of the message.
            seconds: how long the ledger tells of it from now on.

        Raises:
            StorageUnavailable: its time may or may not have ended.
        """
        found = await self.find(names)
        if found is None or (found.entry.state, found.entry.message_id) != ("held", message_id):
            return False
        if found.entry.is_over(self.clock()):
            return False
        changed = await self.update(replace(found, seconds=seconds), held_until=self.clock())
        return changed.entry.state == "held"

    async def decide(self, names: tuple[str, ...], message_id: str, state: State, seconds: float) -> Reservation:
        """Take a held send for this decision of the person, once: `sending` or `declined`.

        Args:
            names: the keys of its records.
            message_id: our id of the message.
            state: the decision.
            seconds: how long the ledger recognises a repeat from now on.

        Raises:
            ApprovalOver: the send does not wait any more, or another request has decided it.
            StorageUnavailable: it may have been decided; nothing was sent.
        """
        found = await self.find(names)
        if found is None or found.entry.state != "held" or found.entry.message_id != message_id:
            raise ApprovalOver
        if found.entry.is_over(self.clock()):
            raise ApprovalOver
        found = replace(found, seconds=seconds)
        now = self.clock()
        changed = found.entry.model_copy(update={"state": state, "began_at": now, "held_until": now + seconds})
        written = await self._reserving.write(found, changed)
        if written is None:
            raise ApprovalOver
        for name in names[1:]:
            await self._copy(replace(found, name=name), changed)
        return replace(found, stored=written, entry=changed, is_ours=True)

    async def _reserve_all(
        self, request: SendRequest, names: tuple[str, ...], records_draft: bool, slot: str | None
    ) -> Reservation:
        """Reserve every record of a send. When an earlier call has one, return its entry instead."""
        fresh = Entry(
            state="sending",
            fingerprint=request.stored_fingerprint,
            request_fingerprint=request.fingerprint,
            message_id=request.message_id or new_message_id(),
            began_at=self.clock(),
            lease=names[0],
            records_draft=records_draft,
            save_to_sent=request.save_to_sent,
        )
        seconds = self.windows.key if request.has_key else self.windows.message
        return await self._reserving.reserve(request, fresh, names, seconds, slot)

    async def _wait_for_outcome(self, reservation: Reservation) -> Reservation:
        """Wait until the running send has an outcome; mark an abandoned send as unknown."""
        while reservation.entry.state == "sending":
            if await self._is_abandoned(reservation):
                return await self.update(reservation, state="unknown")
            await asyncio.sleep(jittered(POLL_SECONDS))
            stored = await self.records.read(COLLECTION, reservation.name)
            entry = parse_entry(stored)
            if entry is None:
                break  # the record expired during the wait
            reservation = replace(reservation, stored=stored, entry=entry)
        return reservation

    async def _is_abandoned(self, reservation: Reservation) -> bool:
        age = self.clock() - reservation.entry.began_at
        return age > WORK_SECONDS or (age > START_SECONDS and not await self.leases.is_held(_lease(reservation)))

    @asynccontextmanager
    async def holding_lease(self, reservation: Reservation) -> AsyncIterator[None]:
        """Hold the lease of a send while the block runs; the lease tells other calls that this process is alive.

        Raises:
            StorageUnavailable: the store gave no lease; the caller must not send.
        """
        try:
            lease = reservation.lease
            if lease is None or not lease.is_sure:
                lease = await self.leases.acquire((_lease(reservation),), LEASE_WAIT_SECONDS)
        except TimeoutError as error:
            raise StorageUnavailable from error
        async with self.leases.renewing(lease):
            yield

    async def settle(self, reservation: Reservation, slot: Lease | None = None, **changes: Any) -> None:
        """Store the outcome of a send that Graph accepted, and release its lease, and the slot if there is one.

        With the lease, no other call changes the records. A process that has lost it since would write the truth.

        Raises:
            StorageUnavailable: see `update`.
        """
        lease = reservation.lease
        if lease is None or not lease.is_sure:
            await self.update(reservation, **changes)
            return
        content = reservation.entry.model_copy(update=changes).model_dump()
        writes = [Write(COLLECTION, name, content, reservation.seconds) for name in reservation.names]
        try:
            async with self.leases.releasing(lease, *([slot] if slot and slot.is_sure else [])) as releases:
                await self.records.overwrite(*writes, *releases)
        except TimeoutError:  # the write had to wait so long that the lease is not sure any more
            await self.update(reservation, **changes)

    async def update(self, reservation: Reservation, **changes: Any) -> Reservation:
        """Change the entry of a send and return it. When another call has changed the record, return its entry instead.

        Raises:
            StorageUnavailable: the change may be lost. The record then stays `sending` and will count as unknown.
        """
        entry = reservation.entry.model_copy(update=changes)
        written = await self._reserving.write(reservation, entry)
        if written is None:
            stored = await self.records.read(COLLECTION, reservation.name)
            return replace(reservation, stored=stored, entry=parse_entry(stored) or entry)
        for name in reservation.names:
            if name != reservation.name:
                await self._copy(replace(reservation, name=name), entry)
        return replace(reservation, stored=written, entry=entry)

    async def _copy(self, reservation: Reservation, entry: Entry) -> None:
        """Copy an entry to another record, if that record belongs to the same send; a missing copy is harmless."""
        with suppress(StorageUnavailable):
            stored = await self.records.read(COLLECTION, reservation.name)
            found = parse_entry(stored)
            if found is not None and found.message_id == entry.message_id:
                await self._reserving.write(replace(reservation, stored=stored), entry)


def _lease(reservation: Reservation) -> str:
    return f"send.{reservation.entry.lease or reservation.name}"
