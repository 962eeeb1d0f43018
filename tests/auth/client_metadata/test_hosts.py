"""Which URLs are client ids, and which hosts documents are fetched from."""

import pytest

from m365_mcp.auth.client_metadata.hosts import HostRules, is_client_id_url, target_of

OTHERS = """
http://a.example/x https://a.example https://a.example/ https://a.example?x https:///x https://a.example:0/x
https://a.example:99999/x https://a.example/x#y https://u@a.example/x https://u:p@a.example/x
https://a.example\\x https://a.example/a\\b https://a.example@b.example/x https://127.1/x https://0x7f.0.0.1/x
https://2130706433/x https://0177.0.0.1/x https://1.2.3.4.5/x https://①27.0.0.1/x https://bücher.example/x
https://[::1%25eth0]/x https://[127.0.0.1]/x https://[::g]/x https://a.example/./x https://a.example/../x
https://a.example/x/.. https://a%2eexample/x https://-a.example/x ftp://a.example/x a-registered-client
HTTPS://a.example/x
"""


@pytest.mark.parametrize(
    "url",
    [
        "https://claude.ai/oauth/mcp-oauth-client-metadata",
        "https://vscode.dev/oauth/client-metadata.json",
        "https://client.example.com:8443/a",
        "https://client.example.com./a",
        "https://xn--bcher-kva.example/a?v=1&x=%20",
        "https://[2606:4700::1111]/a",
        "https://a.example/..a/b",
    ],
)
def test_https_url_with_a_path_is_a_client_id(url: str) -> None:
    """Every URL that the draft allows can be a client id."""
    assert is_client_id_url(url)


@pytest.mark.parametrize(
    "url",
    OTHERS.split(),
)
def test_anything_else_is_no_client_id(url: str) -> None:
    """A URL that is not https, has no path, or may be read in two ways is no client id."""
    assert not is_client_id_url(url)


@pytest.mark.parametrize(
    "url", ["https://a.example/ x", "https://a.example/x\r\nHost: b", "https://a.example/\x00", ""]
)
def test_client_id_with_a_control_character_is_none(url: str) -> None:
    """No white space and no control character is in a client id."""
    assert not is_client_id_url(url)


def test_client_id_has_a_greatest_length() -> None:
    """A URL of more than 2,048 characters is no client id."""
    assert is_client_id_url("https://a.example/".ljust(2048, "x"))
    assert not is_client_id_url("https://a.example/".ljust(2049, "x"))


@pytest.mark.parametrize(
    ("url", "refused"),
    [
        ("https://client.example.com/x", False),
        ("https://1.1.1.1/x", False),
        ("https://client.example.com:8443/x", True),
        ("https://168.63.129.16/machine", True),
        ("https://169.254.169.254/latest", True),
        ("https://192.0.0.192/x", True),
        ("https://127.0.0.1/x", True),
        ("https://[::ffff:10.0.0.1]/x", True),
        ("https://[::1]/x", True),
        ("https://localhost/x", True),
        ("https://LOCALHOST./x", True),
        ("https://a.localhost/x", True),
    ],
)
def test_h12_port_and_address_are_judged_before_dns_is_asked(url: str, refused: bool) -> None:
    """Only port 443 is asked, and no special-purpose address, as the URL tells already."""
    target = target_of(url)

    assert target is not None
    assert HostRules().refuse(target) is refused


def test_named_host_is_free_of_the_rules() -> None:
    """A host of MCP_CIMD_ALLOWED_HOSTS may be anywhere, at its own port or, when none is named, at every port."""
    rules = HostRules(("localhost:8443", "clients.corp.example", "[::1]:9443"))

    lifted = ["https://localhost:8443/x", "https://clients.corp.example:1/x", "https://[0:0::1]:9443/x"]
    kept = ["https://localhost:8444/x", "https://localhost/x", "https://[::1]/x", "https://a.clients.corp.example:1/x"]
    assert [rules.refuse(target) for target in map(target_of, lifted) if target] == [False] * 3
    assert [rules.refuse(target) for target in map(target_of, kept) if target] == [True] * 4
