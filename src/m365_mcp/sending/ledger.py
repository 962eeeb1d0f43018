"""The ledger of sends: before Graph is asked, a send is written down, so that no repeat is ever a second mail.

    nothing → sending → sent      a repeat returns the first receipt
                      → failed    Graph did not take it; a repeat tries again
                      → unknown   it may have been taken; a repeat says so and sends nothing
    sending, and nobody works on it any more (the process died) → unknown

A send with an `idempotency_key` has one record, named after the key.
Any other send has two for as long as v0.1.0 may run beside this version:

- v0.1.0's is named after the fingerprint of the composed mail, and v0.1.0 knows no other;
- ours is named after the fingerprint of the request, which a change to the composing does not change.

A call may send only when it has taken both. v0.1.0's is taken first, so old and new replicas meet at one record:

- Two calls at once, of any versions: one takes v0.1.0's record, the other waits for what becomes of it. The lease of
  the send bears the name of that record, too, so each version sees that the other is at work.
- A process that dies between the two records has sent nothing, and leaves v0.1.0's as `sending` without a lease. Every
  version tells the next call `unknown`.
- Only a version that composes differently can have taken our record and not v0.1.0's. The call then gives back what it
  took, and waits for that send.
- An outcome is written into v0.1.0's record first and then copied into ours. Whoever dies between the two leaves ours
  as `sending`, which becomes `unknown`; nobody ever sends because a copy is missing.

A record has both fingerprints, and a call is a repeat when either is its own. v0.1.0 compares only its own, and keeps
fields that it does not know. A version that follows may drop v0.1.0's record, once every v0.1.0 has been gone for the
longest window in which a repeat is recognised.

Sources: Graph "user: sendMail" (no idempotency of any kind), Stripe's idempotency keys (stored answer, same key with
another request is an error).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from m365_mcp.errors import IdempotencyKeyReused, OutcomeUnknown, StorageUnavailable
from m365_mcp.retries import jittered
from m365_mcp.sending.send_request import SendRequest, new_message_id
from m365_mcp.storage.leases import Leases
from m365_mcp.storage.records import ABSENT, Records, Versioned

COLLECTION = "m365-sends"
WORK_SECONDS = 180.0  # longer than any send works on a message
START_SECONDS = 5.0  # from writing a send down to holding its lease
PATIENCE_SECONDS = 10.0
LOOK_SECONDS = 0.1
_TRIES = 10
_UNREADABLE = "This server's record of an earlier call for this message cannot be read: the message may be sent."

State = Literal["sending", "sent", "failed", "unknown"]


class Entry(BaseModel):
    """What is written down of one send.

    Attributes:
        state: see the module.
        fingerprint: v0.1.0's, of the composed message; a key stands for one message only.
        request_fingerprint: of the request as it was written; None when v0.1.0 wrote the record.
        message_id: our id of the message, which is also in the mail.
        began_at: epoch seconds.
        draft_id: Graph's id of the draft, once there is one.
        receipt: what the first caller was told, once it was sent.
        lease: the record after which the lease of the send is named; None for this one.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    state: State
    fingerprint: str
    message_id: str
    began_at: float
    draft_id: str | None = None
    receipt: dict[str, Any] | None = None
    request_fingerprint: str | None = None
    lease: str | None = None


@dataclass(frozen=True)
class RepeatWindows:
    """How long a repeat is recognised, in seconds: by its key, and by being the same message."""

    key: float = 24 * 3600.0
    message: float = 600.0


@dataclass(frozen=True)
class Reservation:
    """A place in the ledger: either this call's own to work with, or what an earlier one has left.

    Attributes:
        name: key of the record that counts.
        stored: the record as it was read or written.
        entry: its content.
        is_ours: whether this call is the one that sends.
        seconds: how long the record is kept.
        names: keys of all records of the send.
    """

    name: str
    stored: Versioned
    entry: Entry
    is_ours: bool
    seconds: float
    names: tuple[str, ...]


