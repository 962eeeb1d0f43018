"""The metadata documents, the key sets and instance discovery (page "OpenID Connect on the identity platform")."""

import uuid

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from m365_simulator.entra.problems import EntraError, error_response, new_trace
from m365_simulator.entra.tenants import read_tenant
from m365_simulator.tenant import Tenant

_CLAIMS = (
    "sub iss cloud_instance_name cloud_instance_host_name cloud_graph_host_name msgraph_host aud exp iat "
    "auth_time acr nonce "
    "preferred_username name tid ver at_hash c_hash email"
)


def metadata(request: Request) -> Response:
    """Respond to `GET /{tenant}[/v2.0]/.well-known/openid-configuration`."""
    tenant: Tenant = request.app.state.tenant
    try:
        tenant_id = read_tenant(tenant, request.path_params["tenant"])
    except EntraError as problem:
        trace = new_trace(tenant.clock.today(), request.headers)
        return error_response(problem, trace, problem.answer(tenant.switches.aadsts_overrides), tenant.authority)
    version_2 = "/v2.0/" in request.url.path
    segment = tenant_id or request.path_params["tenant"]
    return JSONResponse(_document(tenant, segment, tenant_id or "{tenantid}", version_2), headers=_discovery_headers())


def keys(request: Request) -> Response:
    """Respond to `GET /{tenant}/discovery[/v2.0]/keys`: the published keys, in an order without meaning."""
    tenant: Tenant = request.app.state.tenant
    issuer = f"{tenant.authority}/{{tenantid}}/v2.0"
    entries = [key.as_jwk(issuer) for key in tenant.keys.published]
    return JSONResponse({"keys": entries}, headers=_discovery_headers())


def instance(request: Request) -> Response:
    """Respond to `GET /common/discovery/instance`, which MSAL asks about hosts that it does not know."""
    tenant: Tenant = request.app.state.tenant
    if "authorization_endpoint" not in request.query_params:
        return JSONResponse({"error": "invalid_instance", "error_description": "AADSTS50049: Unknown instance."}, 400)
    document = f"{tenant.authority}/{tenant.tenant_id}/v2.0/.well-known/openid-configuration"
    return JSONResponse({"tenant_discovery_endpoint": document, "api-version": "1.1", "metadata": []})


def _document(tenant: Tenant, segment: str, tenant_id: str, version_2: bool) -> dict[str, object]:
    """Build the document; that of a shared endpoint has the literal `{tenantid}` in its issuer.

    Page "Access tokens": a client puts the token's own `tid` in that place.
    """
    base = f"{tenant.authority}/{segment}"
    oauth, version = ("oauth2/v2.0", "/v2.0") if version_2 else ("oauth2", "")
    return {
        "token_endpoint": f"{base}/oauth2/v2.0/token",
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        "jwks_uri": f"{base}/discovery{version}/keys",
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "issuer": tenant.issuer(tenant_id) if version_2 else f"https://sts.windows.net/{tenant_id}/",
        "request_uri_parameter_supported": False,
        "userinfo_endpoint": f"{tenant.authority}/oidc/userinfo",
        "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
        "device_authorization_endpoint": f"{base}/{oauth}/devicecode",
        "http_logout_supported": True,
        "frontchannel_logout_supported": True,
        "end_session_endpoint": f"{base}/oauth2/v2.0/logout",
        "claims_supported": _CLAIMS.split(),
        "kerberos_endpoint": f"{base}/kerberos",
        "tenant_region_scope": "WW",
        "cloud_instance_name": "microsoftonline.com",
        "cloud_graph_host_name": "graph.windows.net",
        "msgraph_host": "graph.microsoft.com",
        "rbac_url": "https://pas.windows.net",
    }


def _discovery_headers() -> dict[str, str]:
    return {
        "Cache-Control": "max-age=86400, private",
        "X-Content-Type-Options": "nosniff",
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Methods": "GET, OPTIONS",
        "x-ms-request-id": str(uuid.uuid4()),
        "x-ms-ests-server": "2.1.0 - SIMULATOR ProdSlices",
    }
