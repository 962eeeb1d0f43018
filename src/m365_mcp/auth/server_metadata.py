"""The authorization server metadata (RFC 8414), and the OpenID Connect document of the same server.

FastMCP 4.2 says that clients authenticate with `none` at the token endpoint and with a secret at the revocation
endpoint. Here both take the same methods.

The OpenID Connect document is for clients that know only its name. OpenID Connect Discovery section 3 requires three
members that an authorization server without ID tokens has no use for; a client that checks the document (the
TypeScript SDK does) fails without them. This server issues no ID token, so the set of keys for them is empty.
"""

from __future__ import annotations

from fastmcp.server.auth.oauth_proxy import OAuthProxy
from mcp.server.auth.routes import build_metadata, cors_middleware
from mcp.server.auth.settings import ClientRegistrationOptions, RevocationOptions
from mcp.shared.auth import OAuthMetadata
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from m365_mcp.auth.client_secrets import SECRET_METHODS

SERVER_PATH = "/.well-known/oauth-authorization-server"
OPENID_PATH = "/.well-known/openid-configuration"
KEYS_PATH = "/.well-known/jwks.json"
# FastMCP 4.2 takes these for private_key_jwt (`fastmcp.server.auth.cimd`); RFC 8414 section 2 requires the list.
_SIGNING_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"]


def metadata_of(proxy: OAuthProxy, *, reads_metadata_documents: bool) -> OAuthMetadata:
    """Return the metadata of `proxy`."""
    if proxy.base_url is None:
        raise AssertionError("the public URL is always set")
    registration = proxy.client_registration_options or ClientRegistrationOptions()
    metadata = build_metadata(proxy.base_url, None, registration, proxy.revocation_options or RevocationOptions())
    metadata.issuer = proxy.issuer_url or metadata.issuer
    metadata.authorization_response_iss_parameter_supported = True
    methods = ["none", *SECRET_METHODS]
    if reads_metadata_documents:
        methods.append("private_key_jwt")
        metadata.client_id_metadata_document_supported = True
        metadata.token_endpoint_auth_signing_alg_values_supported = _SIGNING_ALGORITHMS
        metadata.revocation_endpoint_auth_signing_alg_values_supported = _SIGNING_ALGORITHMS
    metadata.token_endpoint_auth_methods_supported = methods
    metadata.revocation_endpoint_auth_methods_supported = methods
    return metadata


def metadata_routes(metadata: OAuthMetadata) -> list[Route]:
    """Return the routes of both documents, and of the empty set of keys."""
    document = metadata.model_dump(mode="json", exclude_none=True)
    openid = {
        **document,
        "jwks_uri": f"{document['token_endpoint'].removesuffix('/token')}{KEYS_PATH}",
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    }
    return [_route(SERVER_PATH, document), _route(OPENID_PATH, openid), _route(KEYS_PATH, {"keys": []})]


def _route(path: str, document: object) -> Route:
    async def respond(_: Request) -> Response:
        return JSONResponse(document, headers={"Cache-Control": "public, max-age=3600"})

    return Route(path, cors_middleware(respond, ["GET", "OPTIONS"]), methods=["GET", "OPTIONS"])
