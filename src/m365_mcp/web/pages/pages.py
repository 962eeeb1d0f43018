"""One method for each page."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import Response

from m365_mcp.auth.consent import ConsentRequest
from m365_mcp.errors import M365Error
from m365_mcp.settings import Settings
from m365_mcp.web.pages import consent_page, error_page
from m365_mcp.web.pages.languages import language_of
from m365_mcp.web.pages.product import Product
from m365_mcp.web.pages.rendering import Renderer

# What works: all, all but a new sign-in (the store is nearly full), or not all.
State = Literal["ok", "full", "down"]


class Pages:
    """The pages of one server.

    Args:
        settings: the product, and what the server's tools can do.
    """

    def __init__(self, settings: Settings) -> None:
        self.product = Product.of(settings)
        self._abilities = consent_page.Abilities.of(settings)
        self._render = Renderer(self.product).render

    def landing(self, request: Request, endpoint: str, state: State) -> Response:
        """Return the page at the server's address: the MCP endpoint, and how to add it to a client."""
        shown: dict[str, Any] = {"endpoint": endpoint, "state": state, "sends": self._abilities.level == "send"}
        return self._render(request, "landing.html", script="copy.js", **shown)

    def consent(self, request: Request, asked: ConsentRequest) -> Response:
        """Return the question whether a client may act as the person."""
        # No `form-action`: Chromium applies it to the redirect to Entra ID that answers the form.
        return self._render(
            request, "consent.html", sources="font-src 'none'", **consent_page.values(asked, self._abilities)
        )

    def error(self, request: Request, error: M365Error, *, status: int, headers: dict[str, str]) -> Response:
        """Return what went wrong, and who can do what about it."""
        shown = error_page.values(request, error, language_of(request), datetime.now(UTC))
        return self._render(
            request, "error.html", script="copy.js", status=status, headers={**headers, **error_page.HEADERS}, **shown
        )

    def upload(self, request: Request, name: str, size: int | None, seconds_left: float) -> Response:
        """Return the page that uploads one file to the page's own address.

        Args:
            request: the request to answer.
            name: the file's name.
            size: its announced size in bytes; None when any size is accepted.
            seconds_left: how long the link still works.
        """
        return self._render(
            request,
            "upload.html",
            script="upload.js",
            sources="connect-src 'self'; form-action 'none'",
            name=name,
            size=size,
            seconds=math.floor(seconds_left),
        )
