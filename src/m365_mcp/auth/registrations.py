"""Limits a registered MCP client to redirect URIs that it registered and that the operator allows.

A redirect URI is refused for one of four causes, and each has its own remedy: nobody could be redirected to it; the
operator does not allow it; or the operator does, and this client has not registered it, or its metadata document does
not list it.
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
from m365_mcp.auth.client_texts import MAX_NAME
from m365_mcp.auth.sign_in_events import RedirectCause, note_refused_redirect
from m365_mcp.errors import (
    M365Error,
    RedirectNotAllowed,
    RedirectNotInDocument,
    RedirectNotRegistered,
    RedirectNotUsable,
)
from m365_mcp.errors.request_error import note
from m365_mcp.mail.text import clean
from m365_mcp.redirects import RedirectPattern, RedirectUri, is_allowed, parse_all

MAX_REDIRECT_URIS = 10  # VS Code, with the most of all known clients, registers four
MAX_REDIRECT_CHARACTERS = 1000  # of all together
_TOO_MANY_URIS = (
    f"A client may register at most {MAX_REDIRECT_URIS} redirect URIs, "
    f"with {MAX_REDIRECT_CHARACTERS} characters in all."
)
# RFC 6749 section 3.1.2.3
_NEEDS_URI = "redirect_uri is required, because the client has not exactly one registered URI without a wildcard"
_SHOWN = 200  # characters of a refused URI
_NOT_SHOWN = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e]")  # what no `error_description` may have (RFC 6749 section 5.2)
# What a list of MCP_ALLOWED_REDIRECT_URIS reads differently; its escapes mean the same there.
_ESCAPES = {",": "%2C", ";": "%3B", "*": "%2A"}
_SENTENCES: dict[RedirectCause, str] = {
    "not_usable": "No client can be redirected to {uri} by this server, and no setting changes that: {reason}.",
    "not_allowed": "The redirect URI {uri} is not on this server's list. "
    "The operator can add the client to MCP_CLIENTS, or the URI to MCP_ALLOWED_REDIRECT_URIS.",
    "not_registered": "The redirect URI {uri} is not one that this client registered. "
    "This server allows it: register the client again with this URI.",
    "not_in_document": "The redirect URI {uri} is not one that this client's metadata document lists. "
    "This server allows it: whoever publishes the document has to add it there.",
}
# For the page; a program reads the sentence.
_ERRORS: dict[RedirectCause, type[M365Error]] = {
    "not_usable": RedirectNotUsable,
    "not_allowed": RedirectNotAllowed,
    "not_registered": RedirectNotRegistered,
    "not_in_document": RedirectNotInDocument,
}


@dataclass(frozen=True)
class RedirectRefusal:
    """Why a redirect URI is refused.

    Attributes:
        uri: the URI, as the client sent it.
        cause: the cause.
        reason: for `not_usable`, what is wrong with the URI.
    """

    uri: str
    cause: RedirectCause
    reason: str = ""

    @property
    def sentence(self) -> str:
        """What the client is told."""
        uri = _shown(self.uri)
        if self.cause == "not_allowed":  # the operator copies it
            uri = "".join(_ESCAPES.get(character, character) for character in uri)
        return _SENTENCES[self.cause].format(uri=uri, reason=self.reason)


class RedirectUriRefused(InvalidRedirectUriError):
    """The redirect URI of an authorization request is refused; the response is no redirect."""

    def __init__(self, refusal: RedirectRefusal) -> None:
        super().__init__(refusal.sentence)
        note_refused_redirect(refusal.uri, refusal.cause)
        note(_ERRORS[refusal.cause]())


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
    refusals = {uri: _refusal_of(str(uri), patterns) for uri in asked}
    kept = [uri for uri in asked if refusals[uri] is None]
    if asked and not kept:
        refused = [refusal for refusal in refusals.values() if refusal is not None]
        # What the operator can allow helps more than what nobody can.
        raise RegistrationRefused(next((one for one in refused if one.cause == "not_allowed"), refused[0]))
    client.redirect_uris = kept or None


def _refusal_of(uri: str, allowed: Iterable[RedirectPattern]) -> RedirectRefusal | None:
    """Return why this server redirects no client to `uri`, or None if it does."""
    try:
        RedirectUri.read(uri)
    except ValueError as reason:
        return RedirectRefusal(uri, "not_usable", str(reason))
    return None if is_allowed(uri, allowed) else RedirectRefusal(uri, "not_allowed")


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

    FastMCP 4.2 lets a client with one allowed URI use every other allowed URI, with any query, and compares spellings:
    `%7E` with `~`, and a host of a metadata document with its ASCII form.

    Attributes:
        assertion: what the client has authenticated itself with in this request, and what is not counted yet.
    """

    assertion: Assertion | None = Field(default=None, exclude=True)

    def validate_redirect_uri(self, redirect_uri: AnyUrl | None) -> AnyUrl:
        """Return the redirect URI to use, as the client has spelled it.

        Raises:
            InvalidRedirectUriError: the client may not use it, or names none and has not exactly one.
        """
        resolved = self._only_uri() if redirect_uri is None else redirect_uri
        self._require(str(resolved))
        self._enforce_application_type(resolved)  # FastMCP's: a web client has no loopback address (RFC 7591 section 2)
        return resolved

    def _only_uri(self) -> AnyUrl:
        known, _ = self._known_uris()
        try:
            if len(known) == 1 and "*" not in known[0]:
                return AnyUrl(known[0])
        except ValueError:  # a metadata document may list any text
            pass
        raise InvalidRedirectUriError(_NEEDS_URI)

    def _require(self, uri: str) -> None:
        refusal = _refusal_of(uri, parse_all(self.allowed_redirect_uri_patterns or ()))
        if refusal is not None:
            raise RedirectUriRefused(refusal)
        known, cause = self._known_uris()
        if self.cimd_document is None:
            known = [uri.replace("*", _ESCAPES["*"]) for uri in known]  # a registration has no wildcards
        if known and not self.allow_unregistered_redirect_uris and not is_allowed(uri, _patterns_of(known)):
            raise RedirectUriRefused(RedirectRefusal(uri, cause))

    def _known_uris(self) -> tuple[list[str], RedirectCause]:
        """Return the client's own URIs, and why every other one is refused."""
        if self.cimd_document is not None:
            return self.cimd_document.redirect_uris, "not_in_document"
        return [str(uri) for uri in self.redirect_uris or ()], "not_registered"


def restricted(client: OAuthClientInformationFull | None, allowed: list[str]) -> OAuthClientInformationFull | None:
    """Return FastMCP's client as one that may use only its own redirect URIs, and of them the `allowed` ones."""
    if not isinstance(client, ProxyDCRClient):
        return client
    return StrictClient.model_construct(**{**dict(client), "allowed_redirect_uri_patterns": allowed})


def _patterns_of(registered: list[str]) -> list[RedirectPattern]:
    # RFC 8252 section 7.3: a client chooses a new port for a loopback redirect URI at every sign-in.
    return [pattern.on_any_loopback_port() for pattern in parse_all(registered)]


def _shown(uri: str) -> str:
    return _NOT_SHOWN.sub("?", uri[:_SHOWN])
