"""Signs a person in to an MCP server, in their browser, and keeps the tokens in their own data folder.

The tokens are as valuable as a session of the person at the server, and are kept as other command line tools keep
theirs: in files that only this user of the machine can read (mode 0600). They are not encrypted, because the key would
have to stand beside them.

FastMCP 4.2's `OAuth` does the protocol: discovery, registration, PKCE, refresh. Two things are added: the address of
the sign-in is printed, too, and a sign-in can be ended (RFC 7009).
"""

from __future__ import annotations

import os
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import platformdirs
from fastmcp.client.auth import OAuth
from fastmcp.client.auth.oauth import TokenStorageAdapter
from key_value.aio.stores.filetree import (
    FileTreeStore,
    FileTreeV1CollectionSanitizationStrategy,
    FileTreeV1KeySanitizationStrategy,
)
from mcp.client.auth.utils import (
    build_oauth_authorization_server_metadata_discovery_urls,
    build_protected_resource_metadata_discovery_urls,
)

from m365_mcp.errors import Unavailable
from m365_mcp.loopback import is_loopback

CLIENT_NAME = "m365-mcp command line"
_ONLY_OWNER = 0o077  # the umask: files get mode 0600, folders 0700


def token_folder() -> Path:
    """Return the folder of this user's tokens."""
    return platformdirs.user_data_path("m365-mcp") / "client"


def open_token_store(folder: Path) -> FileTreeStore:
    """Return the store of the tokens; what this process writes from now on, only its user can read."""
    os.umask(_ONLY_OWNER)
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    return FileTreeStore(
        data_directory=folder,
        key_sanitization_strategy=FileTreeV1KeySanitizationStrategy(folder),
        collection_sanitization_strategy=FileTreeV1CollectionSanitizationStrategy(folder),
    )


def client_factory(endpoint: str) -> Callable[..., httpx2.AsyncClient]:
    """Return what makes HTTP clients for a server; on this machine, no proxy of the environment is asked."""
    uses_environment = not is_loopback(urlsplit(endpoint).hostname or "")

    def make(
        headers: dict[str, str] | None = None,
        timeout: httpx2.Timeout | None = None,
        auth: httpx2.Auth | None = None,
        **_: Any,
    ) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(headers=headers, timeout=timeout or 30, auth=auth, trust_env=uses_environment)

    return make


class BrowserSignIn(OAuth):
    """FastMCP's OAuth client that says where the sign-in is, and opens it in a browser if it may.

    Args:
        endpoint: address of the MCP endpoint.
        store: where the tokens are kept.
        tell: shows a line to the person.
        opens_browser: whether a browser is opened, too.
    """

    def __init__(self, endpoint: str, store: FileTreeStore, tell: Callable[[str], None], *, opens_browser: bool):
        super().__init__(
            endpoint,
            client_name=CLIENT_NAME,
            token_storage=store,
            httpx_client_factory=client_factory(endpoint),
        )
        self._tell = tell
        self._opens_browser = opens_browser

    async def redirect_handler(self, authorization_url: str) -> None:
        """Print the address, and open it."""
        async with self.httpx_client_factory() as http:
            answer = await http.get(authorization_url, follow_redirects=False)
        if answer.status_code == httpx2.codes.BAD_REQUEST:
            from fastmcp.client.auth.oauth import ClientNotFoundError

            raise ClientNotFoundError  # FastMCP then registers anew
        self._tell(f"Sign in here: {authorization_url}")
        if self._opens_browser:
            webbrowser.open(authorization_url)


async def sign_out(endpoint: str, store: FileTreeStore) -> bool:
    """End the session at the server (RFC 7009) and delete its tokens here; return whether there were any.

    Raises:
        Unavailable: the tokens are deleted, but the server could not be told.
    """
    kept = TokenStorageAdapter(async_key_value=store, server_url=endpoint.rstrip("/"))
    tokens, client = await kept.get_tokens(), await kept.get_client_info()
    await kept.clear()
    if tokens is None or client is None:
        return False
    form = {"token": tokens.refresh_token or tokens.access_token, "client_id": str(client.client_id)}
    async with client_factory(endpoint)() as http:
        try:
            answer = await http.post(await _revocation_endpoint(http, endpoint), data=form)
            answer.raise_for_status()
        except (httpx2.HTTPError, ValueError, KeyError, IndexError):
            raise Unavailable(
                "The tokens are deleted here, but the server could not be told.",
                advice="Its operator can end the session: m365-mcp sessions end.",
            ) from None
    return True


async def _revocation_endpoint(http: httpx2.AsyncClient, endpoint: str) -> str:
    """Return where the server of `endpoint` revokes tokens (RFC 9728, RFC 8414)."""
    resource = await _first(http, build_protected_resource_metadata_discovery_urls(None, endpoint))
    issuer = str(resource["authorization_servers"][0])
    server = await _first(http, build_oauth_authorization_server_metadata_discovery_urls(issuer, endpoint))
    return str(server["revocation_endpoint"])


async def _first(http: httpx2.AsyncClient, urls: list[str]) -> dict[str, Any]:
    for url in urls:
        answer = await http.get(url)
        if answer.status_code == httpx2.codes.OK:
            found: dict[str, Any] = answer.json()
            return found
    raise ValueError("the server has no metadata")
