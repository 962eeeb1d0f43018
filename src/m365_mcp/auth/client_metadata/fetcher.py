"""Fetches JSON documents from hosts that strangers choose: few at a time, within limits of size and time.

A failure is remembered for a short time, so that nobody makes this server ask again and again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from copy import copy
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from math import ceil
from typing import Any
from weakref import WeakValueDictionary

import httpx2
from cachetools import LRUCache

from m365_mcp.auth.client_metadata.hosts import HostRules, Target, target_of
from m365_mcp.auth.client_metadata.transport import NameNotResolved, SpecialPurposeAddress
from m365_mcp.retries import parse_retry_after

WAIT_SECONDS = 1.0  # for a turn
FETCH_SECONDS = 4.0  # in total: DNS, TLS and the last byte
FAILURE_SECONDS = 30.0  # how long a failure is remembered, unless the host asks for longer
MAX_FAILURE_SECONDS = 300.0
MAX_FETCHES = 8  # at a time
MAX_FETCHES_OF_A_HOST = 2
MAX_WAITING = 64  # fetches that run or wait for their turn
_REMEMBERED_FAILURES = 1000
DEFAULT_FRESH_SECONDS = 3600.0
MIN_FRESH_SECONDS, MAX_FRESH_SECONDS = 60.0, 24 * 3600.0  # whatever Cache-Control says


class FetchFailed(Exception):
    """A document cannot be had now.

    Args:
        reason: a word for the log, of a closed set: `http_403`, `timeout`, `dns`, …
        status: the HTTP status of the response, if there was one.
        retry_after: seconds that the host asks to wait; when the failure is remembered, those until the next fetch.
        member: the name of the document's member that is not valid.
    """

    def __init__(
        self, reason: str, status: int | None = None, retry_after: float | None = None, member: str | None = None
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.retry_after = retry_after
        self.member = member

    @property
    def is_missing(self) -> bool:
        """Whether the host says that there is no such document."""
        return self.status in (404, 410)


class HostRefused(FetchFailed):
    """The rules forbid to fetch from this host or port."""


class DocumentInvalid(FetchFailed):
    """The host answers with something that is no such document."""


@dataclass(frozen=True)
class Kind:
    """A kind of document.

    Attributes:
        name: the name of its collection in the store.
        max_bytes: the largest document.
        read: parses and checks the bytes of the document at a URL. Raises DocumentInvalid.
        noun: what it is called in sentences.
    """

    name: str
    max_bytes: int
    read: Callable[[str, bytes], dict[str, Any]]
    noun: str


@dataclass(frozen=True)
class Fetched:
    """A document, and how long its host says that it is fresh, in seconds."""

    content: dict[str, Any]
    fresh_seconds: float


class Fetcher:
    """Fetches documents.

    Args:
        client_for: returns the HTTP client for a host; it follows no redirects.
        rules: where documents may be fetched.
        clock: returns monotonic seconds; for tests.
        wait_seconds: how long a fetch waits for its turn; for tests.
        fetch_seconds: the total time of a fetch that has its turn; for tests.
    """

    def __init__(
        self,
        client_for: Callable[[str], httpx2.AsyncClient],
        rules: HostRules,
        clock: Callable[[], float] = time.monotonic,
        wait_seconds: float = WAIT_SECONDS,
        fetch_seconds: float = FETCH_SECONDS,
    ) -> None:
        self._client_for = client_for
        self._rules = rules
        self._clock = clock
        self._wait_seconds = wait_seconds
        self._fetch_seconds = fetch_seconds
        self._turns = asyncio.Semaphore(MAX_FETCHES)
        self._turns_of: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._running: dict[tuple[str, str], asyncio.Task[Fetched]] = {}
        self._failures: LRUCache[tuple[str, str], tuple[float, FetchFailed]] = LRUCache(_REMEMBERED_FAILURES)

    async def fetch(self, url: str, kind: Kind) -> Fetched:
        """Return the document at `url`; concurrent calls for one document share a fetch. Raises FetchFailed."""
        target = target_of(url)
        if target is None or self._rules.refuse(target):
            raise HostRefused("host_refused")
        key = (kind.name, url)
        until, failure = self._failures.get(key, (0.0, None))
        if failure is not None and self._clock() < until:
            raise _repeated(failure, until - self._clock())
        task = self._running.get(key) or self._begin(key, target, kind)
        return await asyncio.shield(task)  # a client that hangs up ends nobody else's fetch

    def _begin(self, key: tuple[str, str], target: Target, kind: Kind) -> asyncio.Task[Fetched]:
        if len(self._running) >= MAX_WAITING:
            raise FetchFailed("busy")
        task = asyncio.create_task(self._fetch(key, target, kind))
        self._running[key] = task

        def forget(ended: asyncio.Task[Fetched]) -> None:
            del self._running[key]
            if not ended.cancelled():
                ended.exception()  # nobody may be left who waits for it

        task.add_done_callback(forget)
        return task

    async def _fetch(self, key: tuple[str, str], target: Target, kind: Kind) -> Fetched:
        async with self._turn(target.host):
            try:
                async with asyncio.timeout(self._fetch_seconds):
                    return await self._get(key[1], target, kind)
            except FetchFailed as error:
                failure = error
            except TimeoutError:
                failure = FetchFailed("timeout")
            except httpx2.HTTPError as error:
                failure = FetchFailed(_reason_of(error))
        seconds = min(max(failure.retry_after or 0.0, FAILURE_SECONDS), MAX_FAILURE_SECONDS)
        self._failures[key] = (self._clock() + seconds, failure)
        raise _repeated(failure, seconds)

    @asynccontextmanager
    async def _turn(self, host: str) -> AsyncIterator[None]:
        """Hold one of the turns of the host and one of all turns. Raises FetchFailed, which nobody remembers."""
        turns_of_host = self._turns_of.get(host)
        if turns_of_host is None:
            turns_of_host = self._turns_of[host] = asyncio.Semaphore(MAX_FETCHES_OF_A_HOST)
        async with AsyncExitStack() as held:
            try:
                async with asyncio.timeout(self._wait_seconds):
                    await held.enter_async_context(turns_of_host)
                    await held.enter_async_context(self._turns)
            except TimeoutError:
                raise FetchFailed("busy") from None
            yield

    async def _get(self, url: str, target: Target, kind: Kind) -> Fetched:
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        async with self._client_for(target.host).stream("GET", url, headers=headers) as response:
            _check(response)
            content = b""
            async for part in response.aiter_raw():
                content += part
                if len(content) > kind.max_bytes:
                    raise DocumentInvalid("too_large")
        return Fetched(kind.read(url, content), _fresh_seconds(response.headers))


def _repeated(failure: FetchFailed, seconds: float) -> FetchFailed:
    """Return a remembered failure with the seconds until the next fetch; one raised twice would collect tracebacks."""
    again = copy(failure)
    again.retry_after = float(ceil(seconds))
    return again


def _check(response: httpx2.Response) -> None:
    """Raise FetchFailed for a response that cannot be the document."""
    status = response.status_code
    if status != 200:
        retry_after = parse_retry_after(response.headers.get("Retry-After"))
        raise FetchFailed(f"http_{status}", status, retry_after)
    if "html" in response.headers.get("Content-Type", "").lower():
        raise FetchFailed("html_page")  # of a proxy, or a check for robots
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise DocumentInvalid("compressed")  # nothing is unpacked that nobody asked for


def _reason_of(error: httpx2.HTTPError) -> str:
    if isinstance(error, SpecialPurposeAddress):
        return "special_purpose_address"
    if isinstance(error, NameNotResolved):
        return "dns"
    if isinstance(error, httpx2.ProxyError):  # the proxy refuses the CONNECT; the text begins with its status
        status = str(error)[:3]
        return f"proxy_{status}" if status.isdecimal() else "proxy"
    return "timeout" if isinstance(error, httpx2.TimeoutException) else "connection"


def _fresh_seconds(headers: Mapping[str, str]) -> float:
    """Return how long a document is fresh (RFC 9111 section 4.2.1), within our own bounds."""
    directives = [part.strip().lower() for part in headers.get("Cache-Control", "").split(",")]
    ages = [part.removeprefix("max-age=").strip('"') for part in directives if part.startswith("max-age=")]
    if {"no-store", "no-cache"} & set(directives):
        seconds = 0.0
    elif ages and ages[0].isascii() and ages[0].isdigit():
        seconds = float(ages[0][:9])
    else:
        seconds = _seconds_to(headers.get("Expires"))
    return min(max(seconds, MIN_FRESH_SECONDS), MAX_FRESH_SECONDS)


def _seconds_to(expires: str | None) -> float:
    if expires is None:
        return DEFAULT_FRESH_SECONDS
    try:
        return parsedate_to_datetime(expires).timestamp() - time.time()
    except (ValueError, OverflowError):
        return 0.0  # RFC 9111 section 5.3: an invalid date is in the past
