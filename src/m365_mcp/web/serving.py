"""Runs the application until SIGTERM or Ctrl-C, and lets running calls finish before the process ends."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from types import FrameType

import uvicorn
from starlette.applications import Starlette

from m365_mcp.uploads.pending import PATH
from m365_mcp.web.bounded_http import HttpLimits, bounded_http
from m365_mcp.web.health import Readiness
from m365_mcp.web.listening import listen

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

YOUNG_OBJECTS = 10_000  # before the youngest are collected; a call makes some thousands, most of which end with it
DRAIN_SECONDS = 45  # for running calls: the longest takes 10 s for Entra ID and 30 s for Graph


class Server(uvicorn.Server):
    """A uvicorn server that fails its readiness probe after SIGTERM, and serves on before it closes its socket.

    A load balancer needs a moment to notice that a replica shuts down; uvicorn closes its socket at once.

    Args:
        config: uvicorn's configuration.
        readiness: is told that the shutdown has begun.
        delay: how long the server continues to serve, in seconds.
    """

    def __init__(self, config: uvicorn.Config, readiness: Readiness, delay: float) -> None:
        super().__init__(config)
        self._readiness = readiness
        self._delay = delay

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve, and leave what exists by then out of every later garbage collection."""
        await super().startup(sockets)
        _spare_collections()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin the shutdown; a second signal, or Ctrl-C, skips the delay."""
        if sig == signal.SIGTERM and self._delay and not self._readiness.is_draining:
            self._readiness.is_draining = True
            loop = asyncio.get_running_loop()
            loop.call_soon_threadsafe(loop.call_later, self._delay, super().handle_exit, sig, frame)
            return
        self._readiness.is_draining = True
        super().handle_exit(sig, frame)


def _spare_collections() -> None:
    """Have garbage collections look only at what requests leave behind, and less often.

    The 200,000 objects of a started server live as long as it does. A full collection takes 0.1 s to look at them,
    during which nobody is answered, and calls at a time set one off every hundred calls or so: a quarter of the
    processor time of a call that reads.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 20, 10)


def configure(
    application: Starlette, *, host: str, port: int, public_path: str = "", limits: HttpLimits | None = None
) -> uvicorn.Config:
    """Return uvicorn's configuration.

    Args:
        application: the application.
        host: address to listen on.
        port: port to listen on.
        public_path: decoded path of the public URL; uploads may have it in front.
        limits: the limits of the process and its connections; the defaults when left out.
    """
    upload_paths = (f"{PATH}/", f"{public_path}{PATH}/")  # `uploads.transfer.Pace` limits their time
    limits = limits or HttpLimits(connections=min(HttpLimits.connections, _open_files() // 2))
    return uvicorn.Config(
        application,
        # asyncio makes an IPv6 socket serve IPv6 only; without a host, it listens on both families.
        host="" if host == "::" else host,
        port=port,
        http=bounded_http(limits, lambda path: path.startswith(upload_paths)),
        ws="none",
        log_config=None,
        access_log=False,  # the access log would contain codes and states from query strings
        server_header=False,
        proxy_headers=False,  # `app` reads them, from MCP_TRUSTED_PROXIES and not from FORWARDED_ALLOW_IPS
        timeout_keep_alive=limits.idle_seconds,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )


def _open_files() -> int:
    """Return how many files and sockets the process may open; half of them are left to Redis, Entra and Graph."""
    if resource is None:
        return 2 * HttpLimits.connections
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2 * HttpLimits.connections if soft == resource.RLIM_INFINITY else soft


def run(config: uvicorn.Config, readiness: Readiness, *, delay: float, listener: socket.socket | None = None) -> None:
    """Serve until SIGTERM or Ctrl-C; on `listener`, if there is one, instead of binding the port.

    Raises:
        SettingsMistake: the server cannot listen there.
    """
    sockets = listen(config.host, config.port) if listener is None else [listener]
    # uvicorn raises the signal again after draining; a drained server should exit with code 0.
    signal.signal(signal.SIGTERM, lambda *_: None)
    Server(config, readiness, delay).run(sockets=sockets)
