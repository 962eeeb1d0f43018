"""Limits a registered MCP client to redirect URIs that it registered and that the operator allows.

A redirect URI is refused for one of two causes, and each has its own remedy: the operator does not allow it, or the
operator does and this client has not registered it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from fastmcp.server.auth.oauth_proxy.models import ProxyDCRClient
from mcp.server.auth.provider import RegistrationError
from mcp.shared.auth import DEFAULT_GRANT_TYPES, InvalidRedirectUriError, OAuthClientInformationFull
from pydantic import AnyUrl, Field

from m365_mcp.auth.client_metadata.assertions import Assertion
from m365_mcp.auth.client_texts import MAX_NAME, clean
from m365_mcp.auth.sign_in_events import RedirectCause, note_refused_redirect
from m365_mcp.errors import RedirectNotAllowed, RedirectNotRegistered
from m365_mcp.errors.request_error import note
from m365_mcp.redirects import RedirectPattern, is_allowed, parse_all

MAX_REDIRECT_URIS = 10  # VS Code, with the most of all known clients, registers four
MAX_REDIRECT_CHARACTERS = 1000  # of all together
_TOO_MANY_URIS = (
    f"A client may register at most {MAX_REDIRECT_URIS} redirect URIs, "
    f"with {MAX_REDIRECT_CHARACTERS} characters in all."
)
_SHOWN = 200  # characters of a refused URI
_NOT_SHOWN = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e]")  # what no `error_description` may have (RFC 6749 section 5.2)
_SENTENCES = {
    "not_allowed": "The redirect URI {uri} is not on this server's list. "
    "The operator can add the client to MCP_CLIENTS, or the URI to MCP_ALLOWED_REDIRECT_URIS.",
    "not_registered": "The redirect URI {uri} is not one that this client registered. "
    "This server allows it: register the client again with this URI.",
}


@dataclass(frozen=True)
class RedirectRefusal:
    """Why a redirect URI is refused.

    Attributes:
        uri: the URI, as the client sent it.
        cause: `not_allowed` (on this server's list) or `not_registered` (by this client).
    """

    uri: str
    cause: RedirectCause

    @property
    def sentence(self) -> str:
        """What the client is told."""
        return _SENTENCES[self.cause].format(uri=_shown(self.uri))


class RedirectUriRefused(InvalidRedirectUriError):
    """The redirect URI of an authorization request is refused; the response is no redirect."""

    def __init__(self, refusal: RedirectRefusal) -> None:
        super().__init__(refusal.sentence)
        note_refused_redirect(refusal.uri, refusal.cause)
        # For the page; a program reads the exception's sentence.
        note(RedirectNotAllowed() if refusal.cause == "not_allowed" else RedirectNotRegistered())


class RegistrationRefused(RegistrationError):
    """No redirect URI of a registration is allowed."""

    def __init__(self, refusal: RedirectRefusal) -> None:
        super().__init__("invalid_redirect_uri", refusal.sentence)
        note_refused_redirect(refusal.uri, refusal.cause)


def keep_allowed_uris(client: OAuthClientInformationFull, allowed: Iterable[RedirectPattern]) -> None:
    """Leave only the allowed redirect URIs in a registration; the response names the ones that are registered.

    RFC 7591 section 3.2.1 lets the server replace what a client asks for. Clients register all the URIs that one of
    their editions may use, and use one: VS Code lists four, and a company that allows three of them means VS Code.

    Raises:
        RegistrationRefused: none is allowed.
    """
    patterns = tuple(allowed)
    asked = list(client.redirect_uris or ())
    kept = [uri for uri in asked if is_allowed(str(uri), patterns)]
    if asked and not kept:
        raise RegistrationRefused(RedirectRefusal(str(asked[0]), "not_allowed"))
    client.redirect_uris = kept or None


def limit_metadata(client: OAuthClientInformationFull) -> None:
    """Limit what is stored of a registration: a cut and cleaned name, known grants, a few redirect URIs.

    The response has what is registered (RFC 7591 section 3.2.1).

    Raises:
        RegistrationError: there are more redirect URIs, or longer ones, than this server stores.
    """
    uris = [str(uri) for uri in client.redirect_uris or ()]
    if len(uris) > MAX_REDIRECT_URIS or sum(map(len, uris)) > MAX_REDIRECT_CHARACTERS:
        raise RegistrationError("invalid_client_metadata", _TOO_MANY_URIS)
    client.client_name = clean(client.client_name or "", MAX_NAME) or None
    client.grant_types = [grant for grant in DEFAULT_GRANT_TYPES if grant in client.grant_types]


class StrictClient(ProxyDCRClient):
    """A registered client. It may use only redirect URIs that it registered and that the operator allows.

    FastMCP 4.2 lets a client with one allowed URI use every other allowed URI, with any query.

    Attributes:
        assertion: what the client has authenticated itself with in this request, and what is not counted yet.
    """

    assertion: Assertion | None = Field(default=None, exclude=True)

    def validate_redirect_uri(self, redirect_uri: AnyUrl | None) -> AnyUrl:
        """Return the redirect URI to use. Raises RedirectUriRefused."""
        if redirect_uri is not None:
            self._require(str(redirect_uri))  # FastMCP's own refusal does not tell the two causes apart
        resolved = super().validate_redirect_uri(redirect_uri)
        self._require(str(resolved))
        return resolved

    def _require(self, uri: str) -> None:
        registered = [] if self.allow_unregistered_redirect_uris else [str(uri) for uri in self.redirect_uris or ()]
        if self.cimd_document is not None:
            registered = self.cimd_document.redirect_uris
        if not is_allowed(uri, parse_all(self.allowed_redirect_uri_patterns or ())):
            raise RedirectUriRefused(RedirectRefusal(uri, "not_allowed"))
        if registered and not is_allowed(uri, _patterns_of(registered)):
            raise RedirectUriRefused(RedirectRefusal(uri, "not_registered"))


def _patterns_of(registered: list[str]) -> list[RedirectPattern]:
    # RFC 8252 section 7.3: a client chooses a new port for a loopback redirect URI at every sign-in.
    return [pattern.on_any_loopback_port() for pattern in parse_all(registered)]


def _shown(uri: str) -> str:
    return _NOT_SHOWN.sub("?", uri[:_SHOWN])
