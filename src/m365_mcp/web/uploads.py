"""/upload/{token}: the page to drop a file on (GET), and the file itself as the request body (PUT, POST).

The link is the permission. Only this path accepts bodies of any announced size, as a stream; `uploads.receiver` refuses
those that are too large.
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
from m365_mcp.web.pages import refused_page, upload_page
from m365_mcp.web.responses import json_error, retry_header


def upload_route(receiver: UploadReceiver) -> Route:
    """Return the route of upload links."""

    async def show_page(request: Request) -> Response:
        try:
            link = await receiver.find_link(request.path_params["token"])
        except M365Error as error:
            return refused_page(error)
        return upload_page(link.name, link.size)

    async def receive(request: Request) -> Response:
        try:
            incoming = Incoming(_content_length(request), _chunks(request))
            file = await receiver.receive(request.path_params["token"], incoming)
        except M365Error as error:
            return json_error(error.status, error.code, error.explain(), retry_header(error))
        found = {"name": file.name, "size": file.size, "sha256": file.sha256}
        return JSONResponse(found, 201, {"Cache-Control": "no-store"})

    async def respond(request: Request) -> Response:
        return await (show_page if request.method in ("GET", "HEAD") else receive)(request)

    return Route(f"{PATH}/{{token}}", respond, methods=["GET", "PUT", "POST"])


def _content_length(request: Request) -> int:
    length = request.headers.get("content-length", "")
    if "transfer-encoding" in request.headers or not (length.isascii() and length.isdigit()):
        raise LengthNeeded
    return int(length[:19])


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect as error:
        raise UploadBrokenOff from error
