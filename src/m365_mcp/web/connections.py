"""Accepts connections for several workers, and hands each to one of them, evenly.

All workers accepting from one socket, as with uvicorn's own supervisor, is not even: whichever wakes first takes a
whole burst, and of 32 connections that stay open one of two workers had up to all 32. Sockets with SO_REUSEPORT spread
them by a hash, which is even for many connections only, lose the queue of a worker that dies, and let a second server
listen on the port unnoticed. So one process accepts, and hands the open connections over (`SCM_RIGHTS`).
"""

from __future__ import annotations

import errno
import mmap
import selectors
import socket
import time
from collections.abc import Callable, Sequence

from m365_mcp import logs
from m365_mcp.web.worker import HANDED

_BACKLOG = 2048  # as uvicorn's
_AT_ONCE = 64  # connections that are accepted before something else is looked at
_RETRY_SECONDS = 0.05  # between two tries to hand a connection over, or to accept while files are short
_log = logs.get(__name__)


class Connections:
    """The listening sockets, and what each worker has of the connections.

    Args:
        listeners: the listening sockets.
        selector: where the listening sockets are watched.
        workers: how many workers there are.
    """

    def __init__(self, listeners: Sequence[socket.socket], selector: selectors.BaseSelector, workers: int) -> None:
        self._listeners = list(listeners)
        self._selector = selector
        self._count = workers
        self._channels: dict[int, socket.socket] = {}
        self._handed = [0] * workers
        self._ended = memoryview(mmap.mmap(-1, 8 * workers)).cast("Q")  # shared with the forked workers
        self._waiting: list[socket.socket] = []  # accepted, and no worker has room for it
        self._last = 0
        self._is_accepting = False
        self._is_closed = False
        self._resumes_at: float | None = None

    def tally(self, number: int) -> Callable[[], None]:
        """Return what a worker calls when one of its connections has ended; its count begins anew."""
        self._handed[number] = self._ended[number] = 0

        def count() -> None:
            self._ended[number] += 1

        return count

    def add(self, number: int, channel: socket.socket) -> None:
        """Hand connections over to a worker from now on."""
        self._channels[number] = channel

    def remove(self, number: int) -> None:
        """Hand nothing more over to a worker."""
        self._channels.pop(number, None)

    def accept(self) -> None:
        """Accept connections from now on."""
        if not self._is_accepting and not self._is_closed:
            self._is_accepting = True
            for listener in self._listeners:
                listener.setblocking(False)
                listener.listen(_BACKLOG)
                self._selector.register(listener, selectors.EVENT_READ, self._accept)

    def close(self) -> None:
        """Accept nothing more."""
        self._pause()
        self._is_closed, self._resumes_at = True, None
        self.forget()

    def forget(self) -> None:
        """Close the sockets, in this process only."""
        for each in [*self._listeners, *self._waiting]:
            each.close()

    @property
    def is_closed(self) -> bool:
        """Whether nothing is accepted any more."""
        return self._is_closed

    @property
    def resumes_at(self) -> float | None:
        """When `resume` has something to do, in monotonic seconds."""
        return self._resumes_at

    def resume(self) -> None:
        """Try again to hand over what waits, and accept if nothing does."""
        self._waiting = [each for each in self._waiting if not self._hand_over(each)]
        self._resumes_at = None
        if self._waiting:
            self._accept_later()
        else:
            self.accept()

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(_AT_ONCE):
            try:
                connection, _ = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                _log.error("connection_not_accepted", error=errno.errorcode.get(error.errno or 0, "?"))
                self._accept_later()
                return
            if not self._hand_over(connection):
                self._waiting.append(connection)
                self._accept_later()
                return

    def _accept_later(self) -> None:
        """Leave further connections in the queue of the kernel for a moment."""
        self._pause()
        self._resumes_at = time.monotonic() + _RETRY_SECONDS

    def _pause(self) -> None:
        if self._is_accepting:
            self._is_accepting = False
            for listener in self._listeners:
                self._selector.unregister(listener)

    def _hand_over(self, connection: socket.socket) -> bool:
        """Give a connection to a worker. Returns False when none has room for it."""
        for number in self._in_turn():
            try:
                socket.send_fds(self._channels[number], [HANDED], [connection.fileno()])
            except OSError:  # its queue is full, or it has just ended
                continue
            self._handed[number] += 1
            self._last = number
            connection.close()
            return True
        return False

    def _in_turn(self) -> list[int]:
        """Return the workers in the order in which they are offered a connection.

        Each gets one in turn, so that short connections are spread evenly. Whoever has many more open connections than
        another comes last: else, where every second client keeps its connection open, one worker would have them all.
        """
        open_now = {number: self._handed[number] - self._ended[number] for number in self._channels}
        least = min(open_now.values(), default=0)
        most = least + 1 + least // 4
        return sorted(open_now, key=lambda number: (open_now[number] > most, (number - self._last - 1) % self._count))
