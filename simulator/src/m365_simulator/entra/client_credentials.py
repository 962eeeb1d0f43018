"""The client credentials grant (RFC 6749 section 4.4): a token of the application itself, for one resource."""

from m365_simulator.entra.forms import Form
from m365_simulator.entra.grant import TokenResponse, check_one_resource
from m365_simulator.entra.problems import EntraError
from m365_simulator.entra.scopes import DEFAULT, read_scopes
from m365_simulator.tenant import Tenant
from m365_simulator.tokens import access_token_for_application

GRANT_TYPE = "client_credentials"


def grant_to_application(tenant: Tenant, tenant_id: str | None, form: Form) -> TokenResponse:
    """Issue a token without a person; EntraError for another scope than `<resource>/.default`."""
    if not form.get("scope"):
        raise EntraError(900144, "The request body must contain the following parameter: 'scope'.")
    scopes = read_scopes(form["scope"], tenant.app)
    check_one_resource(scopes)
    if scopes.oidc or (*scopes.api, *scopes.graph) != (DEFAULT,):
        raise EntraError(
            1002012,
            f"The provided value for scope {form['scope']} is not valid. Client credential flows must have a scope "
            "value with /.default suffixed to the resource identifier (application ID URI).",
        )
    token = access_token_for_application(tenant, tenant_id or tenant.tenant_id, is_for_graph=bool(scopes.graph))
    return {
        "token_type": "Bearer",
        "expires_in": token.expires_in,
        "ext_expires_in": token.expires_in,
        "access_token": token.value,
    }
