"""/upload/{token}: the page to drop a file on (GET), and the file itself as the request body (PUT, POST).

The link is the permission. Only this path accepts bodies of any announced size, as a stream; `uploads.receiver` refuses
those that are too large.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from m365_mcp.errors import LengthNeeded, M365Error, Unavailable, UploadBrokenOff
from m365_mcp.errors.request_error import note
from m365_mcp.uploads.pending import PATH
from m365_mcp.uploads.receiver import UploadReceiver
from m365_mcp.uploads.transfer import Incoming
from m365_mcp.web.pages import Pages
from m365_mcp.web.pages.error_page import explain
from m365_mcp.web.pages.languages import language_of
from m365_mcp.web.responses import retry_header


def upload_route(receiver: UploadReceiver, pages: Pages) -> Route:
    """Return the route of upload links."""

    async def show_page(request: Request) -> Response:
        link = await receiver.find_link(request.path_params["token"])
        return pages.upload(request, link.name, link.size, link.expires_at - receiver.links.clock())

    async def receive(request: Request) -> Response:
        incoming = Incoming(_content_length(request), _chunks(request))
        file = await receiver.receive(request.path_params["token"], incoming)
        found = {"name": file.name, "size": file.size, "sha256": file.sha256}
        return JSONResponse(found, 201, {"Cache-Control": "no-store"})

    async def respond(request: Request) -> Response:
        shows_page = request.method in ("GET", "HEAD")
        try:
            return await (show_page if shows_page else receive)(request)
        except M365Error as error:
            if isinstance(error, Unavailable):
                _advise_to_wait(error, shows_page=shows_page)
            if shows_page:
                note(error)  # a browser gets a page
            return _refusal(request, error)

    return Route(f"{PATH}/{{token}}", respond, methods=["GET", "PUT", "POST"])


def _advise_to_wait(error: Unavailable, *, shows_page: bool) -> None:
    """Say what helps after an outage: here a new connection of the assistant does not, and the link goes on working."""
    if shows_page:
        error.for_person = "Wait a moment, then reload this page."
    else:
        error.for_person = "Wait a moment, then choose the file again. The link still works."


def _refusal(request: Request, error: M365Error) -> Response:
    body = {"error": error.code, "error_description": error.explain()}
    # What the upload page shows to the person, in their language.
    if request.method not in ("GET", "HEAD"):
        body["message"] = explain(request, error, language_of(request), datetime.now(UTC))
    return JSONResponse(body, error.status, {"Cache-Control": "no-store", **retry_header(error)})


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
