"""Liveness and readiness probes. A check is a name and a ping; `doctor` looks closer, with checks of its own.

Asked for an event stream, /livez responds in two parts with a pause, so that `doctor` sees a proxy that buffers.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from m365_mcp import __version__
from m365_mcp.errors import InternalError, M365Error
from m365_mcp.settings import Settings
from m365_mcp.storage.encryption import derive

CHECK_SECONDS = 3.0
EVENT_STREAM = "text/event-stream"
PAUSE_SECONDS = 0.4  # between the two parts of an event stream of /livez
_MAX_STREAMS = 8  # at a time; beyond that, the response comes in one part


@dataclass(frozen=True)
class Check:
    """A dependency that this server cannot work without.

    Attributes:
        name: the dependency, one word.
        ping: returns when it works; raises M365Error.
    """

    name: str
    ping: Callable[[], Awaitable[None]]

    async def run(self) -> M365Error | None:
        """Return the error, or None when the dependency works."""
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await self.ping()
        except M365Error as error:
            return error
        except TimeoutError:
            return InternalError(f"The check '{self.name}' did not end within {CHECK_SECONDS:.0f} seconds.")
        return None


class Readiness:
    """Tells whether the load balancer should send requests to this process.

    The process becomes ready when every check has passed once, and stops being ready when it begins to shut down.
    During an outage of a dependency it stays ready: the outage hits every replica, and a replica answers with a proper
    503, which a load balancer without replicas could not.

    Args:
        checks: the checks that must have passed once.
    """

    def __init__(self, checks: tuple[Check, ...]) -> None:
        self.checks = checks
        self.is_draining = False
        self._not_passed = {check.name for check in checks}

    async def evaluate(self) -> tuple[str, dict[str, str]]:
        """Run the checks and return the state (`ok`, `degraded`, `starting` or `draining`) and each check's outcome."""
        failures = await asyncio.gather(*(check.run() for check in self.checks))
        found = {check.name: error.code if error else "ok" for check, error in zip(self.checks, failures, strict=True)}
        self._not_passed -= {name for name, outcome in found.items() if outcome == "ok"}
        if self.is_draining:
            return "draining", found
        if self._not_passed:
            return "starting", found
        return ("degraded" if any(failures) else "ok"), found


class Draining:
    """Closes each connection after its response once the process shuts down, so that no response is cut off.

    Args:
        app: the application.
        readiness: tells whether the process shuts down.
    """

    def __init__(self, app: ASGIApp, readiness: Readiness) -> None:
        self._app = app
        self._readiness = readiness

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""

        async def pass_on(message: Message) -> None:
            if message["type"] == "http.response.start" and self._readiness.is_draining:
                MutableHeaders(raw=message["headers"])["Connection"] = "close"
            await send(message)

        await self._app(scope, receive, pass_on if scope["type"] == "http" else send)


def identity(settings: Settings) -> dict[str, str]:
    """Return what `doctor` compares to tell this server from another one, 16 hex digits each.

    Returns:
        `instance`, which all servers with these keys have and no other; `build`, which depends on the version, too.
    """
    key = derive(settings.signing_secrets[0], "instance")
    words = {"instance": "", "build": __version__}
    return {name: hmac.new(key, word.encode(), "sha256").hexdigest()[:16] for name, word in words.items()}


def routes(readiness: Readiness, known_as: dict[str, str]) -> list[Route]:
    """Return the two probe routes.

    Args:
        readiness: what /readyz tells.
        known_as: what /livez tells of the server, see `identity`.
    """

    streams = asyncio.Semaphore(_MAX_STREAMS)

    async def live(request: Request) -> Response:
        # The result depends on no other service, because a restart of this process cannot repair one.
        if request.headers.get("Accept") == EVENT_STREAM and not streams.locked():
            return StreamingResponse(_in_two_parts(streams), media_type=EVENT_STREAM)
        return JSONResponse({"status": "ok", **known_as})

    async def ready(_: Request) -> Response:
        state, checks = await readiness.evaluate()
        status = 200 if state in ("ok", "degraded") else 503
        return JSONResponse({"status": state, "checks": checks}, status, {"Cache-Control": "no-store"})

    return [Route("/livez", live), Route("/readyz", ready)]


async def _in_two_parts(streams: asyncio.Semaphore) -> AsyncIterator[str]:
    async with streams:
        yield "data: first\n\n"
        await asyncio.sleep(PAUSE_SECONDS)
        yield "data: second\n\n"
