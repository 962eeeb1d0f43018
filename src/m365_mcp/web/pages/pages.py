"""One method for each page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import Response

from m365_mcp.auth.consent import ConsentRequest
from m365_mcp.auth.passkeys import MAX_PASSKEYS, Passkey
from m365_mcp.errors import M365Error
from m365_mcp.sending.approvals import ShownMail
from m365_mcp.sending.held_mail import HeldMail
from m365_mcp.settings import Settings
from m365_mcp.web.pages import approval_page, consent_page, error_page
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

    def approval(
        self, request: Request, shown: ShownMail, token: str, now: float, *, passkeys: int | None = None
    ) -> Response:
        """Return the question whether to send a mail that waits.

        Args:
            request: the request to answer.
            shown: the mail.
            token: what the form carries.
            now: epoch seconds.
            passkeys: how many the person has; None: they need none.
        """
        sources = "frame-src 'self'; form-action 'self'"
        return self._render(
            request,
            "approval.html",
            script="passkey.js" if passkeys else None,
            sources=f"{sources}; connect-src 'self'" if passkeys else sources,
            **approval_page.values(shown, self.product.base_path, now),
            token=token,
            passkeys=passkeys,
        )

    def approval_body(self, request: Request, shown: ShownMail) -> Response:
        """Return the text of a mail as a document of its own, which can do nothing."""
        is_text = shown.content_type == "Text"
        return self._render(
            request, "mail_body.html", headers=approval_page.BODY_HEADERS, is_text=is_text, body=shown.body
        )

    def approvals(
        self, request: Request, waiting: Sequence[HeldMail], now: float, *, has_passkeys: bool = False
    ) -> Response:
        """Return the list of what waits for the person at the browser."""
        rows = [approval_page.row(mail, self.product.base_path, now) for mail in waiting]
        passkeys_path = approval_page.passkeys_path(self.product.base_path) if has_passkeys else None
        return self._render(request, "approvals.html", rows=rows, passkeys_path=passkeys_path)

    def passkeys(self, request: Request, known: Sequence[Passkey], token: str) -> Response:
        """Return the list of a person's passkeys; without a token for its forms, the list after a change."""
        return self._render(
            request,
            "passkeys.html",
            script="passkey.js" if token else None,
            sources="connect-src 'self'; form-action 'self'" if token else "form-action 'none'",
            rows=[approval_page.passkey_row(passkey) for passkey in known],
            token=token,
            path=approval_page.passkeys_path(self.product.base_path),
            may_add=len(known) < MAX_PASSKEYS,
        )

    def approval_done(self, request: Request, mail: HeldMail, *, was_sent: bool) -> Response:
        """Return what became of a mail that the person has decided."""
        return self._render(request, "approval_done.html", was_sent=was_sent, addresses=mail.addresses)

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
