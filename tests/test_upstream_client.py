"""What FastMCP's OAuth client does without the seams of `m365-mcp call` (docs/architecture.md, "Seams").

A test that fails after `make lock` says that upstream has changed: the seam it names may go, or must be looked at.
"""

from __future__ import annotations

import os
from pathlib import Path

import httpx2
import pytest
from fastmcp.client.auth import OAuth
from fastmcp.client.auth.oauth import TokenStorageAdapter
from mcp.shared.auth import OAuthClientInformationFull, OAuthMetadata, OAuthToken, ProtectedResourceMetadata

from m365_mcp.commands.client_discovery import FoundServer
from m365_mcp.commands.client_sign_in import BrowserSignIn, open_token_store

ISSUER = "https://apps.example/mail"
ENDPOINT = f"{ISSUER}/mcp"


def found(issuer: str = ISSUER) -> FoundServer:
    server = {"authorization_endpoint": f"{issuer}/authorize", "token_endpoint": f"{issuer}/token", "issuer": issuer}
    return FoundServer(
        issuer,
        ProtectedResourceMetadata.model_validate({"resource": ENDPOINT, "authorization_servers": [issuer]}),
        OAuthMetadata.model_validate({**server, "response_types_supported": ["code"]}),
    )


@pytest.fixture
async def sign_in(tmp_path: Path) -> BrowserSignIn:
    """A client of yesterday's process, whose access token has expired since."""
    umask = os.umask(0)
    store = open_token_store(tmp_path)
    os.umask(umask)
    kept = TokenStorageAdapter(store, ENDPOINT)
    client = {"client_id": "c", "redirect_uris": ["http://localhost:1/callback"], "issuer": ISSUER}
    await kept.set_client_info(OAuthClientInformationFull.model_validate(client))
    await kept.set_tokens(OAuthToken(access_token="a", refresh_token="r", expires_in=-60))
    return BrowserSignIn(ENDPOINT, store, lambda _: None, opens_browser=False)


async def first_request(auth: OAuth) -> httpx2.Request:
    flow = auth.async_auth_flow(httpx2.Request("POST", ENDPOINT))
    request = await anext(flow)
    await flow.aclose()
    return request


async def test_fastmcp_forgets_where_tokens_are_refreshed(sign_in: BrowserSignIn) -> None:
    """`commands.client_discovery`: after a restart, the refresh token goes to /token of the host."""
    assert str((await first_request(sign_in)).url) == "https://apps.example/token"


async def test_prepared_client_refreshes_at_its_authorization_server(sign_in: BrowserSignIn) -> None:
    """`BrowserSignIn.prepare`: what was discovered is what FastMCP's client uses."""
    await sign_in.prepare(found())

    request = await first_request(sign_in)

    assert str(request.url) == f"{ISSUER}/token"
    assert b"refresh_token=r" in request.content


async def test_tokens_of_another_authorization_server_are_not_sent(sign_in: BrowserSignIn) -> None:
    """A server that names a new authorization server does not get the refresh token of the old one."""
    await sign_in.prepare(found("https://elsewhere.example"))

    assert str((await first_request(sign_in)).url) == ENDPOINT


async def test_handlers_of_a_subclass_are_the_ones_that_run(sign_in: BrowserSignIn) -> None:
    """`redirect_handler` and `callback_handler`: FastMCP hands the SDK the methods of the object, not its own."""
    assert sign_in.context.redirect_handler == sign_in.redirect_handler
    assert sign_in.context.callback_handler == sign_in.callback_handler
    assert "redirect_handler" in vars(OAuth)
    assert "callback_handler" in vars(OAuth)
