"""The authorization code grant (RFC 6749 section 4.1.3, PKCE by RFC 7636)."""

import base64
import hashlib
import hmac

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
from m365_simulator.sign_ins import CODE_SECONDS, Code
from m365_simulator.tenant import Tenant


def redeem_code(tenant: Tenant, tenant_id: str | None, form: Form) -> TokenResponse:
    """Exchange a code for tokens; EntraError when the code or what comes with it is wrong."""
    for name in ("code", "redirect_uri"):
        if name not in form:
            raise EntraError(900144, f"The request body must contain the following parameter: '{name}'.")
    code = _find_code(tenant, form["code"])
    _check_tenant(tenant, tenant_id, code)
    if form["redirect_uri"] != code.request.redirect_uri:
        raise EntraError(
            500112,
            f"The reply address '{form['redirect_uri']}' does not match the reply address "
            f"'{code.request.redirect_uri}' provided when requesting Authorization code.",
        )
    _check_verifier(code, form.get("code_verifier"))
    scopes = _scopes(tenant, code, form.get("scope", ""))
    tenant.sign_ins.redeem(code)
    sign_in = check_sign_in(tenant, code.sign_in)
    check_may_reach(tenant, sign_in, scopes)
    token_request = TokenRequest(scopes, nonce=code.request.nonce, client_info=form.get("client_info") == "1")
    return token_response(tenant, sign_in, token_request)


def _find_code(tenant: Tenant, value: str) -> Code:
    code = tenant.sign_ins.codes.get(value)
    if code is None:
        raise EntraError(70000, "The provided value for the 'code' parameter is not valid.")
    if code.redeemed:
        raise EntraError(54005, "OAuth2 Authorization code was already redeemed, please retry with a new valid code.")
    if tenant.clock.now() - code.issued_at > CODE_SECONDS:
        raise EntraError(70008, "The provided authorization code or refresh token has expired due to inactivity.")
    return code


def _check_tenant(tenant: Tenant, tenant_id: str | None, code: Code) -> None:
    """Compare the endpoint with the one that issued the code; one of a shared endpoint also goes to the person's."""
    issued_at = code.request.tenant_id
    own = tenant.people[tenant.sign_ins.sessions[code.sign_in].person].tenant_id
    if tenant_id != issued_at and not (issued_at is None and tenant_id == own):
        raise EntraError(
            700005,
            "Provided Authorization Code is intended to use against other tenant, thus rejected. OAuth2 Authorization "
            "Code must be redeemed against same tenant it was acquired for (/common or /{tenant-ID} as appropriate).",
        )


def _check_verifier(code: Code, verifier: str | None) -> None:
    """Compare the code verifier with the challenge (RFC 7636 section 4.6)."""
    challenge = code.request.code_challenge
    if challenge is None:
        if verifier is not None:
            raise EntraError(501481, "The Code_Verifier was sent, but the authorization request had no code_challenge.")
        return
    if verifier is None:
        raise EntraError(
            501481, "The Code_Verifier does not match the code_challenge supplied in the authorization request."
        )
    if code.request.code_challenge_method == "S256":
        digest = hashlib.sha256(verifier.encode()).digest()
        verifier = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    if not hmac.compare_digest(verifier.encode(), challenge.encode()):
        raise EntraError(
            501481, "The Code_Verifier does not match the code_challenge supplied in the authorization request."
        )


def _scopes(tenant: Tenant, code: Code, text: str) -> Scopes:
    """Read the scope to redeem for; what is not named is not granted, but the sign-in's OpenID scopes stay."""
    asked = read_scopes(text, tenant.app)
    if not asked.resources:
        raise EntraError(
            28003, "Provided value for the input parameter scope can't be empty when requesting an access token."
        )
    check_one_resource(asked)
    first_leg = read_scopes(code.request.scope, tenant.app)
    return Scopes(tuple(dict.fromkeys((*asked.oidc, *first_leg.oidc))), asked.api, asked.graph)
