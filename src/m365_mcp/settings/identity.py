"""The rules for ids, secrets and scopes of the app registration; each returns the value, or raises ValueError."""

from __future__ import annotations

import re

from pydantic import SecretStr

from m365_mcp.errors import Filled

ORGANIZATIONS = "organizations"  # Entra's name for "accounts of any work or school tenant"
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# What a scope may have (RFC 6749 section 3.3) without the : and / of api://<id>/<name>, which the server writes itself.
_SCOPE = re.compile(r"[!#-.0-9;-\[\]-~]+")
_SHAPE = Filled("such as 11111111-2222-4333-8444-555555555555, without quotes, braces and api://")


def refuse_placeholder(value: str) -> str:
    """Refuse the sample values of .env.example, and an empty value."""
    if not value:
        raise ValueError("is empty")
    if value.startswith(("your-", "<")):
        raise ValueError("still has the sample value; replace it with the real one")
    return value


def check_secret(value: SecretStr) -> SecretStr:
    """Refuse what is no client secret: the sample value, the Secret ID, and what was not copied exactly."""
    text = refuse_placeholder(value.get_secret_value())
    if _GUID.fullmatch(text.lower()):
        raise ValueError("is the Secret ID; use the Value of the client secret, which Entra shows once")
    if not re.fullmatch(r"[!-~]+", text):
        raise ValueError("has a blank, an invisible or another character that no client secret has; copy it again")
    return value


def check_app(value: str) -> str:
    """Return an application id in lower case, as it appears in tokens."""
    if not _GUID.fullmatch(refuse_placeholder(value).lower()):
        raise ValueError(Filled("must be the Application (client) ID, %(shape)s", shape=_SHAPE))
    return value.lower()


def check_tenant(value: str) -> str:
    """Return the id of one tenant in lower case, as it appears in tokens, or `organizations`."""
    lower = refuse_placeholder(value).lower()
    if lower in ("common", "consumers"):
        raise ValueError("must be the id of a tenant, or organizations; this server does not support personal accounts")
    if "." in value:
        raise ValueError("must be the Directory (tenant) ID, not a domain name: the issuer in tokens contains the id")
    if lower != ORGANIZATIONS and not _GUID.fullmatch(lower):
        raise ValueError(Filled("must be the Directory (tenant) ID, %(shape)s", shape=_SHAPE))
    return lower


def check_scope(value: str) -> str:
    """Check that this is the name of a scope and not its whole URI."""
    if not _SCOPE.fullmatch(value):
        raise ValueError("must be only the name of the scope, such as mcp-access, without api://, the id and blanks")
    return value


def check_tenants(value: tuple[str, ...]) -> tuple[str, ...]:
    """Return the ids of tenants in lower case, as they appear in tokens."""
    if ORGANIZATIONS in map(str.lower, value):
        raise ValueError("must list the ids of tenants")
    return tuple(map(check_tenant, value))
