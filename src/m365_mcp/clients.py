"""The MCP clients that an operator can allow by name, and every redirect URI that each of them registers.

A row says where its redirect URIs come from: `TRIED` was seen in a registration that this project ran, `REPORTED` in a
registration that somebody published, and `VENDOR` is what the vendor documents. docs/clients.md has a section for each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from m365_mcp import loopback

Evidence = Literal["tried", "reported", "vendor"]
LOOPBACK = tuple(f"http://{netloc}:*/*" for netloc in loopback.NETLOCS)


@dataclass(frozen=True)
class KnownClient:
    """One client.

    Attributes:
        title: its name, as people know it.
        redirect_uris: what it registers, in the grammar of `redirects`.
        evidence: how we know them.
        source: where they are published.
        needs_secret: whether it fails unless its registration returns a `client_secret`.
    """

    title: str
    redirect_uris: tuple[str, ...]
    evidence: Evidence
    source: str
    needs_secret: bool = False


CLIENTS: dict[str, KnownClient] = {
    "claude": KnownClient(
        "Claude (web, Desktop, mobile) and Claude Code",
        (
            "https://claude.ai/api/mcp/auth_callback",
            "https://claude.com/api/mcp/auth_callback",
            "http://localhost:*/callback",
            "http://127.0.0.1:*/callback",
        ),
        "vendor",
        "claude.com/docs/connectors/building/authentication; anthropics/claude-code, option callbackPort",
    ),
    "loopback": KnownClient(
        "every client on the person's own machine",
        LOOPBACK,
        "tried",
        "RFC 8252 section 7.3",
    ),
    "vscode": KnownClient(
        "VS Code and VS Code Insiders",
        (
            "https://vscode.dev/redirect",
            "https://insiders.vscode.dev/redirect",
            "http://127.0.0.1:*/",
            "http://localhost:*/",
        ),
        "reported",
        "microsoft/vscode#278512 (the body of the registration)",
    ),
    "cursor": KnownClient(
        "Cursor (editor, CLI, cloud agents)",
        (
            "cursor://anysphere.cursor-mcp/oauth/callback",
            "https://www.cursor.com/agents/mcp/oauth/callback",
            "http://localhost:*/callback",
        ),
        "reported",
        "erp-mafia/accounted#2225 (the body of the registration); makeplane/plane-mcp-server#159",
    ),
    "chatgpt": KnownClient(
        "ChatGPT",
        ("https://chatgpt.com/connector_platform_oauth_redirect", "https://chatgpt.com/connector/oauth/*"),
        "vendor",
        "developers.openai.com/apps-sdk/build/auth; danielealbano/android-remote-control-mcp#166",
    ),
    "copilot-studio": KnownClient(
        "Microsoft Copilot Studio",
        ("https://global.consent.azure-apim.net/redirect/*",),
        "vendor",
        "learn.microsoft.com, Copilot Studio, Add an existing MCP server; activepieces/activepieces#14397",
        needs_secret=True,
    ),
    "codex": KnownClient(
        "Codex (CLI and editor)",
        ("http://127.0.0.1:*/callback", "http://127.0.0.1:*/callback/*", "http://localhost:*/callback"),
        "reported",
        "openai/codex#30460, #31038",
    ),
    "gemini-cli": KnownClient(
        "Gemini CLI",
        ("http://localhost:*/oauth/callback",),
        "vendor",
        "google-gemini/gemini-cli, docs/tools/mcp-server.md",
    ),
    "gemini": KnownClient(
        "Gemini (web)",
        ("https://oauth-redirect.googleusercontent.com/r/*",),
        "reported",
        "makeplane/plane-mcp-server#230",
    ),
    "windsurf": KnownClient(
        "Windsurf",
        ("http://localhost:*/*", "http://127.0.0.1:*/*"),
        "reported",
        "makeplane/plane-mcp-server#164 (loopback)",
    ),
    "antigravity": KnownClient(
        "Antigravity",
        ("https://antigravity.google/oauth-callback",),
        "reported",
        "makeplane/plane-mcp-server#164",
    ),
    "opencode": KnownClient(
        "opencode",
        ("http://127.0.0.1:*/mcp/oauth/callback",),
        "reported",
        "anomalyco/opencode#5940",
    ),
    "inspector": KnownClient(
        "MCP Inspector",
        ("http://localhost:*/oauth/callback", "http://localhost:*/oauth/callback/debug"),
        "reported",
        "modelcontextprotocol/inspector, client/src/lib/auth.ts",
    ),
    "mcp-remote": KnownClient(
        "mcp-remote, for clients that only speak stdio",
        ("http://localhost:*/oauth/callback", "http://127.0.0.1:*/oauth/callback"),
        "reported",
        "geelen/mcp-remote, README",
    ),
}
DEFAULT_CLIENTS = ("claude", "loopback")


def redirect_uris_of(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the redirect URIs of the named clients, each once."""
    return tuple(dict.fromkeys(uri for name in names for uri in CLIENTS[name].redirect_uris))
