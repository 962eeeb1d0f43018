"""A replica of v0.1.0 in this process, over the store of the present version."""

from __future__ import annotations

import importlib
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import m365_mcp.errors
from m365_mcp.errors import M365Error
from m365_mcp.sending.send_request import SendRequest
from m365_mcp.sending.send_strategy import RecordDraft, SendReceipt, SendStrategy
from m365_mcp.storage.backends import Backend
from m365_mcp.storage.records import Records
from tests.old_version import extract_renamed

PACKAGE = "m365_mcp_v0_1_0"


class OldModules:
    """The modules of v0.1.0 in a package with another name."""

    def __init__(self, folder: Path) -> None:
        self._source = str(extract_renamed(folder, PACKAGE))
        sys.path.append(self._source)

    def __call__(self, name: str) -> Any:
        return importlib.import_module(f"{PACKAGE}.{name}")

    def forget(self) -> None:
        sys.path.remove(self._source)
        for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
            del sys.modules[name]


class OldReplica:
    """The `Delivery` of v0.1.0 with the interface of the present version.

    Attributes:
        delivery: the `Delivery` of v0.1.0.
    """

    def __init__(self, old: OldModules, records: Records, clock: Callable[[], float]) -> None:
        self._old = old
        old_records = old("storage.records").Records(
            _OldBackend(old, records._backend), old("storage.seal").Seal(*records._cipher._fernet._fernets)
        )
        leases = old("storage.leases").Leases(old_records)
        ledger = old("sending.ledger")
        self.delivery = old("sending.delivery").Delivery(
            ledger.Ledger(old_records, leases, ledger.Windows(), clock),
            old("sending.places").MailboxPlaces(leases, patience=20),
            old("sending.frequency").Frequency(old_records, 0, clock),
            old("metrics").Metrics(),
        )

    async def send(self, request: SendRequest, addresses: tuple[str, ...], strategy: SendStrategy) -> SendReceipt:
        """Send with the arguments of the present `Delivery.send`."""
        with _errors_of_this_version(self._old):
            receipt = await self.delivery.send(self._old_request(request), addresses, _OldStrategy(self._old, strategy))
        return SendReceipt(**vars(receipt))

    async def reserve(self, request: SendRequest) -> None:
        """Reserve a send and stop, like a process that dies."""
        with _errors_of_this_version(self._old):
            await self.delivery.ledger.claim(self._old_request(request))

    def _old_request(self, request: SendRequest) -> Any:
        return self._old("sending.ledger").Wish(
            tuple(request.person),
            request.stored_fingerprint,
            request.idempotency_key,
            request.allow_duplicate,
            request.message_id,
        )


class _OldStrategy:
    def __init__(self, old: OldModules, strategy: SendStrategy) -> None:
        self._old = old
        self._strategy = strategy

    async def send(self, message_id: str, record_draft: RecordDraft) -> str | None:
        with _errors_of_the_old_version(self._old):
            return await self._strategy.send(message_id, record_draft)

    async def settle(self, message_id: str, draft_id: str | None) -> bool | None:
        with _errors_of_the_old_version(self._old):
            return await self._strategy.reconcile(message_id, draft_id)


class _OldBackend:
    def __init__(self, old: OldModules, backend: Backend) -> None:
        self._old = old
        self._backend = backend

    async def get(self, collection: str, key: str) -> str | None:
        with _errors_of_the_old_version(self._old):
            return await self._backend.get(collection, key)

    async def swap(self, collection: str, key: str, old: str | None, new: str | None, seconds: float) -> bool:
        with _errors_of_the_old_version(self._old):
            return await self._backend.compare_and_swap(collection, key, old, new, seconds)

    def keys(self, collection: str) -> AsyncIterator[str]:
        return self._backend.keys(collection)


@contextmanager
def _errors_of_the_old_version(old: OldModules) -> Iterator[None]:
    try:
        yield
    except M365Error as error:
        raise getattr(old("errors"), type(error).__name__)(str(error)) from error


@contextmanager
def _errors_of_this_version(old: OldModules) -> Iterator[None]:
    try:
        yield
    except old("errors").M365Error as error:
        raise getattr(m365_mcp.errors, type(error).__name__)(str(error)) from error
