"""The refresh token grant (RFC 6749 section 6, page "Refresh tokens in the Microsoft identity platform")."""

from dataclasses import replace

from m365_simulator.entra.forms import Form
from m365_simulator.entra.grant import (
    TokenRequest,
    TokenResponse,
    check_may_reach,
    check_one_resource,
    check_sign_in,
    token_response,
)
from m365_simulator.entra.problems import EntraError
from m365_simulator.entra.scopes import Scopes, read_scopes
from m365_simulator.entra.tenants import check_account
from m365_simulator.sign_ins import REFRESH_SECONDS, RefreshToken
from m365_simulator.tenant import Tenant


def refresh(tenant: Tenant, tenant_id: str | None, form: Form) -> TokenResponse:
    """Exchange a refresh token for new tokens; a new refresh token comes each time, the old one stays valid."""
    if "refresh_token" not in form:
        raise EntraError(900144, "The request body must contain the following parameter: 'refresh_token'.")
    token = _find_token(tenant, form["refresh_token"])
    sign_in = check_sign_in(tenant, token.sign_in)
    # A refresh token is tied to no tenant (page "Refresh tokens"), but its person must have an account in this one.
    check_account(tenant, tenant_id, tenant.people[sign_in.person])
    scopes = _scopes(tenant, token, form.get("scope", ""))
    check_may_reach(tenant, sign_in, scopes)
    tenant.sign_ins.use_refresh_token(token)
    return token_response(tenant, sign_in, TokenRequest(scopes, client_info=form.get("client_info") == "1"))


def _find_token(tenant: Tenant, value: str) -> RefreshToken:
    token = tenant.sign_ins.refresh_tokens.get(value)
    if token is None or (token.used and tenant.switches.strict_refresh_rotation):
        raise EntraError(70000, "Provided grant is invalid or malformed.")
    age = tenant.clock.now() - token.issued_at
    if age > REFRESH_SECONDS:
        raise EntraError(
            700082,
            "The refresh token has expired due to inactivity. The token was issued on "
            f"{token.issued_at:.0f} and was inactive for 90.00:00:00.",
        )
    return token


def _scopes(tenant: Tenant, token: RefreshToken, text: str) -> Scopes:
    """Read what is asked for; without a resource it is what the first token was for. OpenID scopes are kept."""
    first = read_scopes(token.scope, tenant.app)
    asked = read_scopes(text, tenant.app)
    if not asked.resources:
        asked = first
    if asked.resources > 1 and tenant.switches.refresh_several_resources == "first":
        leading = read_scopes(_first_resource_scope(text, tenant), tenant.app)
        asked = replace(asked, api=asked.api if leading.api else (), graph=asked.graph if leading.graph else ())
    check_one_resource(asked)
    return replace(asked, oidc=tuple(dict.fromkeys((*asked.oidc, *first.oidc))))


def _first_resource_scope(text: str, tenant: Tenant) -> str:
    return next(word for word in text.split() if read_scopes(word, tenant.app).resources)
