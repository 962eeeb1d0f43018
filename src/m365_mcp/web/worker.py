"""One worker: a server process whose connections come from the supervisor, and which ends when the supervisor says so.

The supervisor accepts, and hands each connection over through a Unix socket, the channel (`web.supervisor`). The end of
the channel is the end of the worker: it comes after the last connection, and also when the supervisor was killed.
So no worker outlives its supervisor, and no connection is lost between the two.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

import uvicorn

from m365_mcp import logs
from m365_mcp.web.bounded_http import BoundedHttpProtocol
from m365_mcp.web.health import Readiness
from m365_mcp.web.serving import Server

READY, LEAVING, HANDED = b"r", b"l", b"c"  # what stands on the channel: two from the worker, one to it
_AT_ONCE = 64  # connections that a worker takes before it does other work
_log = logs.get(__name__)


class WorkerServer(Server):
    """A uvicorn server that gets its connections from the supervisor.

    uvicorn 0.54 opens no socket when it is given an empty list of them; tests/test_upstream.py tells.

    Args:
        config: uvicorn's configuration.
        readiness: is told that the shutdown has begun.
        channel: to the supervisor.
        on_close: is called when a connection has ended.
    """

    def __init__(
        self, config: uvicorn.Config, readiness: Readiness, channel: socket.socket, on_close: Callable[[], None]
    ) -> None:
        super().__init__(config, readiness, 0.0)
        self._channel = channel
        self._on_close = on_close
        self._tasks: set[asyncio.Task[None]] = set()

    def serve_handed(self) -> None:
        """Serve what the supervisor hands over, until it ends the channel and the running calls have ended."""
        self._channel.setblocking(False)
        self.run(sockets=[])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, and ask for connections."""
        await super().startup(sockets)
        asyncio.get_running_loop().add_reader(self._channel, self._take)
        self._tell(READY)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin the shutdown; the supervisor chooses its delay. Ctrl-C ends at once."""
        self._readiness.is_draining = True
        if sig == signal.SIGTERM:
            self._tell(LEAVING)
            return
        super().handle_exit(sig, frame)

    def _tell(self, what: bytes) -> None:
        with suppress(OSError):  # a supervisor that is gone is seen in `_take`
            self._channel.send(what)

    def _take(self) -> None:
        """Take the connections that wait on the channel."""
        for _ in range(_AT_ONCE):
            try:
                word, descriptors, _, _ = socket.recv_fds(self._channel, 1, 1)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                word, descriptors = b"", []
            if not word:
                self._end()
                return
            if not descriptors:  # the kernel has closed the connection: this process may open no more files
                _log.error("connection_not_taken", error="EMFILE")
                self._on_close()
            for descriptor in descriptors:
                self._begin(socket.socket(fileno=descriptor))

    def _begin(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        task = asyncio.get_running_loop().create_task(self._serve_connection(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve_connection(self, connection: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)
        except OSError:  # the client has gone already
            connection.close()
            self._on_close()

    def _protocol(self) -> asyncio.Protocol:
        """Return the protocol of one connection, as uvicorn 0.54's `Server.startup` makes it."""
        kind: type[BoundedHttpProtocol] = self.config.http_protocol_class  # type: ignore[assignment]  # `configure`
        protocol = kind(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)
        protocol.on_close = self._on_close
        return protocol

    def _end(self) -> None:
        """Stop to take connections, and let uvicorn end those that are there."""
        asyncio.get_running_loop().remove_reader(self._channel)
        self._readiness.is_draining = True
        self.should_exit = True
