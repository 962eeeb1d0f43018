"""Mail that waits for the person's approval: the exact message, encrypted in the store until the approval or its end.

The ledger decides what becomes of a held message (`held` → `sending` or `declined`), so that it is sent once. These
records have only what is shown and sent. They end with the approval time; a decision removes the content before.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from m365_mcp.errors import StorageUnavailable, TooManyHeld
from m365_mcp.mail import Message
from m365_mcp.person import PersonId
from m365_mcp.sending.held_ends import KEPT_SECONDS, HeldEnds
from m365_mcp.sending.ledger import Ledger
from m365_mcp.sending.ledger_entry import Reservation
from m365_mcp.sending.message_json import message_as_json, message_from_json
from m365_mcp.sending.send_request import SendRequest
from m365_mcp.storage.records import ABSENT, Records, Versioned

COLLECTION = "m365-held"
CONTENTS = "m365-held-contents"  # apart, so that who only asks for a page makes nobody decrypt a large message
PEOPLE = "m365-held-by-person"
MAX_HELD = 20  # messages of one person
MAX_HELD_BYTES = 16_000_000  # of all messages of one person together, as JSON
_TRIES = 10

Way = Literal["direct", "draft", "deferred", "existing", "reply", "forward"]


class ApprovalNeeded(Exception):
    """A policy permits the message, and the person is to be asked first. `Delivery` then holds the message.

    Args:
        rule: the id of the policy.
    """

    def __init__(self, rule: str) -> None:
        self.rule = rule
        super().__init__(rule)


@dataclass(frozen=True)
class HeldContent:
    """What is to be sent.

    Attributes:
        way: how: a composed message by one of the first three ways, else a draft in the mailbox.
        message: the composed message; None for a draft.
        draft_id: Graph's id of the draft; None for a composed message.
    """

    way: Way
    message: Message | None = None
    draft_id: str | None = None


class HeldMail(BaseModel):
    """The record of one held message.

    Attributes:
        id: our id of the message.
        person: tenant and object id of the sender.
        session_id: see `Origin`, as for `client` and `sign_in_name`.
        rule: the id of the policy that has it wait.
        held_at: epoch seconds, as for `expires_at`.
        names: the keys of its records in the ledger.
        fingerprint: the fingerprint of its request.
        window_seconds: how long the ledger recognises a repeat after the decision.
        way: see `HeldContent`, as for `draft_id`.
        subject: for the list of what waits; empty after the decision, as are the addresses.
        addresses: the recipients.
        is_decided: whether it was sent or discarded.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    id: str
    person: PersonId
    session_id: str
    client: str
    sign_in_name: str
    rule: str
    held_at: float
    expires_at: float
    names: tuple[str, ...]
    fingerprint: str
    window_seconds: float
    way: Way
    draft_id: str | None = None
    subject: str = ""
    addresses: tuple[str, ...] = ()
    is_decided: bool = False

    def decided(self) -> HeldMail:
        """Return what stays of it after the decision."""
        return self.model_copy(update={"is_decided": True, "subject": "", "addresses": ()})


def new_held_mail(
    request: SendRequest,
    addresses: tuple[str, ...],
    reservation: Reservation,
    content: HeldContent,
    rule: str,
    times: tuple[float, float],
) -> HeldMail:
    """Return the record of a message that is held.

    Args:
        request: its sender, and the call.
        addresses: the recipients.
        reservation: its records in the ledger.
        content: what is to be sent.
        rule: the id of the policy that has it wait.
        times: from when until when it waits, in epoch seconds.
    """
    message, origin = content.message, request.origin
    return HeldMail(
        id=reservation.entry.message_id,
        person=request.person,
        session_id=origin.session_id,
        client=origin.client,
        sign_in_name=origin.sign_in_name,
        rule=rule,
        held_at=times[0],
        expires_at=times[1],
        names=reservation.names,
        fingerprint=request.fingerprint,
        window_seconds=reservation.seconds,
        way=content.way,
        draft_id=content.draft_id,
        subject=message.subject if message else "",
        addresses=addresses,
    )


def _ignore(_: HeldMail) -> None:
    return


class _Waiting(BaseModel):
    """What waits of one person: the id of each message, its end in epoch seconds, and its bytes."""

    mail: dict[str, tuple[float, int]] = {}


