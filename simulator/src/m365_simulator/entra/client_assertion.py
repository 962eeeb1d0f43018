"""Client assertions (RFC 7523 section 2.2): signed with a registered certificate, or by a trusted outside issuer.

Sources: "Microsoft identity platform application authentication certificate credentials", "Workload identity
federation", and for the numbers "Microsoft Entra authentication and authorization error codes".
"""

import base64

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from m365_simulator.app_registration import FederatedCredential
from m365_simulator.entra.forms import Form
from m365_simulator.entra.problems import EntraError
from m365_simulator.entra.tenants import SHARED_ENDPOINTS
from m365_simulator.tenant import Tenant

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
SKEW_SECONDS = 300
Claims = dict[str, object]


def check_assertion(tenant: Tenant, tenant_id: str | None, form: Form) -> None:
    """Raise EntraError unless the request's assertion proves the registered application."""
    if form.get("client_assertion_type") != ASSERTION_TYPE:
        raise EntraError(900144, "The request body must contain the following parameter: 'client_assertion_type'.")
    assertion = form["client_assertion"]
    try:
        header = jwt.get_unverified_header(assertion)
        claims: Claims = jwt.decode(assertion, options={"verify_signature": False})
    except jwt.PyJWTError:
        raise EntraError(50027, "JWT token is invalid or malformed.") from None
    if claims.get("iss") == tenant.app.client_id:
        _check_certificate(tenant, assertion, header, claims)
        _check_realm(tenant, tenant_id, claims.get("aud"))
    else:
        _check_federated(tenant, assertion, claims)
    _check_times(tenant, claims)


def _check_certificate(tenant: Tenant, assertion: str, header: Claims, claims: Claims) -> None:
    certificate = next((pem for pem in tenant.app.certificates if _thumbprint(pem) == header.get("x5t#S256")), None)
    if certificate is None:
        raise EntraError(
            700027,
            "The certificate with identifier used to sign the client assertion is not registered on application.",
        )
    key = x509.load_pem_x509_certificate(certificate.encode()).public_key()
    _verify(assertion, key)
    if claims.get("sub") != tenant.app.client_id:
        raise EntraError(700021, "Client assertion application identifier doesn't match 'client_id' parameter.")


def _check_realm(tenant: Tenant, tenant_id: str | None, audience: object) -> None:
    """Compare the audience with the token endpoint that is asked, under the GUID of its tenant if it has one."""
    segments = SHARED_ENDPOINTS if tenant_id is None else (tenant_id,)
    if audience not in [f"{tenant.authority}/{segment}/oauth2/v2.0/token" for segment in segments]:
        raise EntraError(700023, "Client assertion audience claim does not match Realm issuer.")


def _check_federated(tenant: Tenant, assertion: str, claims: Claims) -> None:
    trusted = tenant.app.federated_credentials
    by_issuer = [credential for credential in trusted if credential.issuer == claims.get("iss")]
    if not by_issuer:
        raise EntraError(700211, "No matching federated identity record found for presented assertion issuer.")
    by_subject = [credential for credential in by_issuer if credential.subject == claims.get("sub")]
    if not by_subject:
        raise EntraError(700213, "No matching federated identity record found for presented assertion subject.")
    credential = _by_audience(by_subject, claims.get("aud"))
    _verify(assertion, credential.public_key)


def _by_audience(credentials: list[FederatedCredential], audience: object) -> FederatedCredential:
    presented = audience if isinstance(audience, list) else [audience]
    for credential in credentials:
        if credential.audience in presented:
            return credential
    raise EntraError(700212, "No matching federated identity record found for presented assertion audience.")


def _verify(assertion: str, key: object) -> None:
    """Check the signature only; the claims are looked at one by one, because each has an error of its own."""
    try:
        jwt.PyJWS().decode(assertion, key, ["PS256", "RS256"])  # type: ignore[arg-type]
    except jwt.PyJWTError:
        raise EntraError(700027, "Client assertion failed signature validation.") from None


def _check_times(tenant: Tenant, claims: Claims) -> None:
    now, expiry, begin = tenant.clock.now(), claims.get("exp"), claims.get("nbf", 0)
    if not isinstance(expiry, int | float) or not isinstance(begin, int | float):
        raise EntraError(50027, "JWT token is invalid or malformed.")
    if now > expiry + SKEW_SECONDS or now < begin - SKEW_SECONDS:
        raise EntraError(700024, "Client assertion is not within its valid time range.")


def _thumbprint(pem: str) -> str:
    digest = x509.load_pem_x509_certificate(pem.encode()).fingerprint(hashes.SHA256())
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
