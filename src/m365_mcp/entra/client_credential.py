"""The client credential of this server at Entra ID: a secret, a certificate, or a federated token of the cluster.

Sources: "Microsoft identity platform application authentication certificate credentials", "Microsoft Entra Workload
ID", RFC 7523 section 2.2. Each kind adds form fields to a token request.
"""

from __future__ import annotations

import base64
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from m365_mcp.errors import AppRegistrationMistake, SettingsMistake
from m365_mcp.settings import Settings

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_SECONDS = 600  # Entra recommends 5 to 10 minutes


class ClientCredential(Protocol):
    """A credential that authenticates the application at Entra."""

    def fields(self, token_url: str) -> dict[str, str]:
        """Return the form fields that authenticate a request to `token_url`. Raises AppRegistrationMistake."""


@dataclass(frozen=True)
class ClientSecret:
    """A client secret of the app registration."""

    value: str = field(repr=False)

    def fields(self, token_url: str) -> dict[str, str]:
        """Return the secret as a form field, which Entra always accepts."""
        return {"client_secret": self.value}


@dataclass(frozen=True)
class FederatedToken:
    """The token that Kubernetes projects into the pod. It changes about every hour, so each request reads it."""

    path: Path

    def fields(self, token_url: str) -> dict[str, str]:
        """Return the projected token as a client assertion."""
        try:
            token = self.path.read_text().strip()
        except OSError as error:
            raise AppRegistrationMistake(
                "The federated token of this pod cannot be read.",
                advice="Check AZURE_FEDERATED_TOKEN_FILE, the pod label azure.workload.identity/use and the webhook.",
            ) from error
        return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": token}


@dataclass(frozen=True)
class Certificate:
    """A certificate of the app registration, and its private key.

    Attributes:
        client_id: the application; issuer and subject of the assertions.
        key: the private key that signs the assertions.
        thumbprint: base64url of the certificate's SHA-256, for the header `x5t#S256`.
    """

    client_id: str
    key: RSAPrivateKey = field(repr=False)
    thumbprint: str

    def fields(self, token_url: str) -> dict[str, str]:
        """Return a new client assertion, signed with PS256."""
        now = int(time.time())
        claims = {
            "aud": token_url,
            "iss": self.client_id,
            "sub": self.client_id,
            "jti": str(uuid.uuid4()),
            "nbf": now,
            "exp": now + ASSERTION_SECONDS,
        }
        assertion = jwt.encode(claims, self.key, "PS256", {"x5t#S256": self.thumbprint})
        return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}


def choose_credential(settings: Settings) -> ClientCredential:
    """Return the server's client credential. A secret or certificate of the operator precedes a webhook's token.

    Raises:
        SettingsMistake: the certificate is not usable.
    """
    if settings.azure_client_secret is not None:
        return ClientSecret(settings.azure_client_secret.get_secret_value())
    if settings.azure_client_certificate_path is not None:
        try:
            return load_certificate(settings.azure_client_id, settings.azure_client_certificate_path)
        except ValueError as error:
            raise SettingsMistake((("AZURE_CLIENT_CERTIFICATE_PATH", str(error)),)) from error
    if settings.azure_federated_token_file is None:
        raise AssertionError("the settings require a client credential")
    return FederatedToken(settings.azure_federated_token_file)


def load_certificate(client_id: str, path: Path) -> Certificate:
    """Return the certificate from a PEM file that also holds its unencrypted RSA key.

    Raises:
        ValueError: the file cannot be read, or lacks the certificate or the key.
    """
    try:
        pem = path.read_bytes()
    except OSError:
        raise ValueError("must name a readable file") from None
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        raise ValueError("must be a PEM file with a certificate and its unencrypted private key") from None
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("must hold an RSA key; Entra ID accepts no other")  # noqa: TRY004 - a settings mistake
    digest = certificate.fingerprint(hashes.SHA256())
    return Certificate(client_id, key, base64.urlsafe_b64encode(digest).decode().rstrip("="))
