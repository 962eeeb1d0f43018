"""Limits on how much leaves: by person, by the whole server, and by person to one address, over all replicas.

A message is counted before it is sent, and taken back when it was not sent: a limit holds however many calls run at
once. What may have been sent stays counted, also if a later call finds out that it was not. Messages are counted
without limits, too, because a policy may ask for the counts, and the policies change while the server runs.
"""

from __future__ import annotations

import asyncio
import hmac
import math
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Literal

from m365_mcp.errors import InvalidArgument, M365Error, OutcomeUnknown, RateLimited, StorageUnavailable
from m365_mcp.mail import Recipient
from m365_mcp.person import PersonId
from m365_mcp.policy.facts import SendCounts
from m365_mcp.sending.contacts import Contacts
from m365_mcp.sending.held_mail import ApprovalNeeded
from m365_mcp.sending.ledger import WORK_SECONDS
from m365_mcp.storage.sliding_counts import Addition, Counted, SlidingCounts, Window

MESSAGES, RECIPIENTS = "m", "r"
# A send that is counted now may leave this much later, so that a window must be longer than what it limits.
# The buckets are as long as that a send reads a few dozen counters: redis-py takes some microseconds for each.
HOUR = Window("h", 3600 + WORK_SECONDS, 300)
DAY = Window("d", 24 * 3600 + WORK_SECONDS, 3600)
_ALL_PEOPLE = "{all}"

Scope = Literal["person", "all", "address"]


@dataclass(frozen=True)
class Limit:
    """One limit: what it counts and how it is said.

    Attributes:
        scope: one person, all people of the server, or one person's messages to one address.
        unit: messages or recipients.
        window: an hour or a day.
        sentence: says that it is reached.
    """

    scope: Scope
    unit: str
    window: Window
    sentence: str


LIMITS = {
    "M365_SEND_HOURLY_LIMIT": Limit(
        "address", MESSAGES, HOUR, "You have reached the limit of {most} messages an hour to one of the recipients."
    ),
    "M365_SEND_PERSON_HOURLY": Limit(
        "person", MESSAGES, HOUR, "You have reached the limit of {most} messages an hour for one person."
    ),
    "M365_SEND_PERSON_DAILY": Limit(
        "person", MESSAGES, DAY, "You have reached the limit of {most} messages a day for one person."
    ),
    "M365_SEND_PERSON_RECIPIENTS_HOURLY": Limit(
        "person", RECIPIENTS, HOUR, "The message would exceed the limit of {most} recipients an hour for one person."
    ),
    "M365_SEND_PERSON_RECIPIENTS_DAILY": Limit(
        "person", RECIPIENTS, DAY, "The message would exceed the limit of {most} recipients a day for one person."
    ),
    "M365_SEND_TOTAL_HOURLY": Limit(
        "all", MESSAGES, HOUR, "The organization has reached its limit of {most} messages an hour."
    ),
    "M365_SEND_TOTAL_DAILY": Limit(
        "all", MESSAGES, DAY, "The organization has reached its limit of {most} messages a day."
    ),
    "M365_SEND_TOTAL_RECIPIENTS_HOURLY": Limit(
        "all", RECIPIENTS, HOUR, "The message would exceed the organization's limit of {most} recipients an hour."
    ),
    "M365_SEND_TOTAL_RECIPIENTS_DAILY": Limit(
        "all", RECIPIENTS, DAY, "The message would exceed the organization's limit of {most} recipients a day."
    ),
}
# What was counted before the send that this task performs.
_before: ContextVar[SendCounts | None] = ContextVar("counts before this send", default=None)


@dataclass(frozen=True)
class _Reserved:
    """What one message was counted in: the sender's counts, those of all people, those of each address."""

    person: Counted
    all: Counted
    addresses: tuple[Counted, ...] = ()

    def of(self, scope: Scope) -> Sequence[Counted]:
        return {"person": (self.person,), "all": (self.all,), "address": self.addresses}[scope]

    def before(self) -> SendCounts:
        """Return what was counted before this message."""
        numbers = [
            one.before(window, unit)
            for one in (self.person, self.all)
            for unit in (MESSAGES, RECIPIENTS)
            for window in (HOUR, DAY)
        ]
        return SendCounts(*numbers)


def _count_nothing(_: str) -> None:
    return


