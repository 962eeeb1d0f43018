"""The passkeys of people, each person's in one encrypted record; no session ends them.

A person adds and removes their own on the page `web.passkeys`; the operator can remove a person's with
`m365-mcp passkeys remove`.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from m365_mcp.errors import PasskeyRefused, StorageUnavailable, TooManyPasskeys
from m365_mcp.person import PersonId
from m365_mcp.storage.records import Records

COLLECTION = "m365-passkeys"
MAX_PASSKEYS = 5  # of one person
KEPT_SECONDS = 10 * 365 * 24 * 3600.0  # since the last change or use; the store needs some end
_TRIES = 10


class Passkey(BaseModel):
    """One passkey (a public key credential of WebAuthn level 3).

    Attributes:
        id: the credential id, in base64url.
        public_key: the public key as a COSE key, in base64url.
        sign_count: the signature counter of its last use; 0 where the authenticator keeps none.
        name: what its owner calls it; empty: nothing.
        added_at: epoch seconds, as for `used_at`.
        used_at: when it approved a mail for the last time; None: never.
        transports: how browsers reach its authenticator.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    id: str
    public_key: str
    sign_count: int
    name: str = ""
    added_at: float
    used_at: float | None = None
    transports: tuple[str, ...] = ()


class Owner(BaseModel):
    """A person with their passkeys.

    Attributes:
        person: tenant and object id.
        sign_in_name: as of the last passkey that was added.
        passkeys: the passkeys, the oldest first.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    person: PersonId
    sign_in_name: str = ""
    passkeys: tuple[Passkey, ...] = ()


@dataclass(frozen=True)
class PasskeyEvent:
    """A passkey was added or removed by its owner, or an answer that should have been by one was refused."""

    operation: Literal["added", "removed", "refused"]
    person: PersonId


class Passkeys:
    """Stores the passkeys of people.

    Args:
        records: the store.
        clock: returns epoch seconds.
    """

    def __init__(self, records: Records, clock: Callable[[], float] = time.time) -> None:
        self._records = records
        self._clock = clock

    async def of(self, person: PersonId) -> tuple[Passkey, ...]:
        """Return a person's passkeys. Raises StorageUnavailable."""
        stored = await self._records.read(COLLECTION, _key(person))
        return _read(stored.value, person).passkeys

    async def owners(self) -> AsyncIterator[Owner]:
        """Iterate over the people who have passkeys. Raises StorageUnavailable."""
        async for key in self._records.keys(COLLECTION):
            found = _parse((await self._records.read(COLLECTION, key)).value)
            if found is not None and found.passkeys:
                yield found

    async def add(self, person: PersonId, sign_in_name: str, passkey: Passkey) -> None:
        """Add a passkey.

        Raises:
            TooManyPasskeys: the person has as many as this server keeps.
            PasskeyRefused: the person has this one already.
            StorageUnavailable: it was not added.
        """

        def changed(owner: Owner) -> Owner:
            if len(owner.passkeys) >= MAX_PASSKEYS:
                raise TooManyPasskeys
            if any(known.id == passkey.id for known in owner.passkeys):
                raise PasskeyRefused
            kept = {"sign_in_name": sign_in_name, "passkeys": (*owner.passkeys, passkey)}
            return owner.model_copy(update=kept)

        await self._change(person, changed)

    async def remove(self, person: PersonId, passkey_id: str) -> None:
        """Remove a passkey, if the person has it. Raises StorageUnavailable."""

        def changed(owner: Owner) -> Owner:
            return _with(owner, *(known for known in owner.passkeys if known.id != passkey_id))

        await self._change(person, changed)

    async def remove_all(self, person: PersonId) -> int:
        """Remove all passkeys of a person, and return how many. Raises StorageUnavailable."""
        count = len(await self.of(person))
        await self._change(person, _with)
        return count

    async def use(self, person: PersonId, passkey_id: str, verify: Callable[[Passkey], int]) -> None:
        """Verify an answer of a passkey and store its new counter, in one step among all replicas.

        Args:
            person: whose passkey it must be.
            passkey_id: its credential id.
            verify: returns the new counter; raises PasskeyRefused, also where the counter has not grown.

        Raises:
            PasskeyRefused: the person has no such passkey, or `verify` refuses.
            StorageUnavailable: the counter was not stored.
        """

        def changed(owner: Owner) -> Owner:
            passkey = next((known for known in owner.passkeys if known.id == passkey_id), None)
            if passkey is None:
                raise PasskeyRefused
            used = passkey.model_copy(update={"sign_count": verify(passkey), "used_at": self._clock()})
            return _with(owner, *(used if known.id == passkey_id else known for known in owner.passkeys))

        await self._change(person, changed)

    async def _change(self, person: PersonId, step: Callable[[Owner], Owner]) -> None:
        for _ in range(_TRIES):
            stored = await self._records.read(COLLECTION, _key(person))
            changed = step(_read(stored.value, person))
            value = changed.model_dump() if changed.passkeys else None
            if value is None and stored.version is None:
                return
            written = await self._records.compare_and_swap(COLLECTION, _key(person), stored, value, KEPT_SECONDS)
            if written is not None:
                return
        raise StorageUnavailable


def _key(person: PersonId) -> str:
    return person.record_key("passkeys")


def _with(owner: Owner, *passkeys: Passkey) -> Owner:
    return owner.model_copy(update={"passkeys": passkeys})


def _read(value: Mapping[str, Any] | None, person: PersonId) -> Owner:
    return _parse(value) or Owner(person=person)


def _parse(value: Mapping[str, Any] | None) -> Owner | None:
    if value is None:
        return None
    try:
        return Owner.model_validate(value)
    except ValidationError:
        return None
