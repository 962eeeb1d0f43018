"""Finds out, before a call, what stands at an address: an MCP server with its authorization server, or what else.

FastMCP 4.2 forgets between two runs where the authorization server redeems a refresh token, and would send it to /token
of the host, which behind a shared ingress is another program. So each call reads the metadata first
(RFC 9728, RFC 8414), and a server that is away, redirects or is none is named before FastMCP wraps the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx2
from mcp.client.auth import OAuthFlowError
from mcp.client.auth.utils import (
    build_oauth_authorization_server_metadata_discovery_urls,
    build_protected_resource_metadata_discovery_urls,
    validate_metadata_issuer,
)
from mcp.shared.auth import OAuthMetadata, ProtectedResourceMetadata
from mcp.shared.auth_utils import check_resource_allowed
from pydantic import BaseModel, ValidationError

from m365_mcp.errors import Unavailable
from m365_mcp.loopback import is_loopback
from m365_mcp.trust import trust_of

Metadata = TypeVar("Metadata", bound=BaseModel)
_SECONDS = httpx2.Timeout(30, read=300)  # a call may take as long as MCP's own clients wait


@dataclass(frozen=True)
class FoundServer:
    """An MCP server: the metadata of its resource and of its authorization server, whose address is `issuer`."""

    issuer: str
    resource: ProtectedResourceMetadata
    authorization: OAuthMetadata


def client_factory(endpoint: str) -> Callable[..., httpx2.AsyncClient]:
    """Return what makes HTTP clients for a server; on this machine, no proxy of the environment is asked."""
    uses_environment = not is_loopback(urlsplit(endpoint).hostname or "")

    def make(
        headers: dict[str, str] | None = None,
        timeout: httpx2.Timeout | None = None,
        auth: httpx2.Auth | None = None,
        **_: Any,
    ) -> httpx2.AsyncClient:
        # The authorities of SSL_CERT_FILE count also where the environment's proxies do not.
        return httpx2.AsyncClient(
            headers=headers, timeout=timeout or _SECONDS, auth=auth, verify=trust_of(None), trust_env=uses_environment
        )

    return make


async def find_server(endpoint: str) -> FoundServer:
    """Return what stands at the MCP endpoint `endpoint`.

    Raises:
        Unavailable: nothing that a call could be sent to; the sentence says what was found instead.
    """
    async with client_factory(endpoint)() as http:
        resource_urls = build_protected_resource_metadata_discovery_urls(None, endpoint)
        resource = await _first(http, resource_urls[:1], ProtectedResourceMetadata)
        if not check_resource_allowed(endpoint, str(resource.resource)):
            raise _no_server()
        issuer = str(resource.authorization_servers[0])
        urls = build_oauth_authorization_server_metadata_discovery_urls(issuer, endpoint)
        authorization = await _first(http, urls, OAuthMetadata)
    try:
        validate_metadata_issuer(authorization, issuer)
    except OAuthFlowError:
        raise _no_server() from None
    return FoundServer(issuer, resource, authorization)


async def _first(http: httpx2.AsyncClient, urls: list[str], form: type[Metadata]) -> Metadata:
    for url in urls:
        answer = await _get(http, url)
        if answer.is_redirect:
            raise Unavailable("The server redirects to another address.", advice="Give that address with --url.")
        if answer.status_code >= httpx2.codes.INTERNAL_SERVER_ERROR:
            raise Unavailable(f"The server answers with status {answer.status_code}.", advice="Try again in a moment.")
        if answer.status_code == httpx2.codes.OK:
            try:
                return form.model_validate_json(answer.content)
            except ValidationError:
                break
    raise _no_server()


async def _get(http: httpx2.AsyncClient, url: str) -> httpx2.Response:
    try:
        return await http.get(url, follow_redirects=False)
    except httpx2.ConnectError as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            advice = "Name the file of its authority in SSL_CERT_FILE."
            raise Unavailable("The server's certificate is not trusted.", advice=advice) from None
        raise Unavailable("The server cannot be reached.", advice="Is it running, and is --url right?") from None
    except (httpx2.HTTPError, httpx2.InvalidURL):
        raise Unavailable("The server does not answer.", advice="Is it running, and is --url right?") from None


def _no_server() -> Unavailable:
    return Unavailable("There is no MCP server at this address.", advice="Is --url right? It mostly ends in /mcp.")
