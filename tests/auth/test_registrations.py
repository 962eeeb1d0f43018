"""Which redirect URI a client may use: one that it registered and that the operator allows."""

from __future__ import annotations

from typing import Any

import pytest
from fastmcp.server.auth.cimd import CIMDDocument
from mcp.server.auth.provider import RegistrationError
from mcp.shared.auth import InvalidRedirectUriError, OAuthClientInformationFull
from pydantic import AnyUrl

from m365_mcp.auth.registrations import StrictClient, keep_allowed_uris
from m365_mcp.redirects import parse_all
from m365_mcp.settings.checks import check_redirect_patterns, split

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


def refusal(one: StrictClient, uri: str | None) -> str:
    with pytest.raises(InvalidRedirectUriError) as caught:
        one.validate_redirect_uri(None if uri is None else AnyUrl(uri))
    return str(caught.value.message)


def refused_registration(*uris: str) -> str:
    asked = OAuthClientInformationFull(client_id="c", redirect_uris=[AnyUrl(uri) for uri in uris])
    with pytest.raises(RegistrationError) as caught:
        keep_allowed_uris(asked, parse_all([APP]))
    return str(caught.value.error_description)


UNUSABLE = [
    ("http://localhost:3000/cb#f", "it has a fragment"),
    ("urn:ietf:wg:oauth:2.0:oob", "a domain name in reverse"),
    ("com.example.app:callback", "a slash follows its scheme"),
    ("http://user@127.0.0.1:5/", "it has a user name"),
    ("javascript:alert(1)", "a browser opens such an address itself"),
    ("http://app.example/cb", "only a loopback address may have http://"),
    ("https://app.example/a%2Fb", "no escaped slashes"),
]


@pytest.mark.parametrize(("uri", "reason"), UNUSABLE)
def test_f4_uri_that_no_setting_can_allow_is_refused_without_that_remedy(uri: str, reason: str) -> None:
    """Registration and sign-in say what is wrong with the URI itself; the setting refuses it at the start."""
    with pytest.raises(ValueError, match="full redirect URI"):
        check_redirect_patterns((uri,))
    for sentence in (refused_registration(uri), refusal(client(APP), uri)):
        assert f"{uri} by this server, and no setting changes that: " in sentence
        assert reason in sentence
        assert "MCP_" not in sentence


def test_f4_of_several_refused_uris_the_one_is_named_that_can_be_allowed() -> None:
    """The operator hears what can be changed; what no setting can allow is named where there is nothing else."""
    unusable = [uri for uri, _ in UNUSABLE]

    assert f"{OTHER} is not on this server's list" in refused_registration(*unusable, OTHER)
    assert unusable[0] in refused_registration(*unusable)


@pytest.mark.parametrize("uri", ["https://app.example/a,b;c*?x=1,2;3", "https://app.example/*"])
def test_f4_uri_of_a_refusal_can_be_pasted_into_the_setting(uri: str) -> None:
    """What separates entries there, or stands for something, is shown escaped; the entry allows this URI only."""
    shown = refused_registration(uri).split()[3]
    (entry,) = check_redirect_patterns(split(shown))
    one = client(uri, allowed_redirect_uri_patterns=[entry])

    assert may_use(one, uri)
    assert "is not on this server's list" in refusal(one, "https://app.example/other")


def test_f4_client_of_a_document_is_not_told_to_register() -> None:
    """It has no registration that it could repeat: whoever publishes the document has to list the URI."""
    document = CIMDDocument(client_id=AnyUrl("https://app.example/client"), redirect_uris=["http://127.0.0.1/cb"])
    sentence = refusal(client(cimd_document=document), "http://localhost:9/cb")

    assert "http://localhost:9/cb is not one that this client's metadata document lists" in sentence
    assert "register" not in sentence


IDN = "https://xn--bcher-kva.example/cb/%7Eone?x=%27"


@pytest.mark.parametrize(
    "written", ["https://bücher.example/cb/~one?x='", "https://BÜCHER.example:443/cb/%7eone?x=%27"]
)
@pytest.mark.parametrize("brings_document", [True, False])
def test_f6_spellings_of_setting_registration_and_request_may_differ(written: str, brings_document: bool) -> None:
    """Their normal forms are compared; the browser is sent to the spelling of the request."""
    known: dict[str, Any] = {}
    if brings_document:
        known["cimd_document"] = CIMDDocument(client_id=AnyUrl("https://app.example/c"), redirect_uris=[written])
    one = client(*([] if brings_document else [written]), allowed_redirect_uri_patterns=[written], **known)

    assert str(one.validate_redirect_uri(AnyUrl(IDN))) == IDN
    assert str(one.validate_redirect_uri(None)) == str(AnyUrl(written))


@pytest.mark.parametrize("uris", [["http://localhost:*/cb"], [APP, LOOPBACK], ["https://a b/cb"]])
def test_only_uri_of_a_client_need_not_be_named(uris: list[str]) -> None:
    """RFC 6749 section 3.1.2.3: one, and a whole one; in every other case the request has to name it."""
    document = CIMDDocument(client_id=AnyUrl("https://app.example/client"), redirect_uris=uris)

    assert "redirect_uri is required" in refusal(client(cimd_document=document), None)
    assert str(client(APP).validate_redirect_uri(None)) == APP


def test_web_client_may_not_use_a_loopback_address() -> None:
    """RFC 7591 section 2: FastMCP's rule for the type of an application holds as well."""
    one = client(LOOPBACK, application_type="web")

    assert "application_type" in refusal(one, LOOPBACK)


def test_star_in_a_registration_is_no_wildcard() -> None:
    """Only a metadata document and the operator's list have wildcards; a client registers URIs."""
    one = client(f"{APP}/*", allowed_redirect_uri_patterns=[f"{APP}/*"])

    assert may_use(one, f"{APP}/*")
    assert not may_use(one, f"{APP}/other")
