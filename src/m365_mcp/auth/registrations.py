"""Limits a registered MCP client to redirect URIs that it registered and that the operator allows."""

from __future__ import annotations

from fastmcp.server.auth.oauth_proxy.models import ProxyDCRClient
from mcp.shared.auth import InvalidRedirectUriError
from pydantic import AnyUrl

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
        resolved = super().validate_redirect_uri(redirect_uri)
        registered = [] if self.allow_unregistered_redirect_uris else [str(uri) for uri in self.redirect_uris or ()]
        if self.cimd_document is not None:
            registered = self.cimd_document.redirect_uris
        allowed = is_allowed(str(resolved), parse_all(self.allowed_redirect_uri_patterns or ()))
        if not allowed or (registered and not is_allowed(str(resolved), _patterns_of(registered))):
            raise InvalidRedirectUriError(REDIRECT_REFUSED)
        return resolved


def _patterns_of(registered: list[str]) -> list[RedirectPattern]:
    # RFC 8252 section 7.3: a client chooses a new port for a loopback redirect URI at every sign-in.
    return [pattern.on_any_loopback_port() for pattern in parse_all(registered)]
