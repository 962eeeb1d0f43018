"""uvicorn's HTTP/1.1 protocol with limits: how large the head of a request is, and how long a client may take.

uvicorn 0.54 with httptools 0.9 sets no limit on the request line and the header fields, on the trailers of a chunked
body, or on queued requests of one connection. It has no time limit for a request that arrives slowly, or for a client
that does not read its response. tests/test_upstream.py tells when uvicorn has limits of its own.

A refused request gets a response if none has begun on its connection, and its connection is closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from m365_mcp.web.protocol_refusals import MALFORMED, SEVERAL_HOSTS, TOO_LARGE, TOO_LATE, Refusal

_PIECE = 16 * 1024  # bytes that the parser gets at once; the head of a request is checked after each piece


def _nothing() -> None:
    return


@dataclass(frozen=True)
class HttpLimits:
    """What one process and one connection may use.

    Attributes:
        head_bytes: largest request line and header fields together.
        fields: most header fields of a request.
        queued: most requests that wait on a connection for the response to an earlier one.
        head_seconds: longest time for the request line and the header fields, from the connection or the first byte.
        body_seconds: longest time for a body without a byte; each received part prolongs it.
        body_bytes_per_second: lowest rate of a body; a part prolongs the time by as long as it takes at this rate.
        unread_seconds: longest time in which a client reads nothing of a response that waits for it.
        idle_seconds: longest time between two requests of a connection.
        discard_seconds: how long a refused connection still takes bytes, so that the client reads the response.
        connections: most connections of the process.
    """

    head_bytes: int = 64 * 1024
    fields: int = 200
    queued: int = 16
    head_seconds: float = 20.0
    body_seconds: float = 20.0
    body_bytes_per_second: float = 25_000.0
    unread_seconds: float = 30.0
    idle_seconds: int = 5
    discard_seconds: float = 2.0
    connections: int = 1000


class BoundedHttpProtocol(HttpToolsProtocol):
    """One connection. Use a subclass from `bounded_http`."""

    limits: ClassVar[HttpLimits]
    # The connections whose request has not arrived completely, the longest wait first.
    incomplete: ClassVar[dict[BoundedHttpProtocol, None]]
    # Whether the application itself limits the time of this request's body, by its path.
    is_paced: Callable[[str], bool]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._timer: asyncio.TimerHandle | None = None  # for what the client has to send next
        self._write_timer: asyncio.TimerHandle | None = None
        self._body_deadline = 0.0
        self._head_size = 0  # of the header fields that are complete
        self._unparsed = 0  # bytes since the parser last reported a complete head, or bytes of a body
        self._is_in_body = False
        self._is_refused = False
        self.on_close: Callable[[], None] = _nothing  # is called when the connection has ended

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Begin to wait for a request; close the connection that has waited longest when there are too many."""
        super().connection_made(transport)
        self.incomplete[self] = None
        self._set_timer(self.limits.head_seconds, self._end_late_head)
        if len(self.connections) > self.limits.connections:
            longest = next(iter(self.incomplete))
            del self.incomplete[longest]
            longest.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.incomplete.pop(self, None)
        for timer in (self._timer, self._write_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)
        self.on_close()

    def data_received(self, data: bytes) -> None:
        """Parse what arrived, in pieces, and stop as soon as the request is refused."""
        for begin in range(0, len(data), _PIECE):
            if self._is_refused or self.transport.is_closing():
                return
            piece = data[begin : begin + _PIECE]
            self._unparsed += len(piece)
            super().data_received(piece)  # the callbacks below reset the count
            if self._unparsed > self.limits.head_bytes:
                self._refuse(TOO_LARGE)
        self._watch()

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._head_size = 0

    def on_url(self, url: bytes) -> None:
        """Add a part of the request target."""
        if self._counts(len(url)):
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header field; a trailer is dropped (RFC 9110 section 6.5.1: it is no header field)."""
        if not self._is_in_body and self._counts(len(name) + len(value) + len(": \r\n")):
            super().on_header(name, value)

    def _counts(self, size: int) -> bool:
        """Count a part of the head, and return whether it is within the limits."""
        self._head_size += size
        if self._head_size > self.limits.head_bytes or len(self.headers) >= self.limits.fields:
            self._refuse(TOO_LARGE)
        return not self._is_refused

    def on_headers_complete(self) -> None:
        """Start the request, or queue it behind an earlier one."""
        if not self._is_refused and len(self.pipeline) >= self.limits.queued:
            self._refuse(TOO_LARGE)
        if [name for name, _ in self.headers].count(b"host") > 1:
            # RFC 9112 section 3.2. A proxy may have chosen another one than the application would.
            self._refuse(SEVERAL_HOSTS)
        if self._is_refused:
            return
        super().on_headers_complete()
        self._unparsed = 0
        self._is_in_body = True
        self._clear_timer()
        self._body_deadline = self.loop.time() + self.limits.body_seconds
        if self.is_paced(self.scope["path"]):
            self.incomplete.pop(self, None)

    def on_body(self, body: bytes) -> None:
        """Add a part of the body."""
        if self._is_refused:
            return
        self._unparsed = 0
        self._body_deadline += len(body) / self.limits.body_bytes_per_second
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request; a response may be under way or finished."""
        if self._is_refused:
            return
        self._unparsed = 0
        self._is_in_body = False
        self._clear_timer()
        self.incomplete.pop(self, None)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request, and for the client to read the response."""
        super().on_response_complete()
        if not self.pipeline and not self.transport.is_closing():
            self.incomplete[self] = None
        self._limit_unread()

    def pause_writing(self) -> None:
        """Limit the time until the client reads."""
        super().pause_writing()
        self._limit_unread()

    def resume_writing(self) -> None:
        """Go on, because the client has read."""
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _limit_unread(self) -> None:
        if self._write_timer is None and self.transport.get_write_buffer_size():
            self._write_timer = self.loop.call_later(self.limits.unread_seconds, self._end_unread, self.cycle)

    def _end_unread(self, cycle: object) -> None:
        self._write_timer = None
        if cycle is not self.cycle:
            self._limit_unread()  # what waits now may be a later response
        elif self.transport.get_write_buffer_size():
            self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP."""
        self._refuse(MALFORMED)

    def _watch(self) -> None:
        """Start a timer if the client owes something and no timer runs."""
        if self._is_refused or self._timer is not None or self.transport.is_closing():
            return
        if self._is_in_body:
            self._set_timer(self.limits.body_seconds, self._end_late_body)
        elif self._unparsed or not self._is_answering():
            self._set_timer(self.limits.head_seconds, self._end_late_head)

    def _set_timer(self, seconds: float, end: Callable[[], None]) -> None:
        self._timer = self.loop.call_later(seconds, end)

    def _clear_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end_late_head(self) -> None:
        self._timer = None
        if self.flow.read_paused:
            self._watch()
        elif self._unparsed:
            self._refuse(TOO_LATE)
        elif not self._is_answering():
            self.transport.close()

    def _end_late_body(self) -> None:
        self._timer = None
        left = self._body_deadline - self.loop.time()
        if left > 0:
            self._set_timer(left, self._end_late_body)
        elif self.flow.read_paused or (self._is_answering() and self.is_paced(self.scope["path"])):
            self._body_deadline = self.loop.time() + self.limits.body_seconds
            self._watch()
        else:
            self._refuse(TOO_LATE)

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _refuse(self, response: Refusal) -> None:
        """Take no more of this connection; answer if no response of it is under way."""
        if self._is_refused:
            return
        self._is_refused = True
        self._clear_timer()
        if not self._is_in_body and self._is_answering():
            self.cycle.keep_alive = False  # the connection ends with the response to the earlier request
        elif self._is_in_body and (self.pipeline or self.cycle.response_started):
            self.transport.abort()
        else:
            self._answer(response)

    def _answer(self, response: Refusal) -> None:
        if self._is_in_body:
            self.cycle.disconnected = True  # the application cannot answer any more
        self.transport.write(response.render(self.server_state.default_headers))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        # To close a socket with unread bytes resets the connection, and the client may lose the response.
        self._set_timer(self.limits.discard_seconds, self.transport.abort)


def bounded_http(
    chosen: HttpLimits = HttpLimits(), paced: Callable[[str], bool] = lambda path: False
) -> type[BoundedHttpProtocol]:
    """Return the protocol for `http=` of uvicorn's configuration.

    Args:
        chosen: the limits of one process.
        paced: returns whether the application itself limits the time of a body, for the path of its request.
    """

    class BoundedHttp(BoundedHttpProtocol):
        limits = chosen
        incomplete: ClassVar[dict[BoundedHttpProtocol, None]] = {}
        is_paced = staticmethod(paced)

    return BoundedHttp