@dataclass(frozen=True)
class HeldMails:
    """The held messages of all people, shared by all replicas.

    Attributes:
        records: the store.
        clock: returns epoch seconds.
        on_expiry: is told of each message whose time ran out undecided, once.
    """

    records: Records
    clock: Callable[[], float]
    on_expiry: Callable[[HeldMail], None] = _ignore

    async def hold(self, mail: HeldMail, message: Message | None, seconds: float) -> None:
        """Store a message for so many seconds, in place of an earlier record of the same draft.

        Raises:
            TooManyHeld: so much of the person's mail waits already.
            StorageUnavailable: nobody is asked for it.
        """
        content = None if message is None else message_as_json(message)
        size = len(mail.model_dump_json()) + (0 if content is None else len(json.dumps(content)))
        await self._change(mail.person, lambda waiting: _with(waiting, mail, size))
        earlier = await self.records.read(COLLECTION, mail.id)
        before = _parse(earlier.value)
        is_free = earlier.version is None or (before is not None and before.person == mail.person)
        await HeldEnds(self.records).note(mail.id, mail.expires_at, self.clock())
        if content is not None:
            await self.records.compare_and_swap(CONTENTS, mail.id, ABSENT, content, seconds)
        kept = max(seconds, mail.expires_at - self.clock() + KEPT_SECONDS)
        if not is_free or not await self._write(mail, earlier, kept):
            await self._change(mail.person, lambda waiting: _without(waiting, mail.id))
            raise StorageUnavailable
        if before is not None and not before.is_decided and before.expires_at <= self.clock():
            self.on_expiry(before)

    async def _write(self, mail: HeldMail, stored: Versioned, seconds: float) -> bool:
        written = await self.records.compare_and_swap(COLLECTION, mail.id, stored, mail.model_dump(), seconds)
        return written is not None

    async def content(self, mail: HeldMail) -> Message | None:
        """Return the composed message; None for a draft, and after the decision. Raises StorageUnavailable."""
        value = (await self.records.read(CONTENTS, mail.id)).value
        return None if value is None else message_from_json(value)

    async def find(self, mail_id: str) -> HeldMail | None:
        """Return a held message, or one that was held a while ago; None if there is none. Raises StorageUnavailable."""
        return _parse((await self.records.read(COLLECTION, mail_id)).value)

    async def of(self, person: PersonId) -> tuple[HeldMail, ...]:
        """Return what waits for a person, the first that ends first. Raises StorageUnavailable."""
        waiting = _read(await self._read(person), self.clock())
        ids = sorted(waiting.mail, key=lambda one: waiting.mail[one])
        found = await asyncio.gather(*map(self.find, ids))
        return tuple(mail for mail in found if mail is not None)

    async def close(self, mail: HeldMail, seconds: float) -> None:
        """Remove the content of a message that is decided; what is left tells its outcome for so many seconds.

        While the store is away, the content stays until its time is over.
        """
        with suppress(StorageUnavailable):
            stored = await self.records.read(COLLECTION, mail.id)
            if stored.version is not None:
                await self._write(mail.decided(), stored, seconds)
            content = await self.records.read(CONTENTS, mail.id)
            if content.version is not None:
                await self.records.compare_and_swap(CONTENTS, mail.id, content, None)
            await self._change(mail.person, lambda waiting: _without(waiting, mail.id))

    async def unlist(self, person: PersonId, ids: Sequence[str]) -> None:
        """Take messages off the list of what waits for a person. Raises StorageUnavailable."""
        await self._change(person, lambda waiting: _without(waiting, *ids))

    async def expire(self, mail: HeldMail) -> None:
        """Close a message whose time ran out undecided, and tell of it once. Raises StorageUnavailable."""
        stored = await self.records.read(COLLECTION, mail.id)
        if _parse(stored.value) != mail:
            return  # another replica was first, or the same draft waits anew
        if await self._write(mail.model_copy(update={"is_decided": True}), stored, KEPT_SECONDS) is not None:
            self.on_expiry(mail)
            await self.close(mail, KEPT_SECONDS)

    async def _read(self, person: PersonId) -> Mapping[str, Any] | None:
        return (await self.records.read(PEOPLE, person.record_key("held"))).value

    async def _change(self, person: PersonId, step: Callable[[_Waiting], _Waiting]) -> None:
        key, now = person.record_key("held"), self.clock()
        for _ in range(_TRIES):
            stored = await self.records.read(PEOPLE, key)
            changed = step(_read(stored.value, now))
            seconds = max((end - now for end, _ in changed.mail.values()), default=1.0)
            if await self.records.compare_and_swap(PEOPLE, key, stored, changed.model_dump(), seconds) is not None:
                return
        raise StorageUnavailable


async def waiting_copy(request: SendRequest, held: HeldMails, ledger: Ledger) -> Reservation | None:
    """Return an equal message that waits for the person, which a deliberate copy must not ask for a second time.

    Raises:
        StorageUnavailable: the caller must not send.
    """
    if not request.allow_duplicate or request.has_key:
        return None
    for mail in await held.of(request.person):
        found = await ledger.find(mail.names) if mail.fingerprint == request.fingerprint else None
        if found is not None and found.entry.state == "held" and not found.entry.is_over(ledger.clock()):
            return found
    return None


def _with(waiting: _Waiting, mail: HeldMail, size: int) -> _Waiting:
    others = sum(bytes_ for _, bytes_ in waiting.mail.values())
    if len(waiting.mail) >= MAX_HELD or others + size > MAX_HELD_BYTES:
        raise TooManyHeld
    return _Waiting(mail={**waiting.mail, mail.id: (mail.expires_at, size)})


def _without(waiting: _Waiting, *ids: str) -> _Waiting:
    return _Waiting(mail={known: value for known, value in waiting.mail.items() if known not in ids})


def _read(value: Mapping[str, Any] | None, now: float) -> _Waiting:
    try:
        waiting = _Waiting.model_validate(value or {})
    except ValidationError:
        waiting = _Waiting()
    return _Waiting(mail={known: value for known, value in waiting.mail.items() if value[0] > now})


def _parse(value: Mapping[str, Any] | None) -> HeldMail | None:
    if value is None:
        return None
    try:
        return HeldMail.model_validate(value)
    except ValidationError:
        return None


def as_time(seconds: float) -> str:
    """Return epoch seconds as UTC, ISO 8601."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
