"""Goes through all scheduled mail when the policies have changed, and from time to time.

Each replica compares the edition of its policies with those under which each message was decided, which the record of
the message says. So nothing is lost when a process dies, and replicas with different policies do not undo each other's
work. One replica at a time goes through the records.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from m365_mcp import logs
from m365_mcp.auth.sessions import Sessions
from m365_mcp.background import repeating
from m365_mcp.errors import M365Error
from m365_mcp.person import PersonId
from m365_mcp.sending.cancelling import Cancelling, Result
from m365_mcp.sending.scheduled_mail import ScheduledMail
from m365_mcp.storage.leases import Leases

LOOK_SECONDS = 2.0  # how long a change of the policies may stay unseen
RETRY_SECONDS = 60.0  # until the next round, if something could not be decided or cancelled
ROUND_SECONDS = 300.0  # until the next round in any case: another replica may have had older policies
PEOPLE_AT_A_TIME = 4
LEASE_WAIT_SECONDS = 30.0
_ROUND = "scheduled-mail"
_log = logs.get(__name__)


@dataclass
class ScheduledReview:
    """Decides scheduled mail anew under the policies of now.

    Attributes:
        cancelling: decides and cancels one message.
        leases: let one replica at a time do it.
        clock: returns epoch seconds.
        look_seconds: the pause between two looks at the policies in force.
    """

    cancelling: Cancelling
    leases: Leases
    clock: Callable[[], float] = time.time
    look_seconds: float = LOOK_SECONDS
    _edition: str | None = field(default=None, init=False)
    _next_round: float = field(default=0.0, init=False)

    def running(self) -> AbstractAsyncContextManager[None]:
        """Go through the scheduled mail whenever that is needed, while the block runs."""
        return repeating(self.look, self.look_seconds)

    async def look(self) -> None:
        """Go through the scheduled mail if the policies have changed, or if it is time; raises nothing."""
        edition = self.cancelling.outgoing.policies.edition
        if edition == self._edition and time.monotonic() < self._next_round:
            return
        try:
            async with self.leases.hold(_ROUND, 0.0):
                is_done = await self.review()
        except TimeoutError:
            return  # another replica is at it; the next look tries again
        except Exception as error:  # nothing may end the loop
            is_done = _failed(error)
        self._edition = edition
        self._next_round = time.monotonic() + (ROUND_SECONDS if is_done else RETRY_SECONDS)

    async def review(self) -> bool:
        """Go through all scheduled mail once; return whether no further round is needed soon.

        Raises:
            StorageUnavailable: a later round goes on.
        """
        people = [person async for person, mails in self.cancelling.scheduled.all() if self._is_work(mails)]
        sessions, is_done = LivingSessions(self.cancelling.tokens.refresher.sessions), True
        for start in range(0, len(people), PEOPLE_AT_A_TIME):
            batch = people[start : start + PEOPLE_AT_A_TIME]
            results = await asyncio.gather(*(self._review(person, sessions) for person in batch))
            is_done = all(results) and is_done
        return is_done

    async def _review(self, person: PersonId, sessions: LivingSessions) -> bool:
        try:
            results = await self._handle(person, self._needs_work, sessions)
        except Exception as error:  # nothing in one person's mail may keep the others' from its turn
            return _failed(error)
        return "later" not in results.values()

    async def cancel(self, person: PersonId, ids: Collection[str] | None = None) -> dict[str, Result]:
        """Cancel scheduled mail of a person for an operator; return what became of each message, by our id.

        What cannot be cancelled now stays marked, and a running server tries again until its time.

        Args:
            person: whose.
            ids: our ids of the messages; None: all.

        Raises:
            StorageUnavailable, TimeoutError: some may be marked.
        """
        scheduled, sessions = self.cancelling.scheduled, LivingSessions(self.cancelling.tokens.refresher.sessions)
        for mail in await scheduled.of(person):
            if mail.cancelled_by is None and (ids is None or mail.id in ids):
                await scheduled.replace(person, mail.model_copy(update={"cancelled_by": "operator"}))
        return await self._handle(
            person, lambda mail: mail.cancelled_by is not None and (ids is None or mail.id in ids), sessions
        )

    async def _handle(
        self, person: PersonId, which: Callable[[ScheduledMail], bool], sessions: LivingSessions
    ) -> dict[str, Result]:
        """Decide and cancel mail of one person; no other replica does so meanwhile."""
        results: dict[str, Result] = {}
        async with self.leases.hold(f"{_ROUND}.{person.digest()}", LEASE_WAIT_SECONDS):
            for mail in await self.cancelling.scheduled.of(person):
                if mail.due_at <= self.clock():
                    await self.cancelling.give_up(person, mail)
                elif which(mail):
                    results[mail.id] = await self.cancelling.handle(person, mail, sessions.of)
        return results

    def _is_work(self, mails: tuple[ScheduledMail, ...]) -> bool:
        return any(mail.due_at <= self.clock() or self._needs_work(mail) for mail in mails)

    def _needs_work(self, mail: ScheduledMail) -> bool:
        return mail.cancelled_by is not None or self.cancelling.outgoing.policies.edition not in mail.decided


def _failed(error: Exception) -> bool:
    code = error.code if isinstance(error, M365Error) else "internal_error"
    _log.warning("scheduled_mail_not_reviewed", code=code, kind=type(error).__name__)
    return False


@dataclass
class LivingSessions:
    """The sessions of people, read from the store at most once."""

    sessions: Sessions
    _by_person: dict[PersonId, list[str]] | None = field(default=None, init=False)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    async def of(self, person: PersonId) -> Sequence[str]:
        """Return the ids of the sessions of a person. Raises StorageUnavailable."""
        async with self._lock:
            if self._by_person is None:
                found: dict[PersonId, list[str]] = {}
                async for session in self.sessions.all():
                    found.setdefault(session.person, []).append(session.id)
                self._by_person = found
        return self._by_person.get(person, ())
