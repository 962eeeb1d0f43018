"""Whom each person has written to, for policies that name `firstTimeCount`; kept only where one does.

The store has keyed digests of the addresses, so that nobody reads or tries them there, and nobody makes one. Whom a
message goes to is known when the policies are asked; that it was sent, or perhaps sent, only afterwards.
"""

from __future__ import annotations

import base64
import hmac
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from m365_mcp import logs
from m365_mcp.errors import M365Error, OutcomeUnknown, StorageUnavailable
from m365_mcp.person import PersonId
from m365_mcp.sending.held_mail import ApprovalNeeded
from m365_mcp.storage.dated_sets import Bounds, DatedSets

MAX_CONTACTS = 10_000  # of one person, the newest; about 1 MB in Redis
_DAY = 24 * 3600.0
_DIGEST_BYTES = 16
# The addresses of the message that this task sends, once the policies were told how many are new.
_decided: ContextVar[set[str] | None] = ContextVar("addresses of this send", default=None)
_log = logs.get(__name__)


@dataclass(frozen=True)
class Contacts:
    """Knows whom people have written to.

    Attributes:
        sets: the digests of the addresses, shared by all replicas.
        secrets: make the digests: the first those that are stored, every one those that are looked for.
        days: how long an address counts after the last message to it.
        clock: returns epoch seconds; for tests.
    """

    sets: DatedSets
    secrets: tuple[bytes, ...] = field(repr=False)
    days: int = 180
    clock: Callable[[], float] = time.time

    async def first_time(self, person: PersonId, addresses: Collection[str]) -> frozenset[str]:
        """Return those of `addresses` that the person has never sent to within the days; one round trip.

        Within `remembering`, these addresses are what is remembered.

        Args:
            person: the sender.
            addresses: the recipients, each as `Recipient.key`.

        Raises:
            StorageUnavailable: the store does not respond.
        """
        decided = _decided.get()
        if decided is not None:
            decided.update(addresses)
        if not addresses:
            return frozenset()
        names = {address: list(self._digests(person, address)) for address in addresses}
        dates = iter(await self.sets.dates(_key_of(person), [name for found in names.values() for name in found]))
        since = self.clock() - self.days * _DAY
        known = {address: [next(dates) for _ in found] for address, found in names.items()}
        return frozenset(one for one, found in known.items() if not any((date or 0.0) >= since for date in found))

    @asynccontextmanager
    async def remembering(self, person: PersonId) -> AsyncIterator[None]:
        """Remember the recipients of the message that the block sends, if it was sent or that is not known.

        It is remembered only if `first_time` was asked in the block: if a policy needs it.
        """
        addresses: set[str] = set()
        token = _decided.set(addresses)
        happened = True
        try:
            yield
        except (M365Error, ApprovalNeeded) as error:
            happened = isinstance(error, OutcomeUnknown)
            raise
        finally:
            _decided.reset(token)
            if happened and addresses:
                await self._remember(person, addresses)

    async def _remember(self, person: PersonId, addresses: Collection[str]) -> None:
        digests = [next(self._digests(person, address)) for address in addresses]
        bounds = Bounds(MAX_CONTACTS, self.days * _DAY)
        try:
            await self.sets.add(_key_of(person), digests, self.clock(), bounds)
        except StorageUnavailable:  # then they count as new once more
            _log.warning("contacts_not_stored")

    async def forget(self, person: PersonId) -> bool:
        """Delete whom a person has written to; return whether anything was there. Raises StorageUnavailable."""
        return await self.sets.delete(_key_of(person))

    def _digests(self, person: PersonId, address: str) -> Iterator[str]:
        text = "\0".join((*person, address)).encode()
        for secret in self.secrets:
            yield base64.urlsafe_b64encode(hmac.digest(secret, text, "sha256")[:_DIGEST_BYTES]).decode().rstrip("=")


def _key_of(person: PersonId) -> str:
    return person.record_key("contacts")
