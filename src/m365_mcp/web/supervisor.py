"""Runs several workers behind one port: forks them, hands connections over, and replaces a worker that dies.

uvicorn's own supervisor was not taken: its workers share a socket (see `connections`), it restarts every worker at
SIGHUP, and its exit code does not tell that a worker could not start.

The workers are forked, so that one starts in a fraction of a second and shares the memory of what is imported.
The supervisor therefore has no thread and no event loop.
"""

from __future__ import annotations

import errno
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType

from m365_mcp import logs
from m365_mcp.web.connections import Connections
from m365_mcp.web.worker import LEAVING, READY

_PAUSE_SECONDS = 1.0  # before a worker is replaced that has not lived for long, or a fork is tried again
_LIFE_SECONDS = 10.0  # a worker that has lived for as long is replaced without a pause
_LEAVING_SECONDS = 0.25  # until a worker that leaves gets nothing more; by then a SIGTERM to all of us has come here
_WATCHED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
_log = logs.get(__name__)

# Runs one worker in its process: its number, its channel, and what it calls when a connection has ended.
Become = Callable[[int, socket.socket, Callable[[], None]], None]


@dataclass
class _Worker:
    """A worker: its process, the channel to it, whether it has started, and times in monotonic seconds."""

    number: int
    pid: int
    channel: socket.socket
    forked_at: float
    has_started: bool = False
    leaves_at: float | None = None  # set: it was told to end, by somebody else than the supervisor


def _ignore(pid: int) -> None:
    return


