"""ASGI middleware of the Microsoft side that makes faults strike; must stand inside `Observation`.

A connection reset needs the server's help: `ResettableProtocol` puts the way to do it into the ASGI scope. Without it
(an app called in-process) the reset is a ConnectionResetError raised to the caller.
"""

import asyncio
import gzip
import json
import socket
import struct
from dataclasses import dataclass, replace

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from m365_simulator.faults import What
from m365_simulator.observation import FACTS, STRUCK_BY
from m365_simulator.templating import render
from m365_simulator.tenant import Tenant

RESET = "m365_simulator.reset"
STALLED_BODY = 64
"""How many bytes an empty body announces when it is to stall."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete HTTP response."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class FaultInjection:
    """Wraps the Microsoft side; `closing` ends the stalls when the simulator stops."""

    def __init__(self, app: ASGIApp, tenant: Tenant, closing: asyncio.Event) -> None:
        self._app = app
        self._tenant = tenant
        self._closing = closing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        armed = self._tenant.faults.strike(scope[FACTS]) if scope["type"] == "http" else None
        if armed is None:
            await self._app(scope, receive, send)
            return
        scope[STRUCK_BY] = armed.id
        what, when = armed.fault.what, armed.fault.when
        real: Answer | None = None
        if when == "halfway":
            await _read_half(scope, receive)
        if when == "after":
            real = await self._carry_out(scope, receive)
        await self._wait(what.delay_seconds)
        if what.reset:
            await _reset(scope, receive)
            return
        if what.status is None and real is None:
            real = await self._carry_out(scope, receive)
        answer = _scripted(what, what.status) if what.status is not None else _altered(what, real)
        await _send_answer(answer, what.stall, send)
        if what.stall:
            await self._hold(receive)
            if RESET in scope:
                await _reset(scope, receive)

    async def _carry_out(self, scope: Scope, receive: Receive) -> Answer:
        """Let the request have its effect, and discard the response."""
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await self._app(scope, receive, keep)
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in messages[0]["headers"])
        return Answer(messages[0]["status"], headers, b"".join(message.get("body", b"") for message in messages[1:]))

    async def _hold(self, receive: Receive) -> None:
        """Wait until the client has left or the simulator stops."""
        waits = {asyncio.create_task(_disconnected(receive)), asyncio.create_task(self._closing.wait())}
        _, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in pending:
            wait.cancel()

    async def _wait(self, seconds: float) -> None:
        """Wait this many seconds, or until the simulator stops."""
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            return


async def _read_half(scope: Scope, receive: Receive) -> None:
    """Let half of the announced body come in, and forget it."""
    left = int(Headers(scope=scope).get("content-length", "0")) // 2
    while left > 0:
        message = await receive()
        left -= len(message.get("body", b""))
        if not message.get("more_body", False):
            return


class ResettableProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 protocol that lets the app reset the connection it is called on."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Give every request of this connection the means to reset it."""
        super().connection_made(transport)
        app = self.app

        async def resettable(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, RESET: lambda: _abort(transport)}, receive, send)

        self.app = resettable

    def shutdown(self) -> None:
        """Close an idle connection immediately: without the client's close_notify, asyncio would wait 30 seconds."""
        super().shutdown()
        if self.cycle is None or self.cycle.response_complete:
            self.transport.abort()


def _abort(transport: asyncio.Transport) -> None:
    """Close the connection with a TCP RST: a zero linger time discards what is unsent (socket(7), SO_LINGER)."""
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def _reset(scope: Scope, receive: Receive) -> None:
    """Reset the connection and wait until the server has noticed."""
    if RESET not in scope:
        raise ConnectionResetError("The simulator reset the connection.")
    scope[RESET]()
    await _disconnected(receive)


async def _disconnected(receive: Receive) -> bool:
    while (await receive())["type"] != "http.disconnect":
        continue
    return True


async def _send_answer(answer: Answer, stall: bool, send: Send) -> None:
    """Send a whole answer, or half of its body while announcing the whole."""
    length = len(answer.body) or (STALLED_BODY if stall else 0)
    headers = [(name, value) for name, value in answer.headers if name.casefold() != "content-length"]
    headers.append(("content-length", str(length)))
    encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": encoded})
    body = answer.body[: len(answer.body) // 2] if stall else answer.body
    await send({"type": "http.response.body", "body": body, "more_body": stall})


def _scripted(what: What, status: int) -> Answer:
    """Build the answer that the fault prescribes."""
    kind = "text/html" if what.html else "text/plain"
    body = b""
    if isinstance(what.body, str):
        body = what.body.encode()
    elif what.body is not None:
        kind, body = "application/json", json.dumps(what.body).encode()
    elif what.html:
        body = render("bad_gateway.html").encode()
    headers = {"content-type": f"{kind}; charset=utf-8"} if body else {}
    return _zipped(what, Answer(status, tuple((headers | what.headers).items()), body))


def _altered(what: What, real: Answer | None) -> Answer:
    """Take the real answer with the fault's headers added (for instance `Retry-After` on a 202)."""
    if real is None:
        raise ValueError("There is no real answer to alter.")
    return _zipped(what, replace(real, headers=(*real.headers, *what.headers.items())))


def _zipped(what: What, answer: Answer) -> Answer:
    if not what.gzip:
        return answer
    headers = (*answer.headers, ("content-encoding", "gzip"))
    return replace(answer, headers=headers, body=gzip.compress(answer.body))
