"""Checks what a client sends to the authorization endpoint (page "OAuth 2.0 authorization code flow", RFC 7636).

Until the redirect URI is known to be the app's own, a mistake may only be shown to the person; after that it goes to
the client.
"""

import json
from collections.abc import Mapping

from starlette.datastructures import QueryParams

from m365_simulator.app_registration import LONGEST_REDIRECT_URI
from m365_simulator.entra.problems import EntraError
from m365_simulator.entra.scopes import read_scopes
from m365_simulator.entra.tenants import read_tenant
from m365_simulator.sign_ins import AuthorizationRequest
from m365_simulator.tenant import Tenant

RESPONSE_MODES = ("query", "fragment", "form_post")
PROMPTS = ("login", "none", "consent", "select_account")
SHORTEST_CHALLENGE, LONGEST_CHALLENGE = 43, 128
"""RFC 7636 section 4.1, in characters; an S256 challenge always has 43."""


def check_client(tenant: Tenant, segment: str, query: Mapping[str, str]) -> str | None:
    """Return the tenant that is asked; EntraError, to be shown as a page, unless app and redirect URI are known."""
    tenant_id = read_tenant(tenant, segment)
    for name in ("client_id", "redirect_uri"):
        if not query.get(name):
            raise EntraError(900144, f"The request body must contain the following parameter: '{name}'.")
    client_id, redirect_uri = query["client_id"], query["redirect_uri"]
    if client_id.casefold() != tenant.app.client_id:
        raise EntraError(
            700016,
            f"Application with identifier '{client_id}' was not found in the directory "
            f"'{tenant.directory.home.display_name}'.",
        )
    if not tenant.app.enabled:
        raise EntraError(7000112, f"Application '{tenant.app.client_id}'({tenant.app.display_name}) is disabled.")
    if len(redirect_uri) > LONGEST_REDIRECT_URI or not tenant.app.knows_redirect(redirect_uri):
        raise EntraError(
            50011,
            f"The redirect URI '{redirect_uri}' specified in the request does not match the redirect URIs "
            "configured for the "
            f"application '{tenant.app.client_id}'. Make sure the redirect URI sent in the request matches one "
            "added to your "
            "application in the Azure portal.",
        )
    return tenant_id


def read_request(tenant: Tenant, tenant_id: str | None, query: QueryParams) -> AuthorizationRequest:
    """Return the request; raises EntraError, to be sent to the redirect URI, for what is missing or wrong."""
    if len(query.multi_items()) != len(query):
        raise EntraError(9002313, "Invalid request. Request is malformed or invalid: a parameter is repeated.")
    _check_choices(query)
    scopes = read_scopes(query["scope"], tenant.app)
    if "resource" in query and tenant.switches.resource_with_scope_refused:
        raise EntraError(
            9010010, "The resource parameter provided in the request doesn't match with the requested scopes."
        )
    if not scopes.resources and not scopes.oidc:
        raise EntraError(70011, "The provided value for the input parameter 'scope' is not valid.")
    _check_challenge(query)
    _check_claims(query.get("claims"))
    return AuthorizationRequest(
        client_id=tenant.app.client_id,
        redirect_uri=query["redirect_uri"],
        scope=query["scope"],
        state=query.get("state"),
        response_mode=query.get("response_mode", "query"),
        prompt=query.get("prompt"),
        login_hint=query.get("login_hint"),
        code_challenge=query.get("code_challenge"),
        code_challenge_method=query.get("code_challenge_method", "plain"),
        nonce=query.get("nonce"),
        claims=query.get("claims"),
        tenant_id=tenant_id,
    )


def wants_mfa(request: AuthorizationRequest) -> bool:
    """Return whether the `claims` parameter carries a step-up challenge (an `acrs` for the access token)."""
    return bool(request.claims) and "acrs" in json.loads(str(request.claims)).get("access_token", {})


def _check_choices(query: QueryParams) -> None:
    for name in ("response_type", "scope"):
        if not query.get(name):
            raise EntraError(900144, f"The request body must contain the following parameter: '{name}'.")
    if query["response_type"] != "code":
        raise EntraError(70005, f"response_type '{query['response_type']}' is not enabled for the application.")
    if query.get("response_mode", "query") not in RESPONSE_MODES:
        raise EntraError(90023, "Invalid STS request. The response_mode is not supported.")
    prompt = query.get("prompt")
    if prompt is not None and prompt not in PROMPTS:
        raise EntraError(90023, f"Invalid STS request. Unsupported 'prompt' value '{prompt}'.")
    if prompt == "select_account" and "login_hint" in query:
        # Page "OpenID Connect on the Microsoft identity platform": the two cannot be combined.
        raise EntraError(90023, "Invalid STS request. login_hint and prompt=select_account cannot be used together.")


def _check_challenge(query: QueryParams) -> None:
    challenge, method = query.get("code_challenge"), query.get("code_challenge_method", "plain")
    if method not in ("S256", "plain"):
        raise EntraError(90023, "Invalid STS request. The code_challenge_method is not supported.")
    if challenge is None:
        if "code_challenge_method" in query:
            raise EntraError(50147, "Missing Code_Challenge parameter.")
        return
    fits = SHORTEST_CHALLENGE <= len(challenge) <= LONGEST_CHALLENGE
    if not fits or (method == "S256" and len(challenge) != SHORTEST_CHALLENGE):
        raise EntraError(501491, "Invalid size of Code_Challenge parameter.")


def _check_claims(claims: str | None) -> None:
    if claims is None:
        return
    try:
        fits = isinstance(json.loads(claims), dict) and isinstance(json.loads(claims).get("access_token", {}), dict)
    except ValueError:
        fits = False
    if not fits:
        raise EntraError(9002313, "Invalid request. The claims parameter is not valid JSON.")
