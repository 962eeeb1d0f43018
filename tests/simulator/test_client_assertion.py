"""Client assertions: a registered certificate or a trusted issuer is accepted, and every wrong claim has its number."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from m365_simulator import Simulator
from m365_simulator.app import CLIENT_ID
from m365_simulator.app_registration import FederatedCredential
from m365_simulator.organizations import CONTOSO, FABRIKAM
from m365_simulator.tenant import Tenant

from .client import TOKEN_PATH, Client
from .conftest import START

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ISSUER, SUBJECT = "https://cluster.example.com/", "system:serviceaccount:mcp:server"


def times() -> dict[str, float]:
    return {"nbf": START - 10, "exp": START + 600}


def certificate_for(key: RSAPrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "app")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    return (
        builder.serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )


def register(tenant: Tenant, key: RSAPrivateKey, *, multi_tenant: bool = False) -> str:
    """Let a certificate be the app's only credential, and return its thumbprint."""
    certificate = certificate_for(key)
    pem = certificate.public_bytes(Encoding.PEM).decode()
    tenant.app = replace(tenant.app, secrets=(), certificates=(pem,), multi_tenant=multi_tenant)
    return base64.urlsafe_b64encode(certificate.fingerprint(hashes.SHA256())).decode().rstrip("=")


async def ask(client: Client, assertion: str, *, path: str = TOKEN_PATH, **changes: str) -> int:
    """Return the AADSTS number of the answer; 70000 says that the assertion itself was accepted."""
    form = {
        "grant_type": "refresh_token",
        "refresh_token": "no-such-token",
        "client_id": CLIENT_ID,
        "client_assertion_type": TYPE,
        "client_assertion": assertion,
        **changes,
    }
    reply = await client.microsoft.post(path, data=form)
    [code] = reply.json()["error_codes"]
    return int(code)


ACCEPTED = 70000


@pytest.fixture
def federated(simulator: Simulator, rsa_keys: list[RSAPrivateKey]) -> RSAPrivateKey:
    """Trust a cluster and return the key it signs with."""
    public = rsa_keys[0].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    trusted = (FederatedCredential(ISSUER, SUBJECT, public),)
    tenant = simulator.tenant
    tenant.app = type(tenant.app)(tenant.app.client_id, (), tenant.app.redirect_uris, federated_credentials=trusted)
    return rsa_keys[0]


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({}, ACCEPTED),
        ({"aud": "api://AzureADTokenExchange"}, ACCEPTED),
        ({"iss": "https://other.example.com/"}, 700211),
        ({"sub": "system:serviceaccount:mcp:other"}, 700213),
        ({"aud": ["api://other"]}, 700212),
        ({"exp": START - 301}, 700024),
        ({"nbf": START + 301}, 700024),
        ({"exp": "soon"}, 50027),
    ],
)
async def test_federated_token_is_checked_claim_by_claim(
    client: Client, federated: RSAPrivateKey, changes: dict[str, Any], number: int
) -> None:
    """Issuer, subject, audience and times are compared with the federated credential."""
    claims = {"iss": ISSUER, "sub": SUBJECT, "aud": ["api://AzureADTokenExchange"], **times(), **changes}
    # Signed as bytes, because a library that makes tokens would refuse to make some of these.
    token = jwt.PyJWS().encode(json.dumps(claims).encode(), federated, "RS256")

    assert await ask(client, token) == number


async def test_signature_of_a_stranger_is_refused(
    client: Client, federated: RSAPrivateKey, rsa_keys: list[RSAPrivateKey]
) -> None:
    """Right claims under a wrong key prove nothing."""
    claims = {"iss": ISSUER, "sub": SUBJECT, "aud": "api://AzureADTokenExchange", **times()}

    assert await ask(client, jwt.encode(claims, rsa_keys[1], "RS256")) == 700027


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({}, ACCEPTED),
        ({"sub": "other"}, 700021),
        ({"aud": "https://other.example.com"}, 700023),
        ({"exp": START - 400}, 700024),
    ],
)
async def test_certificate_assertion_is_checked(
    client: Client, simulator: Simulator, rsa_keys: list[RSAPrivateKey], changes: dict[str, Any], number: int
) -> None:
    """Thumbprint, signature, subject, audience and times are compared with the registration."""
    thumbprint = register(simulator.tenant, rsa_keys[0])
    audience = f"{simulator.tenant.authority}{TOKEN_PATH}"
    claims = {"iss": CLIENT_ID, "sub": CLIENT_ID, "aud": audience, **times(), **changes}

    assert await ask(client, jwt.encode(claims, rsa_keys[0], "PS256", {"x5t#S256": thumbprint})) == number
    assert await ask(client, jwt.encode(claims, rsa_keys[0], "PS256", {"x5t#S256": "other"})) == 700027
    assert await ask(client, jwt.encode(claims, rsa_keys[1], "PS256", {"x5t#S256": thumbprint})) == 700027


@pytest.mark.parametrize(
    ("asked", "audience", "number"),
    [
        ("organizations", "organizations", ACCEPTED),
        ("common", "organizations", ACCEPTED),
        ("organizations", CONTOSO.id, 700023),
        (FABRIKAM.id, FABRIKAM.id, ACCEPTED),
        (FABRIKAM.domain, FABRIKAM.id, ACCEPTED),
        (FABRIKAM.id, CONTOSO.id, 700023),
    ],
)
async def test_certificate_assertion_is_for_the_tenant_that_is_asked(
    client: Client, simulator: Simulator, rsa_keys: list[RSAPrivateKey], asked: str, audience: str, number: int
) -> None:
    """A multi-tenant app writes the token endpoint it asks into the audience, not always its home's."""
    tenant = simulator.tenant
    thumbprint = register(tenant, rsa_keys[0], multi_tenant=True)
    endpoint = f"{tenant.authority}/{audience}/oauth2/v2.0/token"
    claims = {"iss": CLIENT_ID, "sub": CLIENT_ID, "aud": endpoint, **times()}
    assertion = jwt.encode(claims, rsa_keys[0], "PS256", {"x5t#S256": thumbprint})

    assert await ask(client, assertion, path=f"/{asked}/oauth2/v2.0/token") == number


async def test_type_of_the_assertion_must_be_named(client: Client, federated: RSAPrivateKey) -> None:
    """Without `client_assertion_type` nothing is looked at; garbage is malformed."""
    assert await ask(client, "x", client_assertion_type="other") == 900144
    assert await ask(client, "x") == 50027
