"""Redirect URIs: what an entry of the list means, and which URIs it allows; nothing that only looks like one."""

import pytest
from fastmcp.server.auth.redirect_validation import UNSAFE_REDIRECT_URI_SCHEMES
from hypothesis import assume, example, given
from hypothesis import strategies as st
from pydantic import AnyUrl

from m365_mcp.clients import DEFAULT_CLIENTS, redirect_uris_of
from m365_mcp.redirects import OPENED_BY_BROWSERS, RedirectPattern, is_allowed, parse_all
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
    ("https://app.example.com/cb", "https://app.example.com:80/cb", False),
    ("https://app.example.com/cb", "http://app.example.com/cb", False),
    ("https://app.example.com/cb?x=1", "https://app.example.com/cb?x=1", True),
    ("https://app.example.com/cb?x=1", "https://app.example.com/cb", False),
    ("https://app.example.com:8443/cb", "https://app.example.com:8443/cb", True),
    ("https://app.example.com:8443/cb", "https://app.example.com:8444/cb", False),
    ("https://app.example.com", "https://app.example.com/", True),
    ("https://app.example.com", "https://app.example.com/cb", False),
    ("https://app.example.com/cb/", "https://app.example.com/cb", False),
    ("https://app.example.com/a//b", "https://app.example.com/a/b", False),
    ("https://app.example.com/cb?x=a%26b=c", "https://app.example.com/cb?x=a&b=c", False),
    ("https://app.example.com/cb?x=%2B", "https://app.example.com/cb?x=+", False),
    ("https://app.example.com/cb%3Fx", "https://app.example.com/cb?x", False),
    ("https://app.example.com/cb/%2A", "https://app.example.com/cb/one", False),
    ("https://app.example.com/ä", "https://app.example.com/a\u0308", False),
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
        ("https://localhost.evil.example:*/cb", "only a loopback address"),
        ("https://tools.example.com/*?x=1", "no query"),
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
    "https://xclaude.ai/api/mcp/auth_callback",
    "https://claude%2eai/api/mcp/auth_callback",
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
    "http://[::1%25lo]:3000/cb",
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


F6_SPELLINGS = [
    ("https://bücher.example/callback", "https://xn--bcher-kva.example/callback"),
    ("https://BÜCHER.example/callback", "https://bücher.example:443/callback"),
    ("https://a.example:443/callback", "https://a.example/callback"),
    ("https://a.example./callback", "https://a.example/callback"),
    ("https://ａ.example/callback", "https://a.example/callback"),
    ("http://localhost:80/cb", "http://localhost/cb"),
    ("http://ⓛocalhost:3000/cb", "http://localhost:3000/cb"),
    ("http://[0:0:0:0:0:0:0:1]:3000/cb", "http://[::1]:3000/cb"),
    ("https://a.example/ü", "https://a.example/%c3%bc"),
    ("https://a.example/%7Ex", "https://a.example/~x"),
    ("https://a.example/a%2Cb%3Bc%2A", "https://a.example/a,b;c*"),
    ("https://a.example/cb?x=ü", "https://a.example/cb?x=%c3%bc"),
    ("https://a.example/cb?x=%7e,'", "https://a.example/cb?x=~%2C%27"),
    ("com.example.app:/ü", "com.example.app:/%C3%BC"),
    ("cursor://Anysphere.cursor-mcp/cb", "CURSOR://anysphere.cursor-mcp/%63b"),
]


@pytest.mark.parametrize(("entry", "uri"), F6_SPELLINGS)
def test_f6_spellings_of_one_uri_are_equal(entry: str, uri: str) -> None:
    """The setting may have any of them, and the client too, as it writes it and as Pydantic spells it anew."""
    pattern = RedirectPattern.parse(check_redirect_patterns((entry,))[0])

    assert [is_allowed(one, [pattern]) for one in (entry, uri, str(AnyUrl(entry)), str(AnyUrl(uri)))] == [True] * 4


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("https://a.example/../cb", "dot segments"),
        ("https://a.example/%2e%2E/cb", "dot segments"),
        ("https://a.example/a%2Fb", "escaped slashes"),
        ("https://a.example/a%5Cb", "escaped slashes"),
        ("https://a.example/%0d", "control characters"),
        ("https://a.example/%FF", "UTF-8"),
        ("https://a.example/%zz", "escaped"),
        ("https://a.example/cb?x=%", "escapes"),
        ("https://127.1/cb", "four numbers"),
        ("https://a..example/cb", "host name"),
        ("https://a.example:65536/cb", "port"),
        ("http://localhost./cb", "final dot"),
        ("http://a.example/cb", "only a loopback address"),
        ("app://bücher/cb", "ASCII"),
        ("urn:ietf:wg:oauth:2.0:oob", "domain name"),
        ("com.example.app:callback", "slash"),
        ("javascript:alert(1)", "a browser opens"),
        ("file://host/cb", "a browser opens"),
        ("https://user@a.example/cb", "user name"),
        ("https://a.example/cb#", "fragment"),
    ],
)
def test_f6_what_has_no_normal_form_is_refused_at_the_start_with_the_reason(entry: str, reason: str) -> None:
    """It would match nothing, or what it matches would be read in several ways."""
    with pytest.raises(ValueError, match=f"full redirect URI, .* \\(.*{reason}"):
        check_redirect_patterns((entry,))


PIECES = st.sampled_from(
    ["%7E", "%2e", "%", "%2F", "é", "ß", "'", "[", "]", "|", "~", "..", "/", "a", "B", " ", "%C3%BC"]
)
TEXT = st.lists(PIECES | st.characters(codec="utf-8", max_codepoint=0x2FFF), max_size=5).map("".join)


@given(
    start=st.sampled_from(["https://a.example/", "http://localhost:80/", "com.example.app:/", "app://x/", "https://"]),
    path=TEXT,
    query=TEXT,
)
@example(start="https://", path="ﬃ.example:443/x", query="")
@pytest.mark.full
def test_f6_client_that_sends_exactly_what_the_setting_has_is_allowed(start: str, path: str, query: str) -> None:
    """Whatever entry is accepted at the start matches its own text, as Pydantic spells it anew."""
    entry = f"{start}{path}?{query}" if query else f"{start}{path}"
    patterns = parse_all([entry])
    assume(patterns and "*" not in entry)

    assert is_allowed(str(AnyUrl(entry)), patterns)


def test_f6_schemes_that_fastmcp_refuses_are_refused_at_the_start() -> None:
    """FastMCP would register no client with them."""
    assert OPENED_BY_BROWSERS >= UNSAFE_REDIRECT_URI_SCHEMES


def test_no_entry_allows_nothing() -> None:
    """An empty list refuses everything."""
    assert not is_allowed("http://localhost:3000/cb", ())
