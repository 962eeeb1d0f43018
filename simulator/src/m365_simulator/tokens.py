"""Makes the tokens (pages "Access token claims reference", "Access tokens") and reads them back.

`tid` and `iss` name the tenant of the person, wherever the app is registered.
"""

import base64
import hashlib
import json
import secrets
import uuid
from dataclasses import dataclass
from typing import Any

import jwt

from m365_simulator.people import Person
from m365_simulator.permissions import GRAPH, GRAPH_APP_ID, OIDC_SCOPES
from m365_simulator.sign_ins import SignIn
from m365_simulator.tenant import Tenant

Claims = dict[str, Any]


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A signed access token and its life in seconds."""

    value: str
    expires_in: int


def access_token_for_api(tenant: Tenant, sign_in: SignIn, names: tuple[str, ...], oidc: tuple[str, ...]) -> AccessToken:
    """Make a token for our API; its format is chosen by the manifest of the API, None counting as 1."""
    person = tenant.people[sign_in.person]
    version_2 = tenant.app.token_version == 2
    claims = _common_claims(tenant, sign_in, names, tenant.app.client_id)
    if version_2:
        claims |= {"aud": tenant.app.client_id, "iss": tenant.issuer(person.tenant_id), "ver": "2.0"}
        claims |= {"azp": tenant.app.client_id, "azpacr": "1"}
        if "profile" in oidc:
            claims |= {"name": person.display_name, "preferred_username": person.user_principal_name}
        if "email" in oidc and person.mail:
            claims["email"] = person.mail
    else:
        claims |= {"aud": tenant.app.app_id_uri} | _version_1_claims(tenant, sign_in, person)
    if person.roles:
        claims["roles"] = list(person.roles)
    return _sign_access_token(tenant, claims, x5t=not version_2)


def access_token_for_graph(tenant: Tenant, sign_in: SignIn, names: tuple[str, ...], cae: bool) -> AccessToken:
    """Make a token for Graph: always in v1.0 format, because the resource chooses the format."""
    claims = _common_claims(tenant, sign_in, names, GRAPH_APP_ID, cae=cae)
    claims |= {"aud": GRAPH} | _version_1_claims(tenant, sign_in, tenant.people[sign_in.person])
    if cae:
        claims["xms_cc"] = ["CP1"]
    return _sign_access_token(tenant, claims, x5t=True)


def access_token_for_application(tenant: Tenant, tenant_id: str, *, is_for_graph: bool) -> AccessToken:
    """Make a token of the application itself, without a person and without scopes (`idtyp` is `app`)."""
    now = int(tenant.clock.now())
    claims: Claims = {
        "aud": GRAPH if is_for_graph else tenant.app.client_id,
        "iss": f"https://sts.windows.net/{tenant_id}/",
        "iat": now,
        "nbf": now,
        "exp": now + 3600,
        "appid": tenant.app.client_id,
        "appidacr": "1",
        "idtyp": "app",
        "oid": tenant.app.client_id,
        "sub": tenant.app.client_id,
        "tid": tenant_id,
        "uti": uuid.uuid4().hex,
        "ver": "1.0",
    }
    return _sign_access_token(tenant, claims, x5t=True)


def id_token(tenant: Tenant, sign_in: SignIn, oidc: tuple[str, ...], nonce: str | None) -> str:
    """Make an ID token; it lives one hour and must never be taken for an access token."""
    person = tenant.people[sign_in.person]
    now = int(tenant.clock.now())
    claims: Claims = {
        "aud": tenant.app.client_id,
        "iss": tenant.issuer(person.tenant_id),
        "iat": now,
        "nbf": now,
        "exp": now + 3600,
        "oid": person.object_id,
        "sub": _pairwise(person, tenant.app.client_id),
        "tid": person.tenant_id,
        "uti": secrets.token_urlsafe(16),
        "rh": f"1.{secrets.token_urlsafe(24)}",
        "ver": "2.0",
    }
    if "auth_time" in tenant.app.optional_claims:
        claims["auth_time"] = int(sign_in.at)
    if "profile" in oidc:
        claims |= {"name": person.display_name, "preferred_username": person.user_principal_name}
    if "email" in oidc and person.mail:
        claims["email"] = person.mail
    if nonce:
        claims["nonce"] = nonce
    return sign(tenant, claims)


def sign(tenant: Tenant, claims: Claims, *, x5t: bool = False) -> str:
    """Sign claims with the current key: RS256, with `kid` (and `x5t` in v1.0 tokens) in the header."""
    key = tenant.keys.current
    headers = {"kid": key.kid} | ({"x5t": key.kid} if x5t else {})
    return jwt.encode(claims, key.private, algorithm="RS256", headers=headers)


def read_signed(tenant: Tenant, token: str) -> Claims:
    """Return the claims of a token signed by a published key; jwt.InvalidTokenError otherwise. Checks nothing else."""
    key = tenant.keys.find(str(jwt.get_unverified_header(token).get("kid")))
    if key is None:
        raise jwt.InvalidSignatureError("The key was not found.")
    unchecked = {
        "verify_aud": False,
        "verify_exp": False,
        "verify_nbf": False,
        "verify_iat": False,
        "verify_iss": False,
    }
    claims: Claims = jwt.decode(token, key.private.public_key(), algorithms=["RS256"], options=unchecked)  # type: ignore[arg-type]
    return claims


def client_info(person: Person) -> str:
    """Return the `client_info` that Microsoft's own libraries ask for."""
    text = json.dumps({"uid": person.object_id, "utid": person.tenant_id})
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _common_claims(
    tenant: Tenant, sign_in: SignIn, names: tuple[str, ...], resource: str, *, cae: bool = False
) -> Claims:
    person = tenant.people[sign_in.person]
    now = int(tenant.clock.now())
    return {
        "iat": now,
        "nbf": now,
        "exp": now + tenant.token_life(cae=cae),
        "aio": secrets.token_urlsafe(32),
        "oid": person.object_id,
        "rh": f"1.{secrets.token_urlsafe(24)}",
        "scp": " ".join(name for name in names if name not in OIDC_SCOPES),
        "sid": sign_in.id,
        "sub": _pairwise(person, resource),
        "tid": person.tenant_id,
        "uti": uuid.uuid4().hex,
    }


def _version_1_claims(tenant: Tenant, sign_in: SignIn, person: Person) -> Claims:
    return {
        "iss": f"https://sts.windows.net/{person.tenant_id}/",
        "ver": "1.0",
        "acr": "1",
        "amr": ["pwd", "mfa"] if sign_in.mfa else ["pwd"],
        "appid": tenant.app.client_id,
        "appidacr": "1",
        "family_name": person.surname,
        "given_name": person.given_name,
        "ipaddr": "127.0.0.1",
        "name": person.display_name,
        "unique_name": person.user_principal_name,
        "upn": person.user_principal_name,
    }


def _sign_access_token(tenant: Tenant, claims: Claims, *, x5t: bool) -> AccessToken:
    return AccessToken(sign(tenant, claims, x5t=x5t), claims["exp"] - claims["iat"])


def _pairwise(person: Person, resource: str) -> str:
    """Return a subject that differs from one application to the next."""
    digest = hashlib.sha256(f"{person.object_id} {resource}".encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
