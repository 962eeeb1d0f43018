"""Reads the bearer token of a Graph request (pages "Resolve authorization errors", "Claims challenges")."""

import base64
import json
from dataclasses import dataclass

import jwt
from starlette.requests import Request

from m365_simulator.graph.problems import GraphError
from m365_simulator.people import Person
from m365_simulator.permissions import GRAPH, GRAPH_APP_ID
from m365_simulator.tenant import Tenant
from m365_simulator.tokens import Claims, read_signed


@dataclass(frozen=True, slots=True)
class Caller:
    """The person for whom the application calls, and the scopes it was given."""

    person: Person
    scopes: tuple[str, ...]

    def has_any(self, *scopes: str) -> bool:
        """Return whether the token carries one of these scopes."""
        return not set(scopes).isdisjoint(self.scopes)


def read_caller(tenant: Tenant, request: Request) -> Caller:
    """Return the caller; raises GraphError 401 for a token that is missing, malformed, foreign, expired or revoked."""
    claims = _read_token(tenant, request)
    person = tenant.find_person(str(claims["oid"]))
    if person is None:
        raise _unauthorized(tenant, "The user of the access token was not found.")
    _check_session(tenant, claims, person)
    return Caller(person, tuple(str(claims.get("scp", "")).split()))


def read_application(tenant: Tenant, request: Request) -> None:
    """Return when the application itself calls; raises GraphError 401 for its token, 403 for one of a person."""
    if _read_token(tenant, request).get("idtyp") != "app":
        raise GraphError(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")


def _read_token(tenant: Tenant, request: Request) -> Claims:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.casefold() != "bearer" or not token:
        raise _unauthorized(tenant, "Access token is empty.")
    claims = _claims(tenant, token)
    if claims.get("aud") not in (GRAPH, f"{GRAPH}/", GRAPH_APP_ID):
        raise _unauthorized(tenant, "Access token validation failure. Invalid audience.")
    now = tenant.clock.now()
    if now >= float(claims["exp"]) or now < float(claims["nbf"]) - 1:
        raise _unauthorized(tenant, "Lifetime validation failed, the token is expired.")
    return claims


def _claims(tenant: Tenant, token: str) -> Claims:
    if "." not in token:
        raise _unauthorized(tenant, "IDX14100: JWT is not well formed, there are no dots (.).")
    try:
        return read_signed(tenant, token)
    except jwt.InvalidTokenError:
        raise _unauthorized(tenant, "CompactToken validation failed with reason code: 80049228.") from None


def _check_session(tenant: Tenant, claims: Claims, person: Person) -> None:
    """Continuous access evaluation: a revoked session or disabled account is challenged before its token expires."""
    session = tenant.sign_ins.sessions.get(str(claims.get("sid")))
    if session is not None and not session.revoked and person.enabled:
        return
    if tenant.switches.cae_needs_client_capability and not claims.get("xms_cc"):
        return
    challenge = {"access_token": {"nbf": {"essential": True, "value": str(int(tenant.clock.now()))}}}
    encoded = base64.b64encode(json.dumps(challenge, separators=(",", ":")).encode()).decode()
    raise _unauthorized(
        tenant,
        "Continuous access evaluation resulted in challenge with result: InteractionRequired and code: "
        "TokenCreatedWithOutdatedPolicies",
        f', error="insufficient_claims", claims="{encoded}"',
    )


def _unauthorized(tenant: Tenant, message: str, more: str = "") -> GraphError:
    challenge = f'Bearer realm="", authorization_uri="{tenant.authority}/common/oauth2/authorize"{more}'
    return GraphError(401, "InvalidAuthenticationToken", message, {"WWW-Authenticate": challenge})
