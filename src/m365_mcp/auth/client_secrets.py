"""Secrets of registered clients: who gets one, and in which form it is stored and compared.

Clients here are public unless they ask for a secret. The store has a SHA-256 of it: the secret has 256 random bits, so
a slow hash protects nothing more. `web.oauth_parameters` replaces a secret in a request by its hash, and the MCP SDK
compares the two in constant time, at the token endpoint and at the revocation endpoint.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from fastmcp.server.auth.oauth_proxy.models import ProxyDCRClient
from key_value.aio.adapters.pydantic import PydanticAdapter
from mcp.shared.auth import OAuthClientInformationFull

from m365_mcp.clients import CLIENTS
from m365_mcp.errors import StorageUnavailable
from m365_mcp.redirects import RedirectPattern, is_allowed, parse_all

ModelStore = PydanticAdapter[ProxyDCRClient]
SECRET_METHODS = ("client_secret_post", "client_secret_basic")
_NEED_SECRETS = [parse_all(client.redirect_uris) for client in CLIENTS.values() if client.needs_secret]


def hash_secret(secret: str) -> str:
    """Return the form in which a secret is stored."""
    return hashlib.sha256(secret.encode()).hexdigest()


def method_of(registration: Mapping[str, Any], allowed: Iterable[RedirectPattern]) -> str:
    """Return how a client will authenticate at the token endpoint: what it asks for, else what it needs.

    Args:
        registration: the metadata that the client sent.
        allowed: the redirect URIs that this server registers; the others say nothing about the client.
    """
    asked = registration.get("token_endpoint_auth_method")
    if isinstance(asked, str):
        return asked
    uris = registration.get("redirect_uris")
    sent = [uri for uri in uris if isinstance(uri, str)] if isinstance(uris, list) else []
    kept = [uri for uri in sent if is_allowed(uri, allowed)]
    needs_secret = any(all(is_allowed(uri, patterns) for uri in kept) for patterns in _NEED_SECRETS)
    return SECRET_METHODS[0] if kept and needs_secret else "none"


async def issue_secret(
    store: ModelStore, asked: OAuthClientInformationFull, registered: OAuthClientInformationFull
) -> None:
    """Issue the secret of a registration: its hash into the store, the secret itself into the response.

    Args:
        store: has the client as a public one.
        asked: the registration, with a secret that the MCP SDK has made if the client's method needs one.
        registered: the response.
    """
    if asked.client_secret is None:
        return
    client = await store.get(key=asked.client_id)
    if client is None:
        raise StorageUnavailable
    secret = {
        # A client may send the secret in the form or in the header; its hash always arrives in the form.
        "token_endpoint_auth_method": "client_secret_post",
        "client_secret": hash_secret(asked.client_secret),
    }
    await store.put(key=asked.client_id, value=client.model_copy(update=secret))
    registered.token_endpoint_auth_method = asked.token_endpoint_auth_method
    registered.client_secret = asked.client_secret
    registered.client_secret_expires_at = 0  # never (RFC 7591 section 3.2.1)
