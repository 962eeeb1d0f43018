"""Limits a registered MCP client to redirect URIs that it registered and that the operator allows."""

from __future__ import annotations

from fastmcp.server.auth.oauth_proxy.models import ProxyDCRClient
from mcp.shared.auth import InvalidRedirectUriError
from pydantic import AnyUrl

from m365_mcp.auth.sign_in_events import RedirectCause, note_refused_redirect
from m365_mcp.errors import RedirectNotAllowed
from m365_mcp.errors.request_error import note
from m365_mcp.redirects import RedirectPattern, is_allowed, parse_all

REDIRECT_REFUSED = "This redirect URI is not allowed here; the operator can add it to MCP_ALLOWED_REDIRECT_URIS."


class StrictClient(ProxyDCRClient):
    """A registered client. It may use only redirect URIs that it registered and that the operator allows.

    FastMCP 4.2 lets a client with one allowed URI use every other allowed URI, with any query.
    """

    def validate_redirect_uri(self, redirect_uri: AnyUrl | None) -> AnyUrl:
        """Return the redirect URI to use. Raises InvalidRedirectUriError, whose response is no redirect."""
        try:
            return self._require_allowed(redirect_uri)
        except InvalidRedirectUriError:
            note(RedirectNotAllowed())  # for the page; a program reads the exception's sentence
            raise

    def _require_allowed(self, redirect_uri: AnyUrl | None) -> AnyUrl:
        # FastMCP checks the URI first, and does not say which of its rules refused it.
        if redirect_uri is not None:
            self._require(str(redirect_uri))
        resolved = super().validate_redirect_uri(redirect_uri)
        self._require(str(resolved))
        return resolved

    def _require(self, uri: str) -> None:
        registered = [] if self.allow_unregistered_redirect_uris else [str(uri) for uri in self.redirect_uris or ()]
        if self.cimd_document is not None:
            registered = self.cimd_document.redirect_uris
        cause: RedirectCause | None = None
        if not is_allowed(uri, parse_all(self.allowed_redirect_uri_patterns or ())):
            cause = "not_allowed"
        elif registered and not is_allowed(uri, _patterns_of(registered)):
            cause = "not_registered"
        if cause is not None:
            note_refused_redirect(uri, cause)
            raise InvalidRedirectUriError(REDIRECT_REFUSED)


def _patterns_of(registered: list[str]) -> list[RedirectPattern]:
    # RFC 8252 section 7.3: a client chooses a new port for a loopback redirect URI at every sign-in.
    return [pattern.on_any_loopback_port() for pattern in parse_all(registered)]
