"""The web page on which a tester reads what arrived, and the event stream that keeps it up to date."""

import json
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from m365_simulator.mailbox_view import FOLDERS, View, mailbox_html
from m365_simulator.pages import asset, page_headers
from m365_simulator.tenant import Tenant

KEEP_ALIVE_SECONDS = 15.0
POLICY = (
    "default-src 'none'; style-src 'self' 'unsafe-inline'; script-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""Inline styles are allowed for the mail in the sandboxed frame, which inherits this policy and adds a narrower one."""


def mailbox_routes() -> list[Route]:
    """Return the routes; their app keeps `tenant` and the event `closing` in its state."""
    return [
        Route("/", show),
        Route("/events", events),
        Route("/assets/style.css", _style),
        Route("/assets/mailbox.js", _script),
    ]


async def show(request: Request) -> Response:
    """Respond to `GET /?person=ada&folder=inbox|sent|drafts|outbox&message=<id>`."""
    tenant: Tenant = request.app.state.tenant
    query = request.query_params
    person = tenant.people.get(query.get("person", "")) or next(iter(tenant.people.values()))
    folder = query.get("folder", "inbox")
    view = View(person, folder if folder in FOLDERS else "inbox", query.get("message"))
    return HTMLResponse(mailbox_html(tenant, view), headers=page_headers(POLICY))


async def events(request: Request) -> Response:
    """Return a stream with an event `mail` now and at every change; its data is `{"revision": n}`."""
    tenant: Tenant = request.app.state.tenant
    closing = request.app.state.closing
    if closing.is_set():
        return JSONResponse({"code": "closing", "sentence": "The simulator stops.", "advice": "Start it again."}, 503)

    async def stream() -> AsyncIterator[str]:
        yield "retry: 1000\n\n"
        told = ""
        while not closing.is_set():
            seen = tenant.mail.revision
            state = tenant.mail.fingerprint()
            # A comment line keeps the connection open and finds out whether anybody still listens.
            yield ": still here\n\n" if state == told else f"event: mail\ndata: {json.dumps({'revision': state})}\n\n"
            told = state
            await tenant.mail.wait_for_change(seen, KEEP_ALIVE_SECONDS)

    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream(), media_type="text/event-stream", headers=headers)


async def _style(_: Request) -> Response:
    return Response(asset("style.css"), media_type="text/css", headers=page_headers("default-src 'none'"))


async def _script(_: Request) -> Response:
    return Response(asset("mailbox.js"), media_type="text/javascript", headers=page_headers("default-src 'none'"))
