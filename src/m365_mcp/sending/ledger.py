"""The ledger of sends: before Graph is asked, a send is written down, so that no repeat is ever a second mail.

    nothing → sending → sent      a repeat returns the first receipt
                      → failed    Graph did not take it; a repeat tries again
                      → unknown   it may have been taken; a repeat says so and sends nothing
    sending, and nobody works on it any more (the process died) → unknown

Sources: Graph "user: sendMail" (no idempotency of any kind), Stripe's idempotency keys (stored answer, same key with
another request is an error).
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from m365_mcp.errors import IdempotencyKeyReused, OutcomeUnknown, StorageUnavailable
from m365_mcp.person import PersonId
from m365_mcp.retries import jittered
from m365_mcp.storage.leases import Leases
from m365_mcp.storage.records import Records, Versioned

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
        fingerprint: of the message; a key stands for one message only.
        message_id: our id of the message, which is also in the mail.
        began_at: epoch seconds.
        draft_id: Graph's id of the draft, once there is one.
        receipt: what the first caller was told, once it was sent.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    state: State
    fingerprint: str
    message_id: str
    began_at: float
    draft_id: str | None = None
    receipt: dict[str, Any] | None = None


def new_message_id() -> str:
    """Return an id for a message that no other message has."""
    return secrets.token_hex(16)


@dataclass(frozen=True)
class SendRequest:
    """What a caller wants sent.

    Attributes:
        person: tenant and object id.
        fingerprint: of the message.
        idempotency_key: the caller's own name for the send, if it gave one.
        allow_duplicate: whether the caller wants another copy of a message that was sent before.
        message_id: our id of it, when it bears one already.
    """

    person: PersonId
    fingerprint: str
    idempotency_key: str | None = None
    allow_duplicate: bool = False
    message_id: str | None = None

    def name(self) -> str:
        """Return the record's key; two people never share one, and a deliberate copy has one of its own."""
        if self.idempotency_key is not None:
            what = f"key {self.idempotency_key}"
        else:
            what = f"message {self.fingerprint}" + (f" {secrets.token_hex(16)}" if self.allow_duplicate else "")
        return self.person.digest(what)


@dataclass(frozen=True)
class RepeatWindows:
    """How long a repeat is recognised, in seconds: by its key, and by being the same message."""

    key: float = 24 * 3600.0
    message: float = 600.0


@dataclass(frozen=True)
class Reservation:
    """A place in the ledger: either this call's own to work with, or what an earlier one has left.

    Attributes:
        name: the record's key.
        stored: the record as it was read or written.
        entry: its content.
        is_ours: whether this call is the one that sends.
        seconds: how long the record is kept.
    """

    name: str
    stored: Versioned
    entry: Entry
    is_ours: bool
    seconds: float


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
            StorageUnavailable: nothing was written, so nothing may be sent.
        """
        name = request.name()
        seconds = self.windows.message if request.idempotency_key is None else self.windows.key
        for _ in range(_TRIES):
            stored = await self.records.read(COLLECTION, name)
            entry = _read(stored)
            if entry is None and stored.version is not None:
                raise OutcomeUnknown(_UNREADABLE)
            if entry is not None and entry.fingerprint != request.fingerprint:
                raise IdempotencyKeyReused
            if entry is None or entry.state == "failed":
                fresh = Entry(
                    state="sending",
                    fingerprint=request.fingerprint,
                    message_id=request.message_id or new_message_id(),
                    began_at=self.clock(),
                )
                written = await self.records.compare_and_swap(COLLECTION, name, stored, fresh.model_dump(), seconds)
                if written is not None:
                    return Reservation(name, written, fresh, is_ours=True, seconds=seconds)
                continue  # somebody was faster
            reserve = await self._settled(Reservation(name, stored, entry, is_ours=False, seconds=seconds))
            if reserve.entry.state != "failed":
                return reserve
        raise StorageUnavailable

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
            reserve = Reservation(reserve.name, stored, entry, is_ours=False, seconds=reserve.seconds)
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
        written = await self.records.compare_and_swap(
            COLLECTION, reserve.name, reserve.stored, entry.model_dump(), reserve.seconds
        )
        if written is not None:
            return Reservation(reserve.name, written, entry, reserve.is_ours, reserve.seconds)
        stored = await self.records.read(COLLECTION, reserve.name)
        return Reservation(reserve.name, stored, _read(stored) or entry, reserve.is_ours, reserve.seconds)


def _lease(reserve: Reservation) -> str:
    return f"send.{reserve.name}"


def _read(stored: Versioned) -> Entry | None:
    if stored.value is None:
        return None
    try:
        return Entry.model_validate(stored.value)
    except ValidationError:
        return None
