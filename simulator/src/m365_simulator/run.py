"""Serves the simulator: all apps in one event loop, a ready file when all listen, an orderly stop on a signal."""

import asyncio
import contextlib
import errno
import json
import os
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from m365_simulator.app import CLIENT_SECRET, REDIRECT_URIS, Simulator, create_simulator
from m365_simulator.certificate import Files, write_certificates
from m365_simulator.fault_injection import ResettableProtocol

STOP_SECONDS = 3
"""How long a connection may take to finish once the simulator stops."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to serve; a port of 0 takes a free one. The first of `hosts` stands in all addresses.

    Uploads have a port of their own, as Microsoft has a host of its own for them.
    Only listen on more than loopback (`host`) where everybody who can reach the ports may read and change everything.
    """

    port: int = 8443
    control_port: int = 8444
    upload_port: int = 0
    redirect_uris: tuple[str, ...] = REDIRECT_URIS
    state_dir: Path | None = None
    ready_file: Path | None = None
    host: str = "127.0.0.1"
    hosts: tuple[str, ...] = ("localhost",)
    seed: int | None = None
    scope_name: str = "mcp-access"


@dataclass(frozen=True, slots=True)
class Ready:
    """Everything that a client, a tester or a script needs to know of a running simulator."""

    authority: str
    graph: str
    upload: str
    ca_file: str
    control: str
    mailbox_page: str
    tenant_id: str
    other_tenant_id: str
    client_id: str
    client_secret: str
    scope_name: str
    pid: int


async def serve(options: Options, on_ready: Callable[[Ready], None] | None = None) -> None:
    """Serve until SIGINT, SIGTERM or cancellation; OSError when a port is taken, ValueError for a bad redirect URI."""
    with contextlib.ExitStack() as stack:
        state_dir = options.state_dir or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="m365-simulator-"))
        )
        files = write_certificates(state_dir.absolute(), options.hosts)
        microsoft = _listen(stack, options.host, options.port)
        uploads = _listen(stack, options.host, options.upload_port)
        tester = _listen(stack, options.host, options.control_port)
        simulator = create_simulator(
            authority=f"https://{options.hosts[0]}:{_port(microsoft)}",
            upload_authority=f"https://{options.hosts[0]}:{_port(uploads)}",
            redirect_uris=options.redirect_uris,
            scope_name=options.scope_name,
            hosts=options.hosts,
            seed=options.seed,
        )
        ready = _ready(simulator, options, files, f"http://127.0.0.1:{_port(tester)}")
        servers = [
            (_Server(_tls_config(simulator.microsoft, files)), microsoft),
            (_Server(_tls_config(simulator.uploads, files)), uploads),
            (_Server(_plain_config(simulator.tester)), tester),
        ]
        await _serve_all(simulator, servers, lambda: _announce(ready, options.ready_file, on_ready))


class _Server(uvicorn.Server):
    """A server that tells when it listens, and leaves the signals to `serve`, which stops several servers."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen, and set the event."""
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


async def _serve_all(
    simulator: Simulator, servers: list[tuple[_Server, list[socket.socket]]], announce: Callable[[], None]
) -> None:
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group, _signals(stop):
        tasks = [group.create_task(server.serve(sockets=sockets)) for server, sockets in servers]
        try:
            for server, _ in servers:
                await server.listening.wait()
            announce()
            await stop.wait()
        finally:
            simulator.close()
            for server, _ in servers:
                server.should_exit = True
            await asyncio.shield(asyncio.wait(tasks))


@contextlib.asynccontextmanager
async def _signals(stop: asyncio.Event) -> AsyncIterator[None]:
    """Let SIGINT and SIGTERM set the event, where this thread may say so (only the main thread of the process)."""
    loop = asyncio.get_running_loop()
    caught = []
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(ValueError, RuntimeError, NotImplementedError):
            loop.add_signal_handler(number, stop.set)
            caught.append(number)
    try:
        yield
    finally:
        for number in caught:
            loop.remove_signal_handler(number)


def _tls_config(app: ASGIApp, files: Files) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=ResettableProtocol,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,  # the simulator's own clock tells it
        ssl_certfile=str(files.server),
        ssl_keyfile=str(files.key),
        timeout_graceful_shutdown=STOP_SECONDS,
    )


def _plain_config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="h11",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=STOP_SECONDS,
    )


def _listen(stack: contextlib.ExitStack, host: str, port: int) -> list[socket.socket]:
    """Bind the port; for the loopback address on both of its families, because `localhost` may mean either."""
    sockets = [stack.enter_context(_bind(host, port) if port else bind_free_port(host))]
    if host == "127.0.0.1":
        with contextlib.suppress(OSError):
            sockets.append(stack.enter_context(_bind("::1", _port(sockets))))
    return sockets


def bind_free_port(host: str) -> socket.socket:
    """Bind a port that nobody uses, and that connections reach.

    A container that was killed may leave a rule in the firewall behind, which sends what comes for its published port
    to nowhere. The kernel still hands such a port out, and whoever listens on it is refused every connection.
    """
    refused: list[socket.socket] = []
    try:
        while not _is_reachable(bound := _bind(host, 0)):
            refused.append(bound)  # held, so that the kernel chooses another
        return bound
    finally:
        for each in refused:
            each.close()


def _is_reachable(bound: socket.socket) -> bool:
    """Return whether the port answers once somebody listens on it."""
    host, port = bound.getsockname()[:2]
    with socket.socket(bound.family) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
        except OSError:
            return True  # only Linux lets two sockets bind one port while neither listens
        listening.listen()
        with socket.socket(bound.family) as visitor:
            return visitor.connect_ex((host, port)) != errno.ECONNREFUSED


def _bind(host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if ":" in host:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound


def _port(sockets: list[socket.socket]) -> int:
    return int(sockets[0].getsockname()[1])


def _ready(simulator: Simulator, options: Options, files: Files, control: str) -> Ready:
    tenant = simulator.tenant
    return Ready(
        authority=tenant.authority,
        graph=tenant.authority,
        upload=tenant.directory.upload_authority,
        ca_file=str(files.ca),
        control=control,
        mailbox_page=f"{control}/",
        tenant_id=tenant.tenant_id,
        other_tenant_id=tenant.directory.others[0].id,
        client_id=tenant.app.client_id,
        client_secret=CLIENT_SECRET,
        scope_name=options.scope_name,
        pid=os.getpid(),
    )


def _announce(ready: Ready, ready_file: Path | None, on_ready: Callable[[Ready], None] | None) -> None:
    if ready_file is not None:
        temporary = ready_file.with_name(f".{ready_file.name}.{os.getpid()}")
        temporary.write_text(json.dumps(asdict(ready), indent=2) + "\n", "utf-8")
        temporary.replace(ready_file)
    if on_ready is not None:
        on_ready(ready)
