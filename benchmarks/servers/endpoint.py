"""A Starlette endpoint that reads JSON and answers JSON: what HTTP costs."""

from __future__ import annotations

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from benchmarks.servers import place

PROFILE = {"displayName": "Ada Lovelace", "mail": "ada@contoso.example", "userPrincipalName": "ada@contoso.example"}


async def answer(request: Request) -> JSONResponse:
    """Answer every request with the same profile."""
    asked = await request.json()
    return JSONResponse({"jsonrpc": "2.0", "id": asked["id"], "result": {"structuredContent": PROFILE}})


if __name__ == "__main__":
    application = Starlette(routes=[Route("/mcp", answer, methods=["POST"])])
    uvicorn.run(application, host="127.0.0.1", port=place().port, access_log=False, log_level="warning")
