"""A Check is a name and a ping; /livez, /readyz and the doctor all read the same tuple of checks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from m365_mcp.errors import InternalError, M365Error

CHECK_SECONDS = 3.0


@dataclass(frozen=True)
class Check:
    """Something this server cannot work without.

    Attributes:
        name: what is checked, one word.
        ping: returns when it works; raises M365Error.
    """

    name: str
    ping: Callable[[], Awaitable[None]]

    async def run(self) -> M365Error | None:
        """Return what is wrong, or None."""
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await self.ping()
        except M365Error as error:
            return error
        except TimeoutError:
            return InternalError(f"The check '{self.name}' did not end within {CHECK_SECONDS:.0f} seconds.")
        return None


class Readiness:
    """Whether this process should be given requests.

    Not before everything has worked once; not any more once it is to stop. In between also while something outside is
    away: that is the same for all replicas, and they answer it honestly, where a proxy without any of them could not.

    Args:
        checks: what must have worked once.
    """

    def __init__(self, checks: tuple[Check, ...]) -> None:
        self.checks = checks
        self.is_draining = False
        self._cold = {check.name for check in checks}

    async def examine(self) -> tuple[str, dict[str, str]]:
        """Run the checks and return the state (`ok`, `degraded`, `starting` or `draining`) and each check's outcome."""
        failures = await asyncio.gather(*(check.run() for check in self.checks))
        found = {check.name: error.code if error else "ok" for check, error in zip(self.checks, failures, strict=True)}
        self._cold -= {name for name, outcome in found.items() if outcome == "ok"}
        if self.is_draining:
            return "draining", found
        if self._cold:
            return "starting", found
        return ("degraded" if any(failures) else "ok"), found


class Draining:
    """Has clients leave a connection after its answer once the process is to stop, so that none is cut.

    Args:
        app: the application.
        readiness: says when.
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


async def _live(_: Request) -> Response:
    # Never depends on anything outside: a restart mends nothing that is wrong there.
    return JSONResponse({"status": "ok"})


def routes(readiness: Readiness) -> list[Route]:
    """Return the two probe routes."""

    async def ready(_: Request) -> Response:
        state, checks = await readiness.examine()
        status = 200 if state in ("ok", "degraded") else 503
        return JSONResponse({"status": state, "checks": checks}, status, {"Cache-Control": "no-store"})

    return [Route("/livez", _live), Route("/readyz", ready)]
