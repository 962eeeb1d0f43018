"""A server without a client secret: the cluster's federated token, or a certificate, proves who it is."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

from tests.e2e.person import Assistant, PersonAtBrowser, text_of
from tests.e2e.programs import Server, Simulator, make_server

pytestmark = pytest.mark.full

ISSUER = "https://cluster.example.com/"
SUBJECT = "system:serviceaccount:mcp:mcp-server"
AUDIENCE = "api://AzureADTokenExchange"
MAIL = {"to": ["grace@contoso.example"], "subject": "Hello", "body": "Hi"}
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def projected_token(key: Any = KEY, **changes: Any) -> str:
    """Return a service account token as Kubernetes projects it."""
    now = int(time.time())
    claims = {"iss": ISSUER, "sub": SUBJECT, "aud": [AUDIENCE], "iat": now, "nbf": now, "exp": now + 3600, **changes}
    return jwt.encode(claims, key, "RS256", {"kid": "cluster"})


def trust_cluster(simulator: Simulator) -> None:
    credential = {"issuer": ISSUER, "subject": SUBJECT, "public_key": PUBLIC}
    simulator.control("PATCH", "app", federated_credentials=[credential], secrets=[])


def server_without_secret(folder: Path, simulator: Simulator, **settings: str) -> Server:
    server = make_server(folder, simulator, REDIS_URL="memory://", JWT_SIGNING_KEY="k" * 32, **settings)
    del server.program.environment["AZURE_CLIENT_SECRET"]
    return server


def assistant_for(server: Server, simulator: Simulator) -> Assistant:
    return Assistant(server.url, PersonAtBrowser(simulator.ready["ca_file"]))


async def test_workload_identity_needs_no_secret_and_follows_the_token_file(
    simulator: Simulator, tmp_path: Path
) -> None:
    """Sign-in, refresh and exchange are signed with the projected token; a renewed file is used at once."""
    trust_cluster(simulator)
    simulator.control("PATCH", "app", expires_in=200)  # under the early refresh, so that every call refreshes
    token_file = tmp_path / "token"
    token_file.write_text(projected_token())
    server = server_without_secret(tmp_path, simulator, AZURE_FEDERATED_TOKEN_FILE=str(token_file))
    server.start()
    ada = assistant_for(server, simulator)

    first = await ada.call("send_mail", MAIL)
    other_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    other_public = other_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    renewed = {"issuer": ISSUER, "subject": SUBJECT, "public_key": other_public}
    simulator.control("PATCH", "app", federated_credentials=[renewed])
    token_file.write_text(projected_token(other_key))
    simulator.control("DELETE", "requests")
    second = await ada.call("send_mail", {**MAIL, "subject": "Hello again"})
    server.program.end()

    assert not first.is_error, text_of(first)
    assert not second.is_error, text_of(second)
    assert len(simulator.outbox) == 2
    assert ada.sign_ins == 1
    assert simulator.count(grant_type="refresh_token", status=200) >= 1


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({"iss": "https://another.example.com/"}, "AADSTS700211"),
        ({"sub": "system:serviceaccount:other:default"}, "AADSTS700213"),
        ({"aud": ["api://something-else"]}, "AADSTS700212"),
        ({"exp": 1_700_000_000}, "AADSTS700024"),
        ({"key": rsa.generate_private_key(public_exponent=65537, key_size=2048)}, "AADSTS700027"),
    ],
    ids=["issuer", "subject", "audience", "expired", "signature"],
)
@pytest.mark.sample(2)
async def test_wrong_federated_token_is_explained(
    simulator: Simulator, tmp_path: Path, changes: dict[str, Any], number: str
) -> None:
    """The page after the sign-in names what to compare, with Microsoft's number."""
    trust_cluster(simulator)
    token_file = tmp_path / "token"
    token_file.write_text(projected_token(**changes))
    server = server_without_secret(tmp_path, simulator, AZURE_FEDERATED_TOKEN_FILE=str(token_file))
    server.start()
    ada = assistant_for(server, simulator)

    with pytest.raises(RuntimeError, match="client_assertion_rejected"):
        await ada.call("get_my_profile")

    server.program.end()
    assert number in ada.person.pages[-1].text


async def test_missing_token_file_is_explained(simulator: Simulator, tmp_path: Path) -> None:
    """A pod without the projected token says which label and variable to look at."""
    trust_cluster(simulator)
    server = server_without_secret(tmp_path, simulator, AZURE_FEDERATED_TOKEN_FILE=str(tmp_path / "missing"))
    server.start()
    ada = assistant_for(server, simulator)

    with pytest.raises(RuntimeError, match="AZURE_FEDERATED_TOKEN_FILE"):
        await ada.call("get_my_profile")

    server.program.end()


def self_signed() -> tuple[str, str]:
    """Return a certificate, and the certificate together with its key, as PEM."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "m365-mcp")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(KEY.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    certificate = builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.PEM).decode()
    key = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return certificate, certificate + key


async def test_certificate_instead_of_a_secret(simulator: Simulator, tmp_path: Path) -> None:
    """With the certificate uploaded the whole job works; without it the page says what is missing."""
    certificate, both = self_signed()
    pem = tmp_path / "app.pem"
    pem.write_text(both)
    simulator.control("PATCH", "app", secrets=[])
    server = server_without_secret(tmp_path, simulator, AZURE_CLIENT_CERTIFICATE_PATH=str(pem))
    server.start()
    ada = assistant_for(server, simulator)
    with pytest.raises(RuntimeError, match="client_assertion_rejected"):
        await ada.call("get_my_profile")

    simulator.control("PATCH", "app", certificates=[certificate])
    result = await ada.call("send_mail", MAIL)

    server.program.end()
    assert not result.is_error, text_of(result)
    assert len(simulator.outbox) == 1
