"""Which redirect URI a client may use: one that it registered and that the operator allows."""

from __future__ import annotations

from typing import Any

import pytest
from fastmcp.server.auth.cimd import CIMDDocument
from mcp.shared.auth import InvalidRedirectUriError
from pydantic import AnyUrl

from m365_mcp.auth.registrations import StrictClient

APP, OTHER, LOOPBACK = "https://app.example/cb", "https://other.example/cb", "http://localhost:3000/cb"


def client(*registered: str, **changes: Any) -> StrictClient:
    fields = {
        "client_id": "c",
        "client_secret": None,
        "redirect_uris": [AnyUrl(uri) for uri in registered] or None,
        "token_endpoint_auth_method": "none",
        "allowed_redirect_uri_patterns": [APP, OTHER, "http://localhost:*/cb"],
        **changes,
    }
    return StrictClient(**fields)


def may_use(one: StrictClient, uri: str) -> bool:
    try:
        return str(one.validate_redirect_uri(AnyUrl(uri))) == uri
    except InvalidRedirectUriError:
        return False


@pytest.mark.parametrize(
    ("uri", "allowed"),
    [
        (APP, True),
        (OTHER, False),
        (f"{APP}?more=1", False),
        (LOOPBACK, True),
        ("http://localhost:4000/cb", True),
        ("http://localhost:3000/other", False),
        ("https://evil.example/cb", False),
    ],
)
def test_client_uses_what_it_registered(uri: str, allowed: bool) -> None:
    """Another address that is allowed here belongs to another client; on loopback any port will do."""
    assert may_use(client(APP, LOOPBACK), uri) is allowed


def test_refusal_names_the_cause() -> None:
    """What FastMCP would allow is refused, and the client hears why."""
    with pytest.raises(InvalidRedirectUriError) as caught:
        client(APP).validate_redirect_uri(AnyUrl(OTHER))
    assert f"{OTHER} is not one that this client registered" in str(caught.value.message)


@pytest.mark.parametrize("patterns", [[OTHER], [], None])
def test_operator_may_have_changed_what_is_allowed(patterns: list[str] | None) -> None:
    """A registered address that is not allowed any more is refused."""
    assert not may_use(client(APP, allowed_redirect_uri_patterns=patterns), APP)


def test_client_that_need_not_register_uses_what_is_allowed() -> None:
    """Some clients are known to the operator, and not by their own addresses."""
    one = client(APP, allow_unregistered_redirect_uris=True)

    assert may_use(one, APP)
    assert may_use(one, OTHER)
    assert not may_use(one, "https://evil.example/cb")


def test_document_of_a_client_says_what_it_registered() -> None:
    """A client that is a metadata document has the addresses of the document."""
    document = CIMDDocument(client_id=AnyUrl("https://app.example/client"), redirect_uris=[APP])
    one = client(OTHER, cimd_document=document)

    assert may_use(one, APP)
    assert not may_use(one, OTHER)
    assert not may_use(client(cimd_document=document, allowed_redirect_uri_patterns=[f"{APP}?x=1"]), f"{APP}?x=1")