@dataclass(frozen=True)
class Ledger:
    """The sends of everybody, shared by all replicas.

    Attributes:
        records: where they are written.
        leases: held by whoever works on a send; a send without one is nobody's any more.
        windows: how long repeats are recognised.
        clock: epoch seconds; for tests.
    """

    records: Records
    leases: Leases
    windows: RepeatWindows = RepeatWindows()
    clock: Callable[[], float] = time.time

    async def reserve(self, request: SendRequest) -> Reservation:
        """Return this call's own place, or what became of the call it repeats; waits while that one runs.

        Raises:
            IdempotencyKeyReused: the key was used for another message.
            OutcomeUnknown: what an earlier call has left cannot be read, for instance after a lost encryption key.
            StorageUnavailable: nothing may be sent; what was written counts as unknown.
        """
        names = request.names()
        for _ in range(_TRIES):
            reserve = await self._take_all(request, names)
            if reserve.is_ours:
                return reserve
            reserve = await self._settled(reserve)
            if reserve.entry.state != "failed":
                return reserve
        raise StorageUnavailable

    async def _take_all(self, request: SendRequest, names: tuple[str, ...]) -> Reservation:
        """Take every record of a send; where an earlier call has one, return that and take none."""
        fresh = Entry(
            state="sending",
            fingerprint=request.stored_fingerprint,
            request_fingerprint=request.fingerprint,
            message_id=request.message_id or new_message_id(),
            began_at=self.clock(),
            lease=names[0],
        )
        seconds = self.windows.message if request.idempotency_key is None else self.windows.key
        taken: list[Reservation] = []
        for name in names:
            reserve = await self._take(request, Reservation(name, ABSENT, fresh, True, seconds, names))
            if not reserve.is_ours:
                for ours in taken:
                    await self._give_back(ours, reserve.entry)
                return reserve
            taken.append(reserve)
        return taken[0]

    async def _take(self, request: SendRequest, wanted: Reservation) -> Reservation:
        """Take one record, unless an earlier call has it; return it as it then is."""
        for _ in range(_TRIES):
            stored = await self.records.read(COLLECTION, wanted.name)
            found = _read(stored)
            if found is None and stored.version is not None:
                raise OutcomeUnknown(_UNREADABLE)
            if found is not None and not _is_of(request, found):
                raise IdempotencyKeyReused
            if found is not None and found.state != "failed":
                return replace(wanted, stored=stored, entry=found, is_ours=False)
            written = await self._write(replace(wanted, stored=stored), wanted.entry)
            if written is not None:
                return replace(wanted, stored=written)
        raise StorageUnavailable

    async def _give_back(self, ours: Reservation, other: Entry) -> None:
        """Leave in a record that was taken in vain what is known of the call that has the other one."""
        entry = ours.entry.model_copy(update={"state": "failed"})
        if other.state in ("sent", "unknown"):
            entry = other.model_copy(update={"fingerprint": ours.entry.fingerprint})
        await self._write(ours, entry)

    async def _write(self, reserve: Reservation, entry: Entry) -> Versioned | None:
        return await self.records.compare_and_swap(
            COLLECTION, reserve.name, reserve.stored, entry.model_dump(), reserve.seconds
        )

    async def _settled(self, reserve: Reservation) -> Reservation:
        """Wait until the running send has an outcome; one that nobody works on any more becomes unknown."""
        while reserve.entry.state == "sending":
            if await self._is_abandoned(reserve):
                return await self.note(reserve, state="unknown")
            await asyncio.sleep(jittered(LOOK_SECONDS))
            stored = await self.records.read(COLLECTION, reserve.name)
            entry = _read(stored)
            if entry is None:
                break  # its window has passed meanwhile
            reserve = replace(reserve, stored=stored, entry=entry)
        return reserve

    async def _is_abandoned(self, reserve: Reservation) -> bool:
        age = self.clock() - reserve.entry.began_at
        return age > WORK_SECONDS or (age > START_SECONDS and not await self.leases.is_held(_lease(reserve)))

    @asynccontextmanager
    async def working_on(self, reserve: Reservation) -> AsyncIterator[None]:
        """Let the others know that this call is alive and at work on its claim.

        Raises:
            StorageUnavailable: they cannot be told; nothing may be sent.
        """
        try:
            lease = await self.leases.acquire((_lease(reserve),), PATIENCE_SECONDS)
        except TimeoutError as error:
            raise StorageUnavailable from error
        async with self.leases.held_while(lease):
            yield

    async def note(self, reserve: Reservation, **changes: Any) -> Reservation:
        """Write down what has become of a send, unless somebody else has meanwhile, and return how it stands.

        Raises:
            StorageUnavailable: it may or may not be written; the record says `sending` and will count as unknown.
        """
        entry = reserve.entry.model_copy(update=changes)
        written = await self._write(reserve, entry)
        if written is None:
            stored = await self.records.read(COLLECTION, reserve.name)
            return replace(reserve, stored=stored, entry=_read(stored) or entry)
        for name in reserve.names:
            if name != reserve.name:
                await self._copy(replace(reserve, name=name), entry)
        return replace(reserve, stored=written, entry=entry)

    async def _copy(self, reserve: Reservation, entry: Entry) -> None:
        """Write into another record of a send what stands in the first, if it is a record of the same send."""
        stored = await self.records.read(COLLECTION, reserve.name)
        found = _read(stored)
        if found is not None and found.message_id == entry.message_id:
            await self._write(replace(reserve, stored=stored), entry)


def _lease(reserve: Reservation) -> str:
    return f"send.{reserve.entry.lease or reserve.name}"


def _is_of(request: SendRequest, entry: Entry) -> bool:
    """Tell whether a record is of this message: the request is equal, or what v0.1.0 composes from it is."""
    return entry.request_fingerprint == request.fingerprint or entry.fingerprint == request.stored_fingerprint


def _read(stored: Versioned) -> Entry | None:
    if stored.value is None:
        return None
    try:
        return Entry.model_validate(stored.value)
    except ValidationError:
        return None
