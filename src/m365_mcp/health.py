"""A Check is a name and a ping; /livez, /readyz and the doctor all read the same tuple of checks.

May know `errors`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

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


async def _live(_: Request) -> Response:
    # Never depends on anything outside: a restart mends nothing that is wrong there.
    return JSONResponse({"status": "ok"})


def routes(checks: tuple[Check, ...]) -> list[Route]:
    """Return the two probe routes."""

    async def ready(_: Request) -> Response:
        failures = await asyncio.gather(*(check.run() for check in checks))
        found = {check.name: error.code if error else "ok" for check, error in zip(checks, failures, strict=True)}
        is_ready = not any(failures)
        body = {"status": "ok" if is_ready else "unavailable", "checks": found}
        return JSONResponse(body, 200 if is_ready else 503, {"Cache-Control": "no-store"})

    return [Route("/livez", _live), Route("/readyz", ready)]
