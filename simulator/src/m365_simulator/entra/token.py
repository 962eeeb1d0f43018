"""The token endpoint: reads the form, authenticates the client and hands over to the grant."""

from collections.abc import Callable, Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from m365_simulator.entra.authorization_code import redeem_code
from m365_simulator.entra.client_authentication import authenticate_client
from m365_simulator.entra.client_credentials import GRANT_TYPE as CLIENT_CREDENTIALS
from m365_simulator.entra.client_credentials import grant_to_application
from m365_simulator.entra.forms import Form, read_form
from m365_simulator.entra.grant import TokenResponse
from m365_simulator.entra.on_behalf_of import GRANT_TYPE as ON_BEHALF_OF
from m365_simulator.entra.on_behalf_of import exchange
from m365_simulator.entra.problems import EntraError, error_response, new_trace, token_headers
from m365_simulator.entra.refresh_token import refresh
from m365_simulator.entra.tenants import read_tenant
from m365_simulator.tenant import Tenant

GRANTS: Mapping[str, Callable[[Tenant, str | None, Form], TokenResponse]] = {
    "authorization_code": redeem_code,
    "refresh_token": refresh,
    ON_BEHALF_OF: exchange,
    CLIENT_CREDENTIALS: grant_to_application,
}


async def token(request: Request) -> Response:
    """Respond to `POST /{tenant}/oauth2/v2.0/token`."""
    tenant: Tenant = request.app.state.tenant
    trace = new_trace(tenant.clock.today(), request.headers)
    try:
        answer = _grant(tenant, request, await read_form(request))
    except EntraError as problem:
        return error_response(problem, trace, problem.answer(tenant.switches.aadsts_overrides), tenant.authority)
    return JSONResponse(answer, headers=token_headers(trace))


def _grant(tenant: Tenant, request: Request, form: Form) -> TokenResponse:
    if request.method != "POST":
        raise EntraError(900561, "The endpoint only accepts POST requests. Received a GET request.")
    grant_type = form.get("grant_type")
    if not grant_type:
        raise EntraError(900144, "The request body must contain the following parameter: 'grant_type'.")
    if grant_type not in GRANTS:
        raise EntraError(70003, f"The app requested an unsupported grant type '{grant_type}'.")
    tenant_id = _tenant_asked(tenant, grant_type, request.path_params["tenant"])
    if "origin" in request.headers:
        # Page "OAuth 2.0 authorization code flow": no Origin header together with a confidential client's credentials.
        raise EntraError(
            9002326, "Cross-origin token redemption is permitted only for the 'Single-Page Application' client-type."
        )
    authenticate_client(tenant, tenant_id, form, request.headers.get("authorization"))
    if "resource" in form and "scope" in form and tenant.switches.resource_with_scope_refused:
        raise EntraError(
            9010010, "The resource parameter provided in the request doesn't match with the requested scopes."
        )
    return GRANTS[grant_type](tenant, tenant_id, form)


def _tenant_asked(tenant: Tenant, grant_type: str, segment: str) -> str | None:
    if grant_type == CLIENT_CREDENTIALS and segment in ("common", "organizations", "consumers"):
        raise EntraError(
            50059,
            "No tenant-identifying information found in either the request or implied by any provided credentials.",
        )
    if grant_type == ON_BEHALF_OF and segment in ("common", "consumers"):
        raise EntraError(
            9001023,
            "The grant type is not supported over the /common or /consumers endpoints. "
            "Please use the /organizations or tenant-specific endpoint.",
        )
    tenant_id = read_tenant(tenant, segment)
    if grant_type == ON_BEHALF_OF and tenant_id is None:
        # Stricter than the sentence above, which nobody has confirmed for this grant: an assertion comes from one
        # tenant, and a client that asks elsewhere has forgotten whose token it holds.
        raise EntraError(
            9001023,
            "The grant type is not supported over the /organizations endpoint. "
            "Please use the tenant-specific endpoint.",
        )
    return tenant_id
