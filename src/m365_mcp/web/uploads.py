"""/upload/{ticket}: a page to drop a file on (GET), and the file itself, raw (PUT, POST). The link is the permission.

This path alone takes bodies of any size it is told beforehand, as a stream; `uploads.reception` says what is too large.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from m365_mcp.errors import LengthNeeded, M365Error, UploadBrokenOff
from m365_mcp.uploads.pending import PATH
from m365_mcp.uploads.receiver import UploadReceiver
from m365_mcp.uploads.transfer import Incoming
from m365_mcp.web.responses import json_reply, retry_header
from m365_mcp.web.upload_page import refused_page, upload_page


def upload_route(reception: UploadReceiver) -> Route:
    """Return the route of upload links."""

    async def show(request: Request) -> Response:
        try:
            ticket = await reception.look(request.path_params["ticket"])
        except M365Error as error:
            return refused_page(error)
        return upload_page(ticket.name, ticket.size)

    async def take(request: Request) -> Response:
        try:
            incoming = Incoming(_announced(request), _parts(request))
            arrived = await reception.receive(request.path_params["ticket"], incoming)
        except M365Error as error:
            return json_reply(error.status, error.code, error.explain(), retry_header(error))
        found = {"name": arrived.name, "size": arrived.size, "sha256": arrived.sha256}
        return JSONResponse(found, 201, {"Cache-Control": "no-store"})

    async def answer(request: Request) -> Response:
        return await (show if request.method in ("GET", "HEAD") else take)(request)

    return Route(f"{PATH}/{{ticket}}", answer, methods=["GET", "PUT", "POST"])


def _announced(request: Request) -> int:
    length = request.headers.get("content-length", "")
    if "transfer-encoding" in request.headers or not (length.isascii() and length.isdigit()):
        raise LengthNeeded
    return int(length[:19])


async def _parts(request: Request) -> AsyncIterator[bytes]:
    try:
        async for part in request.stream():
            yield part
    except ClientDisconnect as error:
        raise UploadBrokenOff from error
