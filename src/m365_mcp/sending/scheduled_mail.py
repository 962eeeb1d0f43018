"""The records of scheduled mail: what this server has handed to Exchange, which sends it by itself at its time.

Exchange has the message. These records have what this server needs to find it again: to decide it anew when the
policies change, and to show and cancel it for an operator. There is one record a person, encrypted like all others.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from m365_mcp.errors import StorageUnavailable, TooManyScheduled
from m365_mcp.person import PersonId
from m365_mcp.sending.origin import Origin
from m365_mcp.storage.records import Records, Versioned

COLLECTION = "m365-scheduled"
MAX_SCHEDULED = 200  # messages of one person
MAX_BYTES = 500_000  # of the record of one person, as JSON
KEPT_SECONDS = 3600.0  # after the time of the last message, so that a replica can tell what was not cancelled
MAX_EDITIONS = 8
_TRIES = 10

Canceller = Literal["policy", "operator"]


class ScheduledMail(BaseModel):
    """What is known of one scheduled message.

    Attributes:
        id: our id of the message.
        draft_id: Graph's immutable id of it.
        session_id: see `Origin`, as for `client` and `sign_in_name`.
        addresses: the recipients.
        handed_over_at: when it was handed to Exchange, in epoch seconds.
        due_at: when Exchange sends it, in epoch seconds.
        is_approved: whether the person has approved it on a page of this server.
        decided: the editions of the policies under which it was decided, the newest last.
        cancelled_by: who wants it cancelled; None: it may leave.
        rule: the id of the policy that forbids it.
        is_begun: whether Exchange was asked not to send it.
        is_stopped: whether Exchange does not send it any more, and only the draft is left to be made.
        problem: the code of the error because of which it could not be decided or cancelled yet.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    id: str
    draft_id: str
    session_id: str
    client: str
    sign_in_name: str
    addresses: tuple[str, ...]
    handed_over_at: float
    due_at: float
    is_approved: bool = False
    decided: tuple[str, ...] = ()
    cancelled_by: Canceller | None = None
    rule: str | None = None
    is_begun: bool = False
    is_stopped: bool = False
    problem: str | None = None

    @property
    def origin(self) -> Origin:
        """Where it comes from."""
        return Origin(self.session_id, self.client, self.sign_in_name)

    def after_decision(self, edition: str, rule: str | None) -> ScheduledMail:
        """Return it as decided under this edition of the policies: forbidden by `rule`, or permitted."""
        decided = (*(one for one in self.decided if one != edition), edition)[-MAX_EDITIONS:]
        forbidden = {} if rule is None else {"cancelled_by": self.cancelled_by or "policy", "rule": rule}
        return self.model_copy(update={"decided": decided, "problem": None, **forbidden})

    def with_marks_of(self, known: ScheduledMail) -> ScheduledMail:
        """Return it with what another record of it says that is never taken back: that it must not leave, and does not.

        The record of the store may have got its marks since this one was read.
        """
        marks = {
            "cancelled_by": self.cancelled_by or known.cancelled_by,
            "rule": self.rule or known.rule,
            "is_begun": self.is_begun or known.is_begun,
            "is_stopped": self.is_stopped or known.is_stopped,
        }
        return self.model_copy(update=marks)


class PersonsMail(BaseModel):
    """The record of one person: whose it is, and each scheduled message by our id."""

    person: PersonId
    mail: dict[str, ScheduledMail] = {}


@dataclass(frozen=True)
class ScheduledMails:
    """The scheduled messages of all people, shared by all replicas.

    Attributes:
        records: the store.
        clock: returns epoch seconds.
    """

    records: Records
    clock: Callable[[], float] = time.time

    async def add(self, person: PersonId, mail: ScheduledMail) -> None:
        """Record a message before Exchange gets it.

        Raises:
            TooManyScheduled: so much of the person's mail is scheduled already.
            StorageUnavailable: the caller must not hand it over.
        """

        def added(found: PersonsMail) -> PersonsMail:
            waiting = {known: one for known, one in found.mail.items() if _is_kept(one, self.clock())}
            changed = PersonsMail(person=person, mail={**waiting, mail.id: mail})
            if len(changed.mail) > MAX_SCHEDULED or len(changed.model_dump_json()) > MAX_BYTES:
                raise TooManyScheduled
            return changed

        await self._change(person, added)

    async def replace(self, person: PersonId, mail: ScheduledMail) -> None:
        """Change the record of a message, unless it has been removed. Raises StorageUnavailable.

        What was marked stays marked: somebody may have wanted the message cancelled since the caller read the record.
        """

        def replaced(found: PersonsMail) -> PersonsMail:
            known = found.mail.get(mail.id)
            if known is None:
                return found
            return found.model_copy(update={"mail": {**found.mail, mail.id: mail.with_marks_of(known)}})

        await self._change(person, replaced)

    async def remove(self, person: PersonId, *ids: str) -> None:
        """Remove the records of messages that were sent or cancelled. Raises StorageUnavailable."""
        await self._change(
            person,
            lambda found: found.model_copy(
                update={"mail": {known: one for known, one in found.mail.items() if known not in ids}}
            ),
        )

    async def of(self, person: PersonId) -> tuple[ScheduledMail, ...]:
        """Return what is recorded of a person's messages, the next first. Raises StorageUnavailable."""
        found = _parse(await self.records.read(COLLECTION, person.record_key("scheduled")))
        return () if found is None else _sorted(found)

    async def all(self) -> AsyncIterator[tuple[PersonId, tuple[ScheduledMail, ...]]]:
        """Iterate over the people with scheduled messages. Raises StorageUnavailable."""
        async for key in self.records.keys(COLLECTION):
            found = _parse(await self.records.read(COLLECTION, key))
            if found is not None and found.mail:
                yield found.person, _sorted(found)

    async def _change(self, person: PersonId, step: Callable[[PersonsMail], PersonsMail]) -> None:
        key = person.record_key("scheduled")
        for _ in range(_TRIES):
            stored = await self.records.read(COLLECTION, key)
            found = _parse(stored) or PersonsMail(person=person)
            changed = step(found)
            if changed == found or await self._write(key, stored, changed):
                return
        raise StorageUnavailable

    async def _write(self, key: str, stored: Versioned, changed: PersonsMail) -> bool:
        last = max((one.due_at for one in changed.mail.values()), default=0.0)
        seconds = max(1.0, last + KEPT_SECONDS - self.clock())
        value: Mapping[str, Any] | None = changed.model_dump() if changed.mail else None
        return await self.records.compare_and_swap(COLLECTION, key, stored, value, seconds) is not None


def _is_kept(mail: ScheduledMail, now: float) -> bool:
    return mail.due_at + KEPT_SECONDS > now


def _sorted(found: PersonsMail) -> tuple[ScheduledMail, ...]:
    return tuple(sorted(found.mail.values(), key=lambda one: one.due_at))


def _parse(stored: Versioned) -> PersonsMail | None:
    if stored.value is None:
        return None
    try:
        return PersonsMail.model_validate(stored.value)
    except ValidationError:
        return None
