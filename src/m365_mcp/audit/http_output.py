"""Sends lines to an HTTP collector, from a thread of its own; the spool has them until the collector has.

Each request is a POST with lines of JSON (`application/x-ndjson`). Any answer but 2xx leaves the lines in the spool.
They may arrive twice: when an answer was lost.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import httpx2

from m365_mcp import logs
from m365_mcp.audit.spool import Spool

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds between two tries
LOOK_SECONDS = 5.0  # another process, such as a command, may have put lines into the spool
_log = logs.get(__name__)


@dataclass
class HttpOutput:
    """Sends lines to an HTTP collector.

    Attributes:
        url: the address of the collector.
        spool: has the lines until they are sent.
        connect: returns the HTTP client; the thread calls it once.
        authorization: the header field `Authorization`, if the collector needs one.
        first_pause: how long the thread waits after a failure, in seconds; twice as long after each further one.
    """

    url: str
    spool: Spool
    connect: Callable[[], httpx2.Client]
    authorization: str | None = field(default=None, repr=False)
    first_pause: float = FIRST_PAUSE
    _wake: threading.Event = field(default_factory=threading.Event, init=False, repr=False)
    _is_closed: bool = field(default=False, init=False)
    _pause: float = field(default=0.0, init=False)
    _thread: threading.Thread | None = field(default=None, init=False, repr=False)

    def write(self, lines: Sequence[bytes]) -> None:
        """Put the lines into the spool and have them sent. Raises OSError."""
        self.spool.append(lines)
        self.resume()
        if not self._pause:
            self._wake.set()

    def resume(self) -> None:
        """Start to send what is in the spool."""
        if self._thread is None:
            self._is_closed = False
            self._thread = threading.Thread(target=self._run, name="audit-http", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Try once more to send what is in the spool, and end the thread; the rest is sent by the next process."""
        if self._thread is not None:
            self._is_closed = True
            self._wake.set()
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        with self.connect() as client:
            while not self._is_closed:
                self._send_all(client)
                self._wake.wait(self._pause or LOOK_SECONDS)
                self._wake.clear()
            self._send_all(client)

    def _send_all(self, client: httpx2.Client) -> None:
        """Send batches until the spool is empty or one fails; nothing while another process sends."""
        try:
            with self.spool.sending() as may_send:
                while may_send and (files := self.spool.batch()):
                    content = b"".join(file.read_bytes() for file in files)
                    response = client.post(self.url, content=content, headers=self._headers())
                    if not response.is_success:
                        self._fail(f"http_{response.status_code}")
                        return
                    self.spool.remove(files)
                    self._pause = 0.0
        except Exception as error:  # the thread must not end; the lines stay in the spool
            self._fail(type(error).__name__)

    def _headers(self) -> dict[str, str]:
        chosen = {"Content-Type": "application/x-ndjson"}
        return chosen if self.authorization is None else {**chosen, "Authorization": self.authorization}

    def _fail(self, reason: str) -> None:
        if not self._pause:
            _log.warning("audit_collector_failed", reason=reason, effect="the spool keeps the records")
        self._pause = min(2 * self._pause or self.first_pause, LONGEST_PAUSE)
