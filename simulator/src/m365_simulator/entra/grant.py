"""What all three grants share: the checks on a person's sign-in, and the shape of a token response."""

import json
from dataclasses import dataclass, replace

from m365_simulator.entra.problems import EntraError
from m365_simulator.entra.scopes import DEFAULT, Scopes
from m365_simulator.permissions import GRAPH
from m365_simulator.sign_ins import SignIn
from m365_simulator.tenant import Tenant
from m365_simulator.tokens import AccessToken, access_token_for_api, access_token_for_graph, client_info, id_token

TokenResponse = dict[str, object]


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A request to the token endpoint for a person who is known."""

    scopes: Scopes
    nonce: str | None = None
    client_info: bool = False
    cae: bool = False
    id_token: bool = True


def check_sign_in(tenant: Tenant, sign_in_id: str) -> SignIn:
    """Return the sign-in behind a code or token; EntraError when it or the account no longer counts."""
    sign_in = tenant.sign_ins.sessions.get(sign_in_id)
    if sign_in is None or sign_in.revoked:
        raise EntraError(
            50173,
            "The provided grant has expired due to it being revoked, a fresh auth token is needed. "
            "The user might have changed or reset their password.",
        )
    person = tenant.people[sign_in.person]
    if not person.enabled:
        raise EntraError(50057, "The user account is disabled.")
    limit = person.sign_in_frequency_seconds
    if limit is not None and tenant.clock.now() - sign_in.at > limit:
        raise EntraError(
            70043, "The refresh token has expired or is invalid due to sign-in frequency checks by Conditional Access."
        )
    return sign_in


def check_one_resource(scopes: Scopes) -> None:
    """Raise EntraError when the scopes span several resources, which only the authorization endpoint takes."""
    if scopes.resources > 1:
        raise EntraError(
            28000,
            "Provided value for the input parameter scope is not valid because it contains more than one resource.",
        )


def check_may_reach(tenant: Tenant, sign_in: SignIn, scopes: Scopes) -> None:
    """Raise EntraError for a missing consent, or when conditional access wants MFA before Graph is reached."""
    person = tenant.people[sign_in.person]
    lacking = tenant.sign_ins.missing_consents(person, replace(scopes, oidc=()).in_full(tenant.app))
    if lacking or (scopes.graph == (DEFAULT,) and not _all_graph(tenant, sign_in)):
        raise consent_missing(tenant)
    if scopes.graph and person.must_do_mfa and not sign_in.mfa:
        raise EntraError(
            50076,
            "Due to a configuration change made by your administrator, or because you moved to a new location, "
            "you must use "
            f"multi-factor authentication to access '{GRAPH}'.",
            claims=json.dumps({"access_token": {"acrs": {"essential": True, "value": "c1"}}}, separators=(",", ":")),
        )


def consent_missing(tenant: Tenant) -> EntraError:
    """Return the error for scopes without consent."""
    return EntraError(
        65001,
        f"The user or administrator has not consented to use the application with ID '{tenant.app.client_id}' named "
        f"'{tenant.app.display_name}'. Send an interactive authorization request for this user and resource.",
    )


def token_response(tenant: Tenant, sign_in: SignIn, request: TokenRequest) -> TokenResponse:
    """Issue the tokens: an access token always, a refresh token with `offline_access`, an ID token with `openid`."""
    token, granted = _access_token(tenant, sign_in, request)
    body: TokenResponse = {
        "token_type": "Bearer",
        "scope": " ".join(granted),
        "expires_in": token.expires_in,
        "ext_expires_in": token.expires_in,
        "access_token": token.value,
    }
    if "offline_access" in request.scopes.oidc:
        scope = " ".join((*granted, *request.scopes.oidc))
        body["refresh_token"] = tenant.sign_ins.issue_refresh_token(sign_in.id, scope, tenant.clock.now()).value
    if request.id_token and "openid" in request.scopes.oidc:
        body["id_token"] = id_token(tenant, sign_in, request.scopes.oidc, request.nonce)
    if request.client_info:
        body["client_info"] = client_info(tenant.people[sign_in.person])
    return body


def _access_token(tenant: Tenant, sign_in: SignIn, request: TokenRequest) -> tuple[AccessToken, tuple[str, ...]]:
    if request.scopes.graph or not request.scopes.api:
        names = request.scopes.graph
        if names == (DEFAULT,):
            names = _all_graph(tenant, sign_in)
        return access_token_for_graph(tenant, sign_in, names, request.cae), tuple(f"{GRAPH}/{name}" for name in names)
    token = access_token_for_api(tenant, sign_in, (tenant.app.scope_name,), request.scopes.oidc)
    return token, (tenant.app.scope,)


def _all_graph(tenant: Tenant, sign_in: SignIn) -> tuple[str, ...]:
    prefix = f"{GRAPH}/"
    consented = tenant.sign_ins.consented(tenant.people[sign_in.person])
    return tuple(scope.removeprefix(prefix) for scope in consented if scope.startswith(prefix))