@dataclass(frozen=True)
class SendLimits:
    """Counts what leaves, and refuses what goes over a limit.

    Attributes:
        counts: the counts, shared by all replicas.
        most: the most by variable, see `LIMITS`; 0, or no entry, for no limit.
        secret: makes digests of addresses, so that nobody reads or tries them in the store.
        contacts: remembers whom each person has written to, if a policy needs it; None: nobody does.
        count: is told the variable of each limit that refuses a message.
    """

    counts: SlidingCounts
    most: Mapping[str, int] = field(default_factory=dict)
    secret: bytes = field(default=b"", repr=False)
    contacts: Contacts | None = None
    count: Callable[[str], None] = _count_nothing

    @asynccontextmanager
    async def counting(self, person: PersonId, addresses: Sequence[str]) -> AsyncIterator[None]:
        """Count one message to these addresses while the block sends it; what is not sent, or waits, does not count.

        Raises:
            RateLimited: a limit is reached; nothing is counted, and the block did not run.
            InvalidArgument: the message alone has more recipients than a limit allows; as above.
            StorageUnavailable: the store does not respond, and the block did not run.
        """
        self._check_size(len(addresses))
        reserved = await self._reserve(person, addresses)
        token = _before.set(reserved.before())
        try:
            async with self.contacts.remembering(person) if self.contacts else nullcontext():
                yield
        except OutcomeUnknown:
            raise
        except (M365Error, ApprovalNeeded):
            await self._take_back(reserved)
            raise
        finally:
            _before.reset(token)

    async def before_this(self, person: PersonId) -> SendCounts:
        """Return what was counted before this send; outside of `counting`, what is counted. Raises StorageUnavailable.

        Concurrent sends see each other in the order in which they were counted.
        """
        before = _before.get()
        if before is not None:
            return before
        windows = (HOUR, DAY)
        [of_person], [of_all] = await asyncio.gather(
            self.counts.add(Addition(_key_of(person), windows)), self.counts.add(Addition(_ALL_PEOPLE, windows))
        )
        return _Reserved(of_person, of_all).before()

    def _check_size(self, recipients: int) -> None:
        """Return if waiting can help: the message alone is below every limit."""
        for variable, limit, most in self._in_force():
            if limit.unit == RECIPIENTS and recipients > most:
                self.count(variable)
                raise InvalidArgument(
                    limit.sentence.format(most=most),
                    advice=f"Write to fewer people at a time. The operator sets {variable}.",
                )

    async def _reserve(self, person: PersonId, addresses: Sequence[str]) -> _Reserved:
        """Count a message, and take it back if a limit is reached."""
        numbers = {MESSAGES: 1, RECIPIENTS: len(addresses)}
        additions = [Addition(_key_of(person), (HOUR, DAY), numbers), *self._of_addresses(person, addresses)]
        # The counts of a person have one hash tag, those of all people another, so that this is two transactions.
        [of_person, *of_addresses], [of_all] = await asyncio.gather(
            self.counts.add(*additions), self.counts.add(Addition(_ALL_PEOPLE, (HOUR, DAY), numbers))
        )
        reserved = _Reserved(of_person, of_all, tuple(of_addresses))
        refusals = sorted(self._refusals(reserved), key=lambda one: one[0])
        if refusals:
            await self._take_back(reserved)
            for _, variable, _ in refusals:
                self.count(variable)
            raise refusals[-1][2]  # the one with the longest wait, so that one wait is enough
        return reserved

    def _of_addresses(self, person: PersonId, addresses: Sequence[str]) -> Iterator[Addition]:
        if self.most.get("M365_SEND_HOURLY_LIMIT"):
            for mailbox in sorted({mailbox_of(address) for address in addresses}):
                digest = hmac.digest(self.secret, mailbox.encode(), "sha256").hex()
                yield Addition(person.record_key("count", digest), (HOUR,), {MESSAGES: 1})

    def _refusals(self, reserved: _Reserved) -> Iterator[tuple[float, str, RateLimited]]:
        """Iterate over the limits that are reached: the seconds to wait, the variable, and the error."""
        for variable, limit, most in self._in_force():
            wait = max((one.wait(limit.window, limit.unit, most) for one in reserved.of(limit.scope)), default=0.0)
            if wait > 0:
                sentence, advice = limit.sentence.format(most=most), _advice(wait, variable)
                yield wait, variable, RateLimited(sentence, advice=advice, retry_after=float(math.ceil(wait)))

    def _in_force(self) -> Iterator[tuple[str, Limit, int]]:
        for variable, limit in LIMITS.items():
            if most := self.most.get(variable, 0):
                yield variable, limit, most

    async def _take_back(self, reserved: _Reserved) -> None:
        # Without the store, a message that was not sent counts until its window has passed.
        with suppress(StorageUnavailable):
            await asyncio.gather(
                self.counts.take_back(reserved.person, *reserved.addresses), self.counts.take_back(reserved.all)
            )


def mailbox_of(address: str) -> str:
    """Return the address of the mailbox that Exchange Online delivers to: in lower case, without a plus and a tag.

    Source: Exchange Online "Plus addressing": user+tag@domain is delivered to user@domain.
    """
    local, _, domain = Recipient(address).key.rpartition("@")
    return f"{local.partition('+')[0] or local}@{domain}"


def _key_of(person: PersonId) -> str:
    return person.record_key("count")


def _advice(seconds: float, variable: str) -> str:
    minutes = math.ceil(seconds / 60)
    wait = f"{minutes} minutes" if minutes <= 120 else f"{math.ceil(minutes / 60)} hours"
    return f"Do not try other ways to send it; try again in {wait}. The operator sets {variable}."
