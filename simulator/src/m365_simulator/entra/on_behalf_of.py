"""The On-Behalf-Of grant (RFC 7523, page "OAuth 2.0 On-Behalf-Of flow"): our API's access token for one for Graph."""

import json
from datetime import UTC, datetime

import jwt

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
from m365_simulator.entra.scopes import read_scopes
from m365_simulator.tenant import Tenant
from m365_simulator.tokens import Claims, read_signed

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def exchange(tenant: Tenant, tenant_id: str | None, form: Form) -> TokenResponse:
    """Exchange an assertion for tokens of the resource in `scope`; EntraError when either is wrong."""
    for name in ("assertion", "requested_token_use", "scope"):
        if not form.get(name):
            raise EntraError(900144, f"The request body must contain the following parameter: '{name}'.")
    if form["requested_token_use"] != "on_behalf_of":  # noqa: S105 - a parameter of the protocol
        raise EntraError(90023, "Invalid STS request. requested_token_use must be 'on_behalf_of'.")
    claims = _read_assertion(tenant, form["assertion"])
    _check_kind(tenant, claims)
    _check_audience(tenant, claims)
    _check_time(tenant, claims)
    _check_tenant(tenant_id, claims)
    scopes = read_scopes(form["scope"], tenant.app)
    check_one_resource(scopes)
    if not scopes.resources:
        raise EntraError(
            28003, "Provided value for the input parameter scope can't be empty when requesting an access token."
        )
    sign_in = check_sign_in(tenant, str(claims.get("sid")))
    check_may_reach(tenant, sign_in, scopes)
    token_request = TokenRequest(
        scopes, client_info=form.get("client_info") == "1", cae=declares_cae(form.get("claims"))
    )
    return token_response(tenant, sign_in, token_request)


def declares_cae(claims: str | None) -> bool:
    """Return whether the parameter `claims` declares that the client handles claims challenges (`xms_cc`: `cp1`)."""
    if not claims:
        return False
    try:
        values = json.loads(claims).get("access_token", {}).get("xms_cc", {}).get("values", [])
        return any(str(value).casefold() == "cp1" for value in values)
    except (ValueError, AttributeError, TypeError):
        raise EntraError(9002313, "Invalid request. The claims parameter is not valid JSON.") from None


def _read_assertion(tenant: Tenant, assertion: str) -> Claims:
    try:
        jwt.get_unverified_header(assertion)
    except jwt.InvalidTokenError:
        raise EntraError(50027, "JWT token is invalid or malformed.") from None
    try:
        return read_signed(tenant, assertion)
    except jwt.InvalidTokenError:
        raise EntraError(
            50013,
            "Assertion failed signature validation. [Reason - The key was not found or does not fit the signature.]",
        ) from None


def _check_kind(tenant: Tenant, claims: Claims) -> None:
    """Only an access token that a person stands behind may be exchanged."""
    if "azp" not in claims and "appid" not in claims:
        raise EntraError(
            240002, "Input id_token cannot be used as 'urn:ietf:params:oauth:grant-type:jwt-bearer' grant."
        )
    if claims.get("idtyp") == "app" or not claims.get("scp"):
        raise EntraError(
            7000114, f"Application '{tenant.app.client_id}' is not allowed to make application on-behalf-of calls."
        )


def _check_audience(tenant: Tenant, claims: Claims) -> None:
    if claims.get("aud") not in (tenant.app.client_id, tenant.app.app_id_uri):
        raise EntraError(
            500131,
            "Assertion audience does not match the Client app presenting the assertion. The audience in the "
            "assertion was "
            f"'{claims.get('aud')}' and the expected audience is '{tenant.app.client_id}' or one of the "
            "Application Uris of this "
            f"application with App ID '{tenant.app.client_id}'({tenant.app.display_name}).",
        )


def _check_tenant(tenant_id: str | None, claims: Claims) -> None:
    if claims.get("tid") != tenant_id:
        raise EntraError(50013, "Assertion is invalid. The token issuer doesn't match the tenant of this endpoint.")


def _check_time(tenant: Tenant, claims: Claims) -> None:
    now = tenant.clock.now()
    if now >= float(claims.get("exp", 0)) or now < float(claims.get("nbf", 0)) - 1:
        expiry = datetime.fromtimestamp(float(claims.get("exp", 0)), UTC)
        raise EntraError(
            500133,
            "Assertion is not within its valid time range. Ensure that the access token is not expired before "
            "using it for user "
            f"assertion, or request a new token. Current time: {tenant.clock.today():%Y-%m-%dT%H:%M:%S}Z, expiry "
            "time of assertion "
            f"{expiry:%Y-%m-%dT%H:%M:%S}Z.",
        )
