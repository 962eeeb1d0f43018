"""The one app registration of the home tenant: its secrets, redirect URIs and exposed scope."""

import hmac
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

LOOPBACK_HTTP_HOSTS = ("localhost", "127.0.0.1")
LONGEST_REDIRECT_URI = 256


@dataclass(frozen=True, slots=True)
class Secret:
    """A client secret; `expires_at` is in epoch seconds, None for one that never expires."""

    value: str
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class FederatedCredential:
    """A trusted outside issuer; `public_key` (PEM) stands for the key set that Entra would fetch from the issuer."""

    issuer: str
    subject: str
    public_key: str
    audience: str = "api://AzureADTokenExchange"


@dataclass(frozen=True, slots=True)
class AppRegistration:
    """What an administrator sees under "App registrations"; `expires_in` (seconds) fixes the life of access tokens.

    `optional_claims` are those of the ID token; of all there are, `auth_time` is known here.
    `multi_tenant` stands for the `signInAudience` "AzureADMultipleOrgs": work accounts of every tenant.
    """

    client_id: str
    secrets: tuple[Secret, ...]
    redirect_uris: tuple[str, ...]
    scope_name: str = "mcp-access"
    display_name: str = "M365 MCP Server"
    token_version: int | None = 2
    enabled: bool = True
    multi_tenant: bool = False
    expires_in: int | None = None
    certificates: tuple[str, ...] = ()
    federated_credentials: tuple[FederatedCredential, ...] = ()
    optional_claims: tuple[str, ...] = ("auth_time",)

    def __post_init__(self) -> None:
        for uri in self.redirect_uris:
            check_redirect_uri(uri)

    @property
    def app_id_uri(self) -> str:
        """The App ID URI that prefixes the exposed scope."""
        return f"api://{self.client_id}"

    @property
    def scope(self) -> str:
        """The exposed scope written in full."""
        return f"{self.app_id_uri}/{self.scope_name}"

    def knows_redirect(self, redirect_uri: str) -> bool:
        """Return whether the URI is registered: exact and case-sensitive, but the port of localhost does not count."""
        return any(_comparable(known) == _comparable(redirect_uri) for known in self.redirect_uris)

    def find_secret(self, value: str) -> Secret | None:
        """Return the registered secret with this value, expired or not."""
        for secret in self.secrets:
            if hmac.compare_digest(secret.value.encode(), value.encode()):
                return secret
        return None


def check_redirect_uri(uri: str) -> None:
    """Raise ValueError for a URI that Entra would not register (page "Redirect URI restrictions")."""
    parts = urlsplit(uri)
    if len(uri) > LONGEST_REDIRECT_URI:
        raise ValueError(f"A redirect URI has at most {LONGEST_REDIRECT_URI} characters.")
    if not parts.scheme or not parts.hostname or parts.fragment:
        raise ValueError(f"The redirect URI {uri!r} is not an absolute URI without fragment.")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK_HTTP_HOSTS:
        raise ValueError(f"The redirect URI {uri!r} uses http, which is allowed only for localhost.")
    if parts.hostname == "::1":
        raise ValueError("The IPv6 loopback address is not supported in a redirect URI.")


def _comparable(uri: str) -> str:
    """Drop the port of a localhost URI (RFC 8252 section 7.3); leave every other URI as it is written."""
    parts = urlsplit(uri)
    if parts.scheme in ("http", "https") and re.fullmatch(r"localhost(:\d{1,5})?", parts.netloc):
        return parts._replace(netloc="localhost").geturl()
    return uri
