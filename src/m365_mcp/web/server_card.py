"""The server card, which describes this server before anybody connects, and the catalogue that names it.

SEP-2127 and "Discovery" of MCP's extension for server cards: the card is at the address of the MCP endpoint followed by
`/server-card`, and a host may have a catalogue at `/.well-known/ai-catalog.json`. Both are public, the same for every
caller, and name no person; what a client may do it learns from the connection, not from here.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any
from urllib.parse import urlsplit

from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, request_response

from m365_mcp import __version__
from m365_mcp.web.pages.product import ICON_PATH, Product

CARD_PATH = "/mcp/server-card"
CATALOG_PATH = "/.well-known/ai-catalog.json"
CARD_TYPE = "application/mcp-server-card+json"
CATALOG_TYPE = "application/ai-catalog+json"
_SCHEMA = "https://static.modelcontextprotocol.io/schemas/v1/server-card.schema.json"
_NAME = "m365-mcp-server"
_DESCRIPTION = "Sends and answers Microsoft 365 mail as the signed-in person."


def server_card(product: Product) -> dict[str, Any]:
    """Return the card of the server that the product describes."""
    return {
        "$schema": _SCHEMA,
        "name": f"{_reversed(_host(product))}/{_NAME}",
        "title": product.name,
        "description": _DESCRIPTION,
        "version": __version__,
        "websiteUrl": f"{product.base_url}/",
        "icons": [{"src": f"{product.base_url}{ICON_PATH}", "mimeType": product.icon_type}],
        "remotes": [{"type": "streamable-http", "url": f"{product.base_url}/mcp"}],
    }


def catalog(product: Product) -> dict[str, Any]:
    """Return the catalogue of a host that has this server alone."""
    entry = {
        "identifier": f"urn:air:{_host(product)}:mcp:{_NAME}",
        "type": CARD_TYPE,
        "url": f"{product.base_url}{CARD_PATH}",
    }
    return {"specVersion": "1.0", "entries": [entry]}


def card_routes(product: Product) -> list[Route]:
    """Return the routes of both documents, for GET and HEAD, readable by pages of every origin."""
    return [
        _route(CARD_PATH, CARD_TYPE, server_card(product)),
        _route(CATALOG_PATH, CATALOG_TYPE, catalog(product)),
    ]


def _host(product: Product) -> str:
    return re.sub(r"[^a-z0-9.-]", "-", urlsplit(product.base_url).hostname or "").strip("-")


def _reversed(host: str) -> str:
    return ".".join(reversed(host.split(".")))


def _route(path: str, media_type: str, document: dict[str, Any]) -> Route:
    body = json.dumps(document, ensure_ascii=False).encode()
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"Cache-Control": "public, max-age=3600", "ETag": tag}

    async def respond(request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            return Response(status_code=405, headers={"Allow": "GET, HEAD"})
        known = [one.strip().removeprefix("W/") for one in request.headers.get("If-None-Match", "").split(",")]
        if tag in known or "*" in known:  # RFC 9110 section 13.1.2
            return Response(status_code=304, headers=headers)
        return Response(body, media_type=media_type, headers=headers)

    readable = CORSMiddleware(
        request_response(respond),
        allow_origins=["*"],
        allow_methods=["GET"],
        allow_headers=["Content-Type", "If-None-Match"],
        expose_headers=["ETag"],
    )
    # Without `methods`: what a route with methods does not take goes on to FastMCP's application, which says 404.
    return Route(path, readable)
