"""Keeps the last good document of each URL, and goes on from it while the URL cannot be fetched.

The document of a client with which somebody has signed in is in the shared store, so that every replica has it. While
a sign-in runs, its client's document is there too, for as long as a sign-in may take. Any other is in the memory of
this process only, so that strangers cannot fill the store with documents of their own.

Anybody can begin a sign-in with a document of their own, so the store has a fixed number of places for documents that
are lent. A URL always has the same place, and the later of two documents of one place stays there. A replica that no
longer finds a document fetches it, as it would any other.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from cachetools import LRUCache

from m365_mcp import logs
from m365_mcp.auth.client_metadata.failures import error_of
from m365_mcp.auth.client_metadata.fetcher import Fetched, Fetcher, FetchFailed, Kind
from m365_mcp.auth.client_metadata.hosts import target_of
from m365_mcp.storage.records import ABSENT, Records, Versioned
from m365_mcp.storage.request_memo import once

STALE_SECONDS = 30 * 24 * 3600.0  # how long a document is used without a fetch that succeeds
GONE_SECONDS = 3600.0  # between the first and the second "not found", before a document counts as gone
LENT_SECONDS = 1800.0  # longer than a sign-in takes: a transaction lives 15 minutes, and a code of ours five more
LENT_PLACES = 64  # in the store: at most 1.4 MB, because a document of 5 KB takes up to 21 KB there
_RECENT = 500  # documents of clients with which nobody has signed in yet
_log = logs.get(__name__)


@dataclass(frozen=True)
class Entry:
    """What is known about the document at a URL; the times are in seconds since the epoch.

    Attributes:
        content: the last good document; None when there has been none, or when it is gone.
        fetched_at: when it was fetched.
        fresh_until: until when it is used without a fetch.
        missing_since: when its host first said that there is no such document.
    """

    content: dict[str, Any] | None
    fetched_at: float
    fresh_until: float
    missing_since: float | None = None

    def is_fresh(self, now: float) -> bool:
        """Return whether the document is used without a fetch."""
        return self.content is not None and now < self.fresh_until

    def is_usable(self, now: float) -> bool:
        """Return whether the document is used while it cannot be fetched."""
        return self.content is not None and now - self.fetched_at < STALE_SECONDS

    def is_gone(self, now: float) -> bool:
        """Return whether a host that says "not found" at this moment has said so long enough."""
        return self.missing_since is not None and now - self.missing_since >= GONE_SECONDS


class Documents:
    """The documents of one kind.

    Args:
        records: the shared store.
        fetcher: fetches documents.
        kind: the kind.
        clock: returns seconds since the epoch; for tests.
    """

    def __init__(self, records: Records, fetcher: Fetcher, kind: Kind, clock: Callable[[], float] = time.time) -> None:
        self._records = records
        self._fetcher = fetcher
        self._kind = kind
        self._lent = f"{kind.name}-lent"
        self._clock = clock
        self._recent: LRUCache[str, Entry] = LRUCache(_RECENT)

    async def get(self, url: str) -> dict[str, Any] | None:
        """Return the document, or None when it is gone.

        Raises:
            ClientMetadataUnavailable: it cannot be fetched, and there is no earlier one.
            ClientMetadataInvalid: there is no earlier one, and what is there is no such document.
            StorageUnavailable: the store did not respond.
        """
        return await once(self._kind.name, url, lambda: self._get(url))

    async def _get(self, url: str) -> dict[str, Any] | None:
        stored, entry = await self._find(url)
        if entry is not None and entry.is_fresh(self._clock()):
            return entry.content
        try:
            fetched = await self._fetcher.fetch(url, self._kind)
        except FetchFailed as failure:
            return await self._without_fetch(url, stored, entry, failure)
        await self._write(url, stored, self._entry_of(fetched))
        return fetched.content

    async def keep(self, url: str) -> None:
        """Put the document into the store, because somebody signs in with its client. Raises StorageUnavailable."""
        entry = self._recent.get(url)
        if entry is None:
            return  # it is in the store
        if entry.content is not None:
            await self._store(url, ABSENT, entry)  # another replica may have done so
        self._recent.pop(url, None)

    async def lend(self, url: str) -> None:
        """Put the document into the store for one sign-in that has begun. Raises StorageUnavailable."""
        entry = self._recent.get(url)
        if entry is not None and entry.content is not None:  # otherwise it is in the store, or is gone
            stored = await self._records.read(self._lent, _place(url))
            # When another replica was faster, its document is as good, or that of a later sign-in.
            lent = {"url": url, "entry": asdict(entry)}
            await self._records.compare_and_swap(self._lent, _place(url), stored, lent, LENT_SECONDS)

    async def _find(self, url: str) -> tuple[Versioned, Entry | None]:
        stored = await self._records.read(self._kind.name, _key(url))
        if stored.value is not None:
            self._recent.pop(url, None)
            return stored, Entry(**stored.value)
        if url not in self._recent:
            lent = (await self._records.read(self._lent, _place(url))).value
            if lent is not None and lent.get("url") == url:
                self._recent[url] = Entry(**lent["entry"])
        return stored, self._recent.get(url)

    def _entry_of(self, fetched: Fetched) -> Entry:
        now = self._clock()
        return Entry(fetched.content, now, now + fetched.fresh_seconds)

    async def _without_fetch(
        self, url: str, stored: Versioned, entry: Entry | None, failure: FetchFailed
    ) -> dict[str, Any] | None:
        now, host = self._clock(), str(target_of(url))
        if failure.is_missing:
            entry = await self._note_missing(url, stored, entry)
        is_usable = entry is not None and entry.is_usable(now)
        member = {"member": failure.member} if failure.member else {}
        _log.warning("client_metadata_not_fetched", host=host, reason=failure.reason, goes_on=is_usable, **member)
        if entry is not None and (is_usable or (entry.content is None and entry.is_gone(now))):
            return entry.content
        raise error_of(failure, host, self._kind.noun)

    async def _note_missing(self, url: str, stored: Versioned, entry: Entry | None) -> Entry:
        """Return the entry after its host has said "not found"; at the second time the document is dropped."""
        now = self._clock()
        known = entry or Entry(None, now, 0.0)
        changed = replace(known, missing_since=now if known.missing_since is None else known.missing_since)
        if changed.is_gone(now):
            changed = replace(changed, content=None)
        if changed != entry:
            await self._write(url, stored, changed)
        return changed

    async def _write(self, url: str, stored: Versioned, entry: Entry) -> None:
        if stored.value is None:
            self._recent[url] = entry
        else:
            await self._store(url, stored, entry)

    async def _store(self, url: str, stored: Versioned, entry: Entry) -> None:
        # When another replica was faster, its document is as good as this one.
        await self._records.compare_and_swap(self._kind.name, _key(url), stored, asdict(entry), STALE_SECONDS)


def _place(url: str) -> str:
    return str(int(_key(url), 16) % LENT_PLACES)


def _key(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()
