"""Ways to lose or spoil the records of one kind, and a browser that is stopped at a step to do so."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from typing import Any

import httpx2
import redis as redis_py
from cryptography.fernet import Fernet

from tests.chaos.light_client import BehindBalancer

Spoil = Callable[[bytes], bytes | None]
"""Turns a stored value into another one; None deletes it."""

_CHANCE = random.Random(9)  # noqa: S311 - repeatable on purpose


def deleted(_: bytes) -> None:
    """Lose the record."""


def random_bytes(old: bytes) -> bytes:
    """Replace it by noise, which is no text."""
    return b"\xff\xfe" + _CHANCE.randbytes(len(old))


def truncated(old: bytes) -> bytes:
    """Cut it off in the middle."""
    return old[: len(old) // 2]


def another_key(old: bytes) -> bytes:
    """Encrypt it with a key that the server does not have."""
    return _with_ciphertext(old, lambda _: Fernet(Fernet.generate_key()).encrypt(b'["m365","x",{}]').decode())


def with_more_fields(key: str) -> Spoil:
    """Return what adds a field, as a newer release might, to a record sealed with `key`."""
    fernet = Fernet(key)

    def add(ciphertext: str) -> str:
        collection, name, value = json.loads(fernet.decrypt(ciphertext))
        value["from_a_newer_release"] = {"a": [1]}
        return fernet.encrypt(json.dumps([collection, name, value]).encode()).decode()

    return lambda old: _with_ciphertext(old, add)


def opened(key: str, stored: bytes) -> dict[str, Any]:
    """Return the content of a record sealed with `key`."""
    value: dict[str, Any] = json.loads(Fernet(key).decrypt(_ciphertext(stored)))[2]
    return value


def _ciphertext(stored: bytes) -> str:
    return str(json.loads(stored)["value"]["sealed"]) if stored.startswith(b"{") else stored.decode()


def _with_ciphertext(stored: bytes, change: Callable[[str], str]) -> bytes:
    """Replace the ciphertext of a record: FastMCP's stand in an envelope, ours are nothing else."""
    changed = change(_ciphertext(stored))
    if not stored.startswith(b"{"):
        return changed.encode()
    envelope = json.loads(stored)
    envelope["value"]["sealed"] = changed
    return json.dumps(envelope).encode()


def spoil(admin: redis_py.Redis, kind: str, how: Spoil) -> int:
    """Change every record whose name begins with `kind`, but no count; return how many there were."""
    names = [name for name in admin.scan_iter(f"{kind}*") if not name.startswith(b"m365-numbers")]
    for name in names:
        new = how(admin.get(name))  # type: ignore[arg-type]
        if new is None:
            admin.delete(name)
        else:
            admin.set(name, new, keepttl=True)
    return len(names)


class StoppedPerson(BehindBalancer):
    """Somebody whose browser does something else before the first request of some kinds."""

    stops: Mapping[tuple[str, str], Callable[[], object]]
    """What to do, by method and path."""

    def stop_at(self, stops: Mapping[tuple[str, str], Callable[[], object]]) -> StoppedPerson:
        """Set the stops and return this person."""
        self.stops = dict(stops)
        return self

    def open(self) -> httpx2.AsyncClient:
        async def stop(request: httpx2.Request) -> None:
            act = dict(self.stops).get((request.method, request.url.path))
            if act is not None:
                self.stops = {place: other for place, other in self.stops.items() if other is not act}
                act()

        browser = super().open()
        browser.event_hooks["request"].append(stop)
        return browser
