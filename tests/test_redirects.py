"""Redirect URIs: Claude's two callbacks and loopback, and nothing that only looks like them."""

import pytest

from m365_mcp.redirects import is_allowed
from m365_mcp.settings.server import CLAUDE_CALLBACKS, LOOPBACK_CALLBACKS

DEFAULT = (*CLAUDE_CALLBACKS, *LOOPBACK_CALLBACKS)


@pytest.mark.parametrize(
    "uri",
    [
        "https://claude.ai/api/mcp/auth_callback",
        "https://claude.com/api/mcp/auth_callback",
        "http://localhost:3118/callback",
        "http://localhost/callback",
        "http://127.0.0.1:33418/oauth/callback",
        "http://127.0.0.1:33418/",
        "http://[::1]:9000/callback",
        "http://localhost:6274/oauth/callback/debug?x=1",
    ],
)
def test_known_callbacks_are_allowed(uri: str) -> None:
    """Claude's callbacks and every port and path on the person's own machine are allowed."""
    assert is_allowed(uri, DEFAULT)


@pytest.mark.parametrize(
    "uri",
    [
        "https://evil.example/cb",
        "http://claude.ai/api/mcp/auth_callback",
        "https://claude.ai:8443/api/mcp/auth_callback",
        "https://claude.ai/api/mcp/auth_callback/",
        "https://claude.ai/api/mcp/auth_callback?redirect=https://evil.example",
        "https://claude.ai/api/mcp/auth_callback#x",
        "https://claude.ai/api/mcp/auth_callback\n",
        "https://claude.ai/",
        "https://claude.ai.evil.example/api/mcp/auth_callback",
        "https://claude.ai@evil.example/api/mcp/auth_callback",
        "https://claude.ai\\.evil.example/api/mcp/auth_callback",
        "https://evil.example\\@claude.ai/api/mcp/auth_callback",
        "https://claude.ai/api/mcp/auth_callback/../../x",
        "http://localhost:80@evil.example/",
        "http://localhost.evil.example/callback",
        "http://localhost:3000/%2e%2e/x",
        "http://localhost:3000\t/cb",
        "http://0.0.0.0:3000/cb",
        "http://localhost:99999/cb",
        "https://localhost:3000/cb",
        "javascript:alert(1)",
        "data:text/html,x",
        "myapp://callback",
        "",
    ],
)
def test_look_alikes_are_refused(uri: str) -> None:
    """Nothing that differs in scheme, host, port, path, query or form from an entry is allowed."""
    assert not is_allowed(uri, DEFAULT)


def test_an_entry_of_the_operator_is_exact() -> None:
    """A configured URI allows itself only; a last segment of * allows one segment."""
    entries = ("https://app.example.com/cb", "https://tools.example.com/callback/*", "vscode://vendor.extension/cb")

    assert is_allowed("https://app.example.com/cb", entries)
    assert is_allowed("https://tools.example.com/callback/one", entries)
    assert is_allowed("vscode://vendor.extension/cb", entries)
    assert not is_allowed("https://app.example.com/cb/more", entries)
    assert not is_allowed("https://tools.example.com/callback/one/two", entries)
    assert not is_allowed("https://tools.example.com/callback/", entries)


def test_no_entry_allows_nothing() -> None:
    """An empty list refuses everything."""
    assert not is_allowed("http://localhost:3000/cb", ())
