"""Redirect URIs: what an entry of the list means, and which URIs it allows; nothing that only looks like one."""

import pytest

from m365_mcp.clients import DEFAULT_CLIENTS, redirect_uris_of
from m365_mcp.redirects import RedirectPattern, is_allowed, parse_all
from m365_mcp.settings.checks import check_redirect_patterns

DEFAULT = parse_all(redirect_uris_of(DEFAULT_CLIENTS))
CALLBACK = "https://claude.ai/api/mcp/auth_callback"

# An entry, a URI, and whether the entry allows it.
ENTRIES = [
    # Exact: every part counts.
    ("https://app.example.com/cb", "https://app.example.com/cb", True),
    ("https://app.example.com/cb", "HTTPS://APP.example.com/cb", True),
    ("https://app.example.com/cb", "https://app.example.com/CB", False),
    ("https://app.example.com/cb", "https://app.example.com/cb/", False),
    ("https://app.example.com/cb", "https://app.example.com/cb/more", False),
    ("https://app.example.com/cb", "https://app.example.com/cb?x=1", False),
    ("https://app.example.com/cb", "https://app.example.com:443/cb", False),
    ("https://app.example.com/cb", "http://app.example.com/cb", False),
    ("https://app.example.com/cb?x=1", "https://app.example.com/cb?x=1", True),
    ("https://app.example.com/cb?x=1", "https://app.example.com/cb", False),
    ("https://app.example.com:8443/cb", "https://app.example.com:8443/cb", True),
    ("https://app.example.com:8443/cb", "https://app.example.com:8444/cb", False),
    ("https://app.example.com", "https://app.example.com/", True),
    ("https://app.example.com", "https://app.example.com/cb", False),
    ("vscode://vendor.extension/cb", "vscode://vendor.extension/cb", True),
    # F19: a private-use scheme without an authority (RFC 8252 section 7.1).
    ("com.example.app:/cb", "com.example.app:/cb", True),
    ("com.example.app:/cb", "COM.example.app:/cb", True),
    ("com.example.app:/cb", "com.example.app:/other", False),
    ("com.example.app:/cb", "com.example.app:/cb?x=1", False),
    ("com.example.app:/cb", "com.example.app:cb", False),
    ("com.example.app:/cb", "com.example.other:/cb", False),
    ("com.example.app:/cb", "com.example.app://evil.example/cb", False),
    ("com.example.app:/oauth/*", "com.example.app:/oauth/one", True),
    ("com.example.app:/oauth/*", "com.example.app:/oauth/one/two", False),
    # The last segment.
    ("https://tools.example.com/callback/*", "https://tools.example.com/callback/one", True),
    ("https://tools.example.com/callback/*", "https://tools.example.com/callback/one/two", False),
    ("https://tools.example.com/callback/*", "https://tools.example.com/callback/", False),
    ("https://tools.example.com/callback/*", "https://tools.example.com/callback", False),
    ("https://tools.example.com/callback/*", "https://tools.example.com/callback/one?x=1", False),
    ("https://tools.example.com/callback/*", "https://tools.example.com/callback/%2e%2e", False),
    # Loopback: every port without one, every path and query below a folder.
    ("http://localhost:*/*", "http://localhost:6274/oauth/callback/debug?x=1", True),
    ("http://localhost:*/*", "http://localhost", True),
    ("http://localhost:*/*", "http://LOCALHOST:1/cb", True),
    ("http://localhost:*/*", "http://127.0.0.1:1/cb", False),
    ("http://localhost:*/*", "https://localhost:1/cb", False),
    ("http://localhost:*/cb", "http://localhost:1/cb", True),
    ("http://localhost:*/cb", "http://localhost:1/cb?x=1", False),
    ("http://localhost/cb", "http://localhost:1/cb", True),
    ("http://localhost:*", "http://localhost:1/", True),
    ("http://localhost:3000/cb", "http://localhost:3000/cb", True),
    ("http://localhost:3000/cb", "http://localhost:3001/cb", False),
    ("http://127.0.0.1:*/*", "http://127.0.0.1:33418/", True),
    ("http://[::1]:*/*", "http://[::1]:9000/callback", True),
    ("http://localhost:*/a/*", "http://localhost:1/a/b/c", True),
    ("http://localhost:*/a/*", "http://localhost:1/ab", False),
]


@pytest.mark.parametrize(("entry", "uri", "allowed"), ENTRIES)
def test_entry_means_what_its_grammar_says(entry: str, uri: str, allowed: bool) -> None:
    """One entry allows itself, and what `*` stands for in it; the settings take it, too."""
    assert check_redirect_patterns((entry,)) == (entry,)
    assert is_allowed(uri, [RedirectPattern.parse(entry)]) is allowed


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("", "full redirect URI"),
        ("*", "full redirect URI"),
        ("app.example.com/cb", "full redirect URI"),
        ("com.example.app:cb", "full redirect URI"),
        ("myapp:/cb", "full redirect URI"),
        ("javascript:/cb", "full redirect URI"),
        ("https:///cb", "full redirect URI"),
        ("https://*.example.com/cb", "full redirect URI"),
        ("https://*/cb", "full redirect URI"),
        ("http://localhost:80*/cb", "full redirect URI"),
        ("http://localhost:99999/cb", "full redirect URI"),
        ("http://localhost:0/cb", "full redirect URI"),
        ("http://localhost:*@evil.example/", "full redirect URI"),
        ("https://user@app.example.com/cb", "full redirect URI"),
        ("https://app.example.com/cb#part", "full redirect URI"),
        ("https://app.example.com/c b", "full redirect URI"),
        ("https://app.example.com/cb\n", "full redirect URI"),
        ("https://app.example.com:*/cb", "only a loopback address"),
        ("http://localhost.evil.example:*/cb", "only a loopback address"),
        ("https://app.example.com/c*", "whole last segment"),
        ("https://app.example.com/*/cb", "whole last segment"),
        ("http://localhost:*/a*b", "whole last segment"),
        ("http://localhost/cb:*", "whole last segment"),
    ],
)
def test_what_is_no_entry_is_refused_with_the_reason(entry: str, reason: str) -> None:
    """The settings refuse it at the start, and of a client's own list it allows nothing."""
    with pytest.raises(ValueError, match=reason):
        check_redirect_patterns((CALLBACK, entry))
    assert parse_all([entry]) == ()


