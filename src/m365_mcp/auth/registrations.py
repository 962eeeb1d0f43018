"""What a registered MCP client may do: only redirect URIs that are both allowed here and its own."""

from __future__ import annotations

from fastmcp.server.auth.oauth_proxy.models import ProxyDCRClient
from mcp.shared.auth import InvalidRedirectUriError
from pydantic import AnyUrl

from m365_mcp.redirects import RedirectPattern, is_allowed, parse_all

REDIRECT_REFUSED = "This redirect URI is not allowed here; the operator can add it to MCP_ALLOWED_REDIRECT_URIS."


class StrictClient(ProxyDCRClient):
    """A registered client that may only use redirect URIs that are both allowed here and its own.

    FastMCP 4.2 lets a client that registered one allowed URI use any other allowed one, with any query.
    """

    def validate_redirect_uri(self, redirect_uri: AnyUrl | None) -> AnyUrl:
        """Return the URI to use. Raises InvalidRedirectUriError (answered without a redirect)."""
        resolved = super().validate_redirect_uri(redirect_uri)
        own = [] if self.allow_unregistered_redirect_uris else [str(uri) for uri in self.redirect_uris or ()]
        if self.cimd_document is not None:
            own = self.cimd_document.redirect_uris
        allowed = is_allowed(str(resolved), parse_all(self.allowed_redirect_uri_patterns or ()))
        if not allowed or (own and not is_allowed(str(resolved), _own_patterns(own))):
            raise InvalidRedirectUriError(REDIRECT_REFUSED)
        return resolved


def _own_patterns(own: list[str]) -> list[RedirectPattern]:
    # RFC 8252 section 7.3: the port of a loopback redirect URI is chosen anew at every sign-in.
    return [pattern.on_any_loopback_port() for pattern in parse_all(own)]
