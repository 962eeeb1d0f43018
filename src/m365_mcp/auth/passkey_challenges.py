"""Challenges for passkeys: each is made for one purpose, ends soon, and counts once on all replicas.

A challenge is the hash of a nonce in the store and of everything that the answer is to stand for. So the signature of a
passkey is one of exactly this. Source: WebAuthn level 3, section 13.4.3.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Callable

from m365_mcp.errors import PasskeyRefused, StorageUnavailable
from m365_mcp.storage.records import ABSENT, Records

COLLECTION = "m365-passkey-challenges"
SPENT = "m365-passkey-sign-ins"
CHALLENGE_SECONDS = 180.0
_TRIES = 10


class PasskeyChallenges:
    """Makes and redeems challenges.

    Args:
        records: the store.
        clock: returns epoch seconds.
    """

    def __init__(self, records: Records, clock: Callable[[], float] = time.time) -> None:
        self._records = records
        self._clock = clock

    async def make(self, key: str, *bound: str) -> bytes:
        """Return a new challenge; an earlier one with the same key does not count any more.

        Args:
            key: what it is for, as a key in the store.
            bound: what the answer stands for.

        Raises:
            StorageUnavailable: there is no challenge.
        """
        nonce, until = secrets.token_urlsafe(32), self._clock() + CHALLENGE_SECONDS
        value = {"nonce": nonce, "until": until}
        for _ in range(_TRIES):
            stored = await self._records.read(COLLECTION, key)
            if await self._records.compare_and_swap(COLLECTION, key, stored, value, CHALLENGE_SECONDS) is not None:
                return _challenge(nonce, bound)
        raise StorageUnavailable

    async def redeem(self, key: str, *bound: str) -> bytes:
        """Return the challenge that an answer must have, and forget it.

        Raises:
            PasskeyRefused: there is none, it has ended, or another request was faster.
            StorageUnavailable: it may count or not.
        """
        stored = await self._records.read(COLLECTION, key)
        if stored.value is None or await self._records.compare_and_swap(COLLECTION, key, stored, None) is None:
            raise PasskeyRefused
        if float(stored.value["until"]) <= self._clock():
            raise PasskeyRefused
        return _challenge(str(stored.value["nonce"]), bound)

    async def is_spent(self, sign_in: str) -> bool:
        """Return whether a sign-in has changed passkeys. Raises StorageUnavailable."""
        return (await self._records.read(SPENT, sign_in)).version is not None

    async def spend(self, sign_in: str, seconds: float) -> bool:
        """Let a sign-in change passkeys, and return False if it has done so before; it is remembered for `seconds`."""
        spent = await self._records.compare_and_swap(SPENT, sign_in, ABSENT, {"at": self._clock()}, seconds)
        return spent is not None


def _challenge(nonce: str, bound: tuple[str, ...]) -> bytes:
    return hashlib.sha256(json.dumps([nonce, *bound]).encode()).digest()