@pytest.mark.parametrize(
    "uri",
    [
        CALLBACK,
        "https://claude.com/api/mcp/auth_callback",
        "http://localhost:3118/callback",
        "http://localhost/callback",
        "http://127.0.0.1:33418/oauth/callback",
        "http://[::1]:9000/callback",
    ],
)
def test_known_callbacks_are_allowed(uri: str) -> None:
    """Claude's callbacks and every port and path on the person's own machine are allowed without any setting."""
    assert is_allowed(uri, DEFAULT)


LOOK_ALIKES = [
    # Another host, and other ways to write one.
    "https://evil.example/cb",
    "https://claude.ai.evil.example/api/mcp/auth_callback",
    "https://claude.ai@evil.example/api/mcp/auth_callback",
    "https://claude.ai:x@evil.example/api/mcp/auth_callback",
    "https://claude.ai\\.evil.example/api/mcp/auth_callback",
    "https://evil.example\\@claude.ai/api/mcp/auth_callback",
    "https://claude.ai./api/mcp/auth_callback",
    "https://xclaude.ai/api/mcp/auth_callback",
    "https://claude%2eai/api/mcp/auth_callback",
    "https://ｃlaude.ai/api/mcp/auth_callback",
    "http://localhost:80@evil.example/",
    "http://localhost@evil.example/",
    "http://localhost\\@evil.example/",
    "http://localhost.evil.example/callback",
    "http://localhost./callback",
    "http://0.0.0.0:3000/cb",
    "http://127.1:3000/cb",
    "http://127.0.0.2:3000/cb",
    "http://0x7f.1:3000/cb",
    "http://2130706433:3000/cb",
    "http://017700000001:3000/cb",
    "http://[::ffff:127.0.0.1]:3000/cb",
    "http://[0:0:0:0:0:0:0:1]:3000/cb",
    "http://[::1%25lo]:3000/cb",
    "http://ⓛocalhost:3000/cb",
    # Another scheme, port, path, query or fragment.
    "http://claude.ai/api/mcp/auth_callback",
    "https://claude.ai:8443/api/mcp/auth_callback",
    "https://claude.ai/api/mcp/auth_callback/",
    "https://claude.ai/api/mcp/auth_callback?redirect=https://evil.example",
    "https://claude.ai/api/mcp/auth_callback#x",
    "https://claude.ai/",
    "https://claude.ai/api/mcp/auth_callback/../../x",
    "https://claude.ai/api/mcp/%2e%2e/mcp/auth_callback",
    "https://claude.ai/api//mcp/auth_callback",
    "http://localhost:3000/%2e%2e/x",
    "http://localhost:3000/./x",
    "http://localhost:99999/cb",
    "http://localhost:0/cb",
    "http://localhost:-1/cb",
    "https://localhost:3000/cb",
    "//localhost:3000/cb",
    "http:localhost:3000/cb",
    "http:///localhost:3000/cb",
    # No web address at all.
    "javascript:alert(1)",
    "data:text/html,x",
    "vbscript:x",
    "file:///etc/passwd",
    "myapp://callback",
    "localhost",
    "",
]


@pytest.mark.parametrize("uri", LOOK_ALIKES)
def test_look_alikes_are_refused(uri: str) -> None:
    """Nothing that differs in scheme, host, port, path, query or form from an entry is allowed."""
    assert not is_allowed(uri, DEFAULT)


@pytest.mark.parametrize(
    "template", ["{}" + CALLBACK, CALLBACK + "{}", "http://local{}host:3000/cb", "http://localhost:3{}/"]
)
def test_control_characters_are_refused_and_not_stripped(template: str) -> None:
    """`urlsplit` drops some of them and browsers others, so a URI that holds one is refused, wherever it stands."""
    characters = [*map(chr, range(0x21)), "\x7f", "\\"]

    assert [character for character in characters if is_allowed(template.format(character), DEFAULT)] == []


@pytest.mark.parametrize(
    ("own", "uri", "allowed"),
    [
        ("http://localhost:3118/callback", "http://localhost:50123/callback", True),
        ("http://[::1]:3118/callback", "http://[::1]:50123/callback", True),
        ("http://localhost:3118/callback", "http://localhost:50123/other", False),
        ("http://localhost:3118/callback", "http://127.0.0.1:3118/callback", False),
        ("https://app.example.com:8443/cb", "https://app.example.com:8444/cb", False),
    ],
)
def test_own_loopback_uri_of_a_client_holds_for_every_port(own: str, uri: str, allowed: bool) -> None:
    """RFC 8252 section 7.3: the port is chosen anew at every sign-in; everything else is as registered."""
    assert is_allowed(uri, [RedirectPattern.parse(own).on_any_loopback_port()]) is allowed


def test_no_entry_allows_nothing() -> None:
    """An empty list refuses everything."""
    assert not is_allowed("http://localhost:3000/cb", ())