class Supervisor:
    """Runs the workers until SIGTERM or Ctrl-C.

    Args:
        listeners: the listening sockets.
        workers: how many workers run.
        become: runs one worker in its process.
        delay: how long connections are still handed over after SIGTERM, in seconds.
        on_end: is told the process id of a worker that has ended.
    """

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        workers: int,
        become: Become,
        *,
        delay: float,
        on_end: Callable[[int], None] = _ignore,
    ) -> None:
        self._count = workers
        self._become = become
        self._delay = delay
        self._on_end = on_end
        self._selector = selectors.DefaultSelector()
        self._connections = Connections(listeners, self._selector, workers)
        self._waking = socket.socketpair()  # each signal writes a byte to the second
        self._workers: dict[int, _Worker] = {}
        self._starts_at: dict[int, float] = {}
        self._closes_at: float | None = None  # set: the end has begun
        self._code = 0

    def run(self) -> int:
        """Run until the end, and return the exit code: 0, 130 after Ctrl-C, or that of a worker that cannot start."""
        with self._signals():
            for number in range(self._count):
                self._start(number)
            while self._workers or self._starts_at:
                for key, _ in self._selector.select(self._patience()):
                    key.data(key.fileobj)
                self._do_what_is_due()
        self._selector.close()
        return self._code

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Have each signal arrive as a byte; restore what was there before."""
        woken, waking = self._waking
        for each in self._waking:
            each.setblocking(False)
        before = {number: signal.signal(number, _only_wake) for number in _WATCHED}
        signal.set_wakeup_fd(waking.fileno(), warn_on_full_buffer=False)
        self._selector.register(woken, selectors.EVENT_READ, self._signalled)
        try:
            yield
        finally:
            signal.set_wakeup_fd(-1)
            for number, handler in before.items():
                signal.signal(number, handler)
            woken.close()
            waking.close()

    def _signalled(self, woken: socket.socket) -> None:
        for number in woken.recv(1024):
            if number == signal.SIGHUP:
                self._send_all(signal.SIGHUP)
            elif number == signal.SIGTERM:
                self._end(0, self._delay if self._closes_at is None else 0.0)
            elif number == signal.SIGINT:
                if self._closes_at is not None:
                    self._send_all(signal.SIGINT)
                self._end(130, 0.0)
        self._reap()

    def _send_all(self, number: signal.Signals) -> None:
        for worker in self._workers.values():
            os.kill(worker.pid, number)  # until it is reaped, the id is its own

    def _start(self, number: int) -> None:
        """Start a worker; later, if processes, memory or files are short."""
        try:
            pid, channel = self._fork(number)
        except OSError as error:
            reason = errno.errorcode.get(error.errno or 0, "?")
            _log.error("worker_not_started", worker=number, error=reason, effect="tried again")
            self._starts_at[number] = time.monotonic() + _PAUSE_SECONDS
            return
        self._workers[number] = _Worker(number, pid, channel, time.monotonic())
        self._selector.register(channel, selectors.EVENT_READ, lambda _: self._hear(number))
        _log.info("worker_started", worker=number, pid=pid)

    def _fork(self, number: int) -> tuple[int, socket.socket]:
        """Fork a worker. Returns its process id and the channel to it; raises OSError."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        tally = self._connections.tally(number)
        _flush()
        # A signal that comes before the worker has handlers of its own would wake the supervisor.
        signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
        try:
            pid = os.fork()
        except OSError:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
            ours.close()
            theirs.close()
            raise
        if pid == 0:
            ours.close()
            self._run_worker(number, theirs, tally)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
        theirs.close()
        return pid, ours

    def _run_worker(self, number: int, channel: socket.socket, tally: Callable[[], None]) -> None:
        """Be the worker, in the new process, and end it."""
        code = 1
        try:
            self._forget_all()
            self._become(number, channel, tally)
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except BaseException:  # nothing may run on as a second supervisor
            sys.excepthook(*sys.exc_info())
        finally:
            _flush()
            os._exit(code)

    def _forget_all(self) -> None:
        """Give back what only the supervisor uses; a channel that stayed open here would hide the supervisor's end."""
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGHUP):  # uvicorn raises SIGTERM again; SIGHUP is for watched policies
            signal.signal(number, _only_wake)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._selector.close()
        self._connections.forget()
        for each in [*self._waking, *(worker.channel for worker in self._workers.values())]:
            each.close()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)

    def _hear(self, number: int) -> None:
        """Take what a worker says on its channel."""
        worker = self._workers.get(number)
        if worker is None or worker.channel.fileno() < 0:
            return
        try:
            said = worker.channel.recv(64)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        if READY in said:
            self._greet(worker)
        if LEAVING in said and worker.leaves_at is None:
            worker.leaves_at = time.monotonic() + _LEAVING_SECONDS
        if not said:
            self._hang_up(worker)

    def _greet(self, worker: _Worker) -> None:
        """Hand connections over to a worker that has started; begin to accept when all have."""
        worker.has_started = True
        _log.info("worker_ready", worker=worker.number, pid=worker.pid)
        self._connections.add(worker.number, worker.channel)
        if sum(each.has_started for each in self._workers.values()) == self._count:
            self._connections.accept()

    def _hang_up(self, worker: _Worker) -> None:
        """Hand nothing more over to a worker; it ends its calls and then itself."""
        self._connections.remove(worker.number)
        if worker.channel.fileno() >= 0:
            self._selector.unregister(worker.channel)
            worker.channel.close()

    def _reap(self) -> None:
        """Notice which workers have ended."""
        for number, worker in list(self._workers.items()):
            pid, status = os.waitpid(worker.pid, os.WNOHANG)
            if pid:
                self._hang_up(worker)
                del self._workers[number]
                self._on_end(pid)
                self._replace(worker, os.waitstatus_to_exitcode(status))

    def _replace(self, worker: _Worker, code: int) -> None:
        """Start another worker in the place of one that has ended; end everything if it could not start."""
        if self._closes_at is not None:
            return
        if not worker.has_started and code > 0:
            self._end(code, 0.0)
            return
        _log.warning("worker_ended", worker=worker.number, pid=worker.pid, code=code, effect="another one starts")
        now = time.monotonic()
        is_old = worker.has_started and now - worker.forked_at >= _LIFE_SECONDS
        self._starts_at[worker.number] = now if is_old else now + _PAUSE_SECONDS

    def _end(self, code: int, delay: float) -> None:
        """Begin the end: the workers stop being ready, and after the delay nothing is accepted any more."""
        if self._closes_at is None:
            self._code = code
            self._starts_at.clear()
            self._send_all(signal.SIGTERM)
        self._closes_at = time.monotonic() + delay

    def _do_what_is_due(self) -> None:
        now = time.monotonic()
        if self._closes_at is not None and now >= self._closes_at and not self._connections.is_closed:
            self._connections.close()
            for worker in self._workers.values():
                self._hang_up(worker)
        for worker in self._leaving():
            if worker.leaves_at is not None and now >= worker.leaves_at:
                self._hang_up(worker)
        for number in [number for number, at in self._starts_at.items() if now >= at]:
            del self._starts_at[number]
            self._start(number)
        if self._connections.resumes_at is not None and now >= self._connections.resumes_at:
            self._connections.resume()

    def _leaving(self) -> list[_Worker]:
        """Return the workers that leave and still get connections; at the end of everything all do."""
        if self._closes_at is not None:
            return []
        return [each for each in self._workers.values() if each.leaves_at is not None and each.channel.fileno() >= 0]

    def _patience(self) -> float | None:
        """Return how long nothing is due, in seconds; None: until something happens."""
        closes = None if self._connections.is_closed else self._closes_at
        leaving = [worker.leaves_at for worker in self._leaving()]
        times = [closes, self._connections.resumes_at, *leaving, *self._starts_at.values()]
        due = [at for at in times if at is not None]
        return max(0.0, min(due) - time.monotonic()) if due else None


def _flush() -> None:
    """Write out what is buffered, where the streams are not closed; after the fork it would be written twice."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()


def _only_wake(number: int, frame: FrameType | None) -> None:
    """Do nothing: the byte that a signal writes is enough, and a signal that is ignored would write none."""
