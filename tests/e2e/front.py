"""A reverse proxy in front of servers, which a test sets up wrongly: it redirects, hides paths or refuses headers."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2


@dataclass
class Front:
    """The proxy; a test changes it while it runs.

    Attributes:
        url: its address.
        targets: the servers that take turns.
        is_alone: whether no server is behind it; then it responds with 503, as a load balancer does.
        redirect: the status and the address that every request is answered with.
        hidden: the beginnings of the paths that it does not pass on.
        max_header_bytes: the longest Authorization header that it passes on.
        buffers: whether it collects a response before it passes anything on.
    """

    url: str = ""
    targets: list[str] = field(default_factory=list)
    is_alone: bool = False
    redirect: str | None = None
    hidden: tuple[str, ...] = ()
    max_header_bytes: int = 100_000
    buffers: bool = False

    def answer(self, handler: BaseHTTPRequestHandler, target: str) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body for a request."""
        if self.is_alone:
            return 503, {"Content-Type": "text/html"}, b"<h1>Service Unavailable</h1>"
        if self.redirect is not None:
            return 308, {"Location": self.redirect + handler.path}, b""
        if handler.path.startswith(self.hidden) and self.hidden:
            return 404, {"Content-Type": "text/html"}, b"<h1>Not Found</h1>"
        if len(handler.headers.get("Authorization", "")) > self.max_header_bytes:
            return 431, {}, b""
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        passed = {name: value for name, value in handler.headers.items() if name.lower() not in ("connection",)}
        with httpx2.Client(trust_env=False) as client:
            reply = client.request(handler.command, target + handler.path, headers=passed, content=body)
        kept = ("content-type", "www-authenticate")
        return reply.status_code, {name: value for name, value in reply.headers.items() if name in kept}, reply.content


@contextmanager
def delayed(port: int, seconds: float) -> Iterator[int]:
    """Listen on a port that leads to `port`, with everything that comes back delayed; yield it."""
    listener = socket.create_server(("127.0.0.1", 0))
    ends: list[socket.socket] = []

    def copy(source: socket.socket, target: socket.socket, pause: float) -> None:
        with contextlib.suppress(OSError):
            while part := source.recv(65_536):
                time.sleep(pause)
                target.sendall(part)
            target.shutdown(socket.SHUT_WR)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                near, far = listener.accept()[0], socket.create_connection(("127.0.0.1", port))
                ends.extend((near, far))
                threading.Thread(target=copy, args=(near, far, 0.0), daemon=True).start()
                threading.Thread(target=copy, args=(far, near, seconds), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        for end in (listener, *ends):
            end.close()


@contextmanager
def running_front(*targets: str) -> Iterator[Front]:
    """Run the proxy in a thread, on a port of its own."""
    front, turns = Front(targets=list(targets)), itertools.count()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.headers.get("Accept") == "text/event-stream" and not front.buffers:
                self.stream(front.targets[next(turns) % len(front.targets)])
                return
            status, headers, body = front.answer(self, front.targets[next(turns) % len(front.targets)])
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def stream(self, target: str) -> None:
            """Pass each part of a response on as it comes; the end of the connection is the end of the response."""
            headers = {"Accept": self.headers["Accept"], "Host": self.headers["Host"]}
            with httpx2.stream("GET", target + self.path, headers=headers, trust_env=False) as reply:
                self.send_response(reply.status_code)
                self.send_header("Content-Type", reply.headers["content-type"])
                self.end_headers()
                for part in reply.iter_raw():
                    self.wfile.write(part)

        do_POST = do_GET  # noqa: N815 - the name that the library calls

        def log_message(self, format: str, *args: object) -> None:
            """Write no log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        front.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield front
        finally:
            server.shutdown()
            thread.join()
