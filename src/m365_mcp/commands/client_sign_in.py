"""Signs a person in to an MCP server, in their browser, and keeps the tokens in their own data folder.

The tokens are as valuable as a session of the person at the server, and are kept as other command line tools keep
theirs: in files that only this user of the machine can read (mode 0600). They are not encrypted, because the key would
have to stand beside them.

FastMCP 4.2's `OAuth` does the protocol: registration, PKCE, refresh. Added are what `client_discovery` found, the
printed address of the sign-in, and its end (RFC 7009). `redirect_handler`, `callback_handler`, `context` and
`token_storage_adapter` are public there; tests/test_upstream_client.py sees that they do what is relied on here.
"""

from __future__ import annotations

import os
import webbrowser
from collections.abc import Callable
from pathlib import Path

import httpx2
import platformdirs
from fastmcp.client.auth import OAuth
from fastmcp.client.auth.oauth import ClientNotFoundError, TokenStorageAdapter
from key_value.aio.errors import BaseKeyValueError
from key_value.aio.stores.filetree import (
    FileTreeStore,
    FileTreeV1CollectionSanitizationStrategy,
    FileTreeV1KeySanitizationStrategy,
)
from mcp.client.auth.utils import credentials_match_issuer
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthToken

from m365_mcp.commands.client_discovery import FoundServer, client_factory, find_server
from m365_mcp.errors import Unavailable

CLIENT_NAME = "m365-mcp command line"
_ONLY_OWNER = 0o077  # the umask: files get mode 0600, folders 0700
_BEGUN = (200, 302, 303, 307, 308)  # what an authorization endpoint answers when a person may go there
_UNREADABLE = (OSError, ValueError, TypeError, KeyError, BaseKeyValueError)


def token_folder() -> Path:
    """Return the folder of this user's tokens."""
    return platformdirs.user_data_path("m365-mcp") / "client"


def open_token_store(folder: Path) -> FileTreeStore:
    """Return the store of the tokens; what this process writes from now on, only its user can read.

    Raises:
        Unavailable: the folder cannot be made or used.
    """
    os.umask(_ONLY_OWNER)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        return FileTreeStore(
            data_directory=folder,
            key_sanitization_strategy=FileTreeV1KeySanitizationStrategy(folder),
            collection_sanitization_strategy=FileTreeV1CollectionSanitizationStrategy(folder),
        )
    except OSError:
        raise Unavailable(f"Tokens cannot be kept in {folder}.", advice="Make this folder writable.") from None


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

    async def prepare(self, server: FoundServer) -> None:
        """Have kept tokens refreshed where `server` says, and forget those of another authorization server."""
        try:
            client = await _read(self.token_storage_adapter)
        except _UNREADABLE:
            await _delete(self.token_storage_adapter)
            self._tell("The kept tokens could not be read, and are deleted.")
            client = None
        if client and not credentials_match_issuer(client[0], server.issuer, None):
            await _delete(self.token_storage_adapter)
        self.context.protected_resource_metadata = server.resource
        self.context.auth_server_url = server.issuer
        self.context.oauth_metadata = server.authorization

    async def redirect_handler(self, authorization_url: str) -> None:
        """Print the address, and open it."""
        async with self.httpx_client_factory() as http:
            answer = await http.get(authorization_url, follow_redirects=False)
        if answer.status_code == httpx2.codes.BAD_REQUEST:
            raise ClientNotFoundError  # FastMCP then registers anew
        if answer.status_code not in _BEGUN:
            sentence = f"The server does not begin a sign-in (status {answer.status_code})."
            raise Unavailable(sentence, advice="Try again in a moment.")
        self._tell(f"Sign in here: {authorization_url}")
        if self._opens_browser:
            webbrowser.open(authorization_url)

    async def callback_handler(self) -> AuthorizationCodeResult:
        """Wait for the browser to come back, and name the reason when it does not, or without a code."""
        try:
            return await super().callback_handler()
        except TimeoutError:
            raise Unavailable("Nobody has signed in within five minutes.", advice="Call again.") from None
        except OSError:
            raise Unavailable("The port for the browser's answer is taken.", advice="Call again.") from None
        except Exception:  # what the browser brings as an error is a RuntimeError, in groups of groups
            raise Unavailable("The sign-in was cancelled or refused.", advice="Call again.") from None


async def _read(kept: TokenStorageAdapter) -> tuple[OAuthClientInformationFull, OAuthToken] | None:
    tokens, client, _ = await kept.get_tokens(), await kept.get_client_info(), await kept.get_token_expiry()
    return (client, tokens) if client and tokens else None


async def _delete(kept: TokenStorageAdapter) -> None:
    try:
        await kept.clear()
    except _UNREADABLE:
        raise Unavailable("The kept tokens cannot be read.", advice=f"Delete the folder {token_folder()}.") from None


async def sign_out(endpoint: str, store: FileTreeStore) -> bool:
    """End the session at the server (RFC 7009) and delete its tokens here; return whether there were any.

    Raises:
        Unavailable: the tokens are deleted, but the server could not be told.
    """
    kept = TokenStorageAdapter(async_key_value=store, server_url=endpoint)
    try:
        found = await _read(kept)
    except _UNREADABLE:
        await _delete(kept)
        raise _still_in_session() from None
    await _delete(kept)
    if found is None:
        return False
    client, tokens = found
    form = {"token": tokens.refresh_token or tokens.access_token, "client_id": str(client.client_id)}
    try:
        server = await find_server(endpoint)
        if not credentials_match_issuer(client, server.issuer, None):
            raise _still_in_session()
        address = server.authorization.revocation_endpoint
        async with client_factory(endpoint)() as http:
            (await http.post(str(address), data=form)).raise_for_status()
    except (Unavailable, httpx2.HTTPError, httpx2.InvalidURL):
        raise _still_in_session() from None
    return True


def _still_in_session() -> Unavailable:
    return Unavailable(
        "The tokens are deleted here, but the server could not be told.",
        advice="Its operator can end the session: m365-mcp sessions end.",
    )
