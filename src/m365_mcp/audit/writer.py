"""The thread that renders, chains and writes records, so that nothing blocks the event loop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from m365_mcp import logs
from m365_mcp.audit.chain import Chain, Tip
from m365_mcp.audit.events import RecordsLost
from m365_mcp.audit.ocsf import Options, Record
from m365_mcp.audit.outputs import Output
from m365_mcp.audit.records import render
from m365_mcp.metrics import Metrics

MAX_WAITING = 10_000  # records that wait in memory while the output is away; more are lost, and counted
RETRY_SECONDS = 1.0
_log = logs.get(__name__)

Rendered = Callable[[Options], Record]


@dataclass(frozen=True)
class _Job:
    """A record to write.

    Attributes:
        make: renders it.
        written: set when the output has the record, or to the reason why it has not.
        is_event: whether something happened, and the record does not only tell of other records.
    """

    make: Rendered
    written: Future[Tip] | None = None
    is_event: bool = True


@dataclass
class Writer:
    """Writes records in order; every method returns at once, and may be called from any thread.

    Attributes:
        output: stores the lines.
        options: what the operator wants in a record.
        metrics: counts written and lost records.
        max_waiting: how many records may wait in memory.
        retry_seconds: how long the thread waits before it tries a failed output again.
        chain: the chain of this process.
        events: how many events there were to record; those that wait count, so that a tip after them is due.
    """

    output: Output
    options: Options
    metrics: Metrics
    max_waiting: int = MAX_WAITING
    retry_seconds: float = RETRY_SECONDS
    chain: Chain = field(default_factory=Chain, init=False)
    events: int = field(default=0, init=False)
    _jobs: SimpleQueue[_Job | None] = field(default_factory=SimpleQueue, init=False, repr=False)
    _waiting: list[tuple[bytes, Future[Tip] | None, Tip]] = field(default_factory=list, init=False, repr=False)
    _lost: int = field(default=0, init=False)
    _is_failing: bool = field(default=False, init=False)
    _thread: threading.Thread | None = field(default=None, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    @property
    def has_begun(self) -> bool:
        """Whether anything was to be recorded."""
        return self._thread is not None

    def add(self, event: object) -> None:
        """Write the record of an event soon."""
        at = _milliseconds()
        self._put(_Job(lambda options: render(event, at, options)))

    def add_and_confirm(self, make: Rendered, *, is_event: bool = True) -> Future[Tip]:
        """Write a record; the future has the tip of the chain when the output has the record, or an OSError."""
        written: Future[Tip] = Future()
        self._put(_Job(make, written, is_event))
        return written

    def close(self) -> None:
        """Write what waits, try a failing output once more, and end the thread; blocks until it has ended."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()
            self._thread = None
        self.output.close()

    def _put(self, job: _Job) -> None:
        if self._jobs.qsize() >= self.max_waiting:  # the output blocks
            self._lose(1)
            _refuse(job.written, OSError("too many records wait"))
            return
        try:
            with self._lock:
                self.events += job.is_event
                if self._thread is None:
                    thread = threading.Thread(target=self._run, name="audit", daemon=True)
                    thread.start()
                    self._thread = thread
        except RuntimeError as error:  # no more threads: what is recorded here must not fail because of that
            self._lose(1)
            _refuse(job.written, error)
            return
        self._jobs.put(job)

    def _run(self) -> None:
        is_open = True
        while is_open:
            jobs = self._take()
            is_open = None not in jobs
            for job in jobs:
                if job is not None:
                    self._chain(job)
            self._flush()
        if self._waiting:
            self._lose(len(self._waiting))

    def _take(self) -> list[_Job | None]:
        """Return all jobs that are there; wait for one, or for the time of the next try."""
        try:
            jobs = [self._jobs.get(timeout=self.retry_seconds if self._waiting else None)]
        except Empty:
            return []
        while jobs[-1] is not None:
            try:
                jobs.append(self._jobs.get_nowait())
            except Empty:
                break
        return jobs

    def _chain(self, job: _Job) -> None:
        """Give a record its place in the chain; a record that finds no room gets none, so that no number is missing."""
        if len(self._waiting) >= self.max_waiting:
            self._flush()
        if len(self._waiting) >= self.max_waiting:
            self._lose(1)
            _refuse(job.written, OSError("too many records wait"))
            return
        try:
            lost = self._take_lost()
            if lost:
                self._append(render(RecordsLost(lost), _milliseconds(), self.options), None)
            self._append(job.make(self.options), job.written)
        except Exception as error:  # a record that cannot be rendered must not stop the others
            _log.exception("audit_record_failed")
            self._lose(1)
            _refuse(job.written, error)

    def _append(self, record: Record, written: Future[Tip] | None) -> None:
        line = self.chain.add(record)
        self._waiting.append((line, written, self.chain.tip))

    def _flush(self) -> None:
        if not self._waiting:
            return
        try:
            self.output.write([line for line, _, _ in self._waiting])
        except Exception as error:  # the thread must not end; the records wait
            self._fail(error)
            return
        self.metrics.audit_records.labels("written").inc(len(self._waiting))
        waiting, self._waiting = self._waiting, []
        for _, written, tip in waiting:
            if written is not None:
                with suppress(InvalidStateError):  # who waited has given up
                    written.set_result(tip)
        if self._is_failing:
            self._is_failing = False
            _log.info("audit_output_back", records=len(waiting))

    def _fail(self, error: Exception) -> None:
        """Leave the records waiting; whoever waits for one is told that it is not written."""
        if not self._is_failing:
            self._is_failing = True
            _log.error("audit_output_failed", error=type(error).__name__, number=getattr(error, "errno", None))
        for _, written, _ in self._waiting:
            _refuse(written, error)

    def _take_lost(self) -> int:
        with self._lock:
            lost, self._lost = self._lost, 0
        return lost

    def _lose(self, count: int) -> None:
        with self._lock:
            is_first = not self._lost
            self._lost += count
        if is_first:
            _log.error("audit_records_lost", effect="records are missing from the audit trail; a later one counts them")
        self.metrics.audit_records.labels("lost").inc(count)


def _refuse(written: Future[Tip] | None, error: Exception) -> None:
    if written is not None:
        with suppress(InvalidStateError):
            written.set_exception(OSError(f"the record is not written: {type(error).__name__}"))


def _milliseconds() -> int:
    return time.time_ns() // 1_000_000
