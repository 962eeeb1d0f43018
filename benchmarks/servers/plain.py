"""The server of the original description: AzureProvider, EntraOBOToken, client storage in Redis, two tools."""

from __future__ import annotations

import base64
import hashlib
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx2
from cryptography.fernet import Fernet
from fastmcp import FastMCP
from fastmcp.server.auth.providers.azure import AzureProvider, EntraOBOToken
from key_value.aio.stores.redis import RedisStore
from key_value.aio.wrappers.encryption import FernetEncryptionWrapper
from redis.asyncio import Redis

from benchmarks.contender import Place
from benchmarks.servers import place

SCOPES = "https://graph.microsoft.com/"
READ = EntraOBOToken([f"{SCOPES}User.Read"])
SEND = EntraOBOToken([f"{SCOPES}Mail.Send"])


def build(here: Place) -> FastMCP[None]:
    """Return the server."""
    key = base64.urlsafe_b64encode(hashlib.sha256(here.client_secret.encode()).digest())
    # A client, because RedisStore takes a password from an address as it stands there (py-key-value-aio 0.4.6).
    store = Redis.from_url(here.redis_url, decode_responses=True)
    auth = AzureProvider(
        client_id=here.client_id,
        client_secret=here.client_secret,
        tenant_id=here.tenant_id,
        base_authority=urlsplit(here.authority).netloc,
        required_scopes=["mcp-access"],
        additional_authorize_scopes=[f"{SCOPES}User.Read", f"{SCOPES}Mail.Send"],
        base_url=here.public_url,
        client_storage=FernetEncryptionWrapper(RedisStore(client=store), fernet=Fernet(key)),
    )
    server: FastMCP[None] = FastMCP("M365 MCP Server", auth=auth)
    graph = f"{here.graph}/v1.0"

    @server.tool
    async def get_my_profile(token: str = READ) -> dict[str, Any]:
        """Return name and address of the signed-in person."""
        async with httpx2.AsyncClient() as http:
            reply = await http.get(f"{graph}/me", headers={"Authorization": f"Bearer {token}"})
        reply.raise_for_status()
        found = reply.json()
        return {name: found.get(name) for name in ("displayName", "mail", "userPrincipalName")}

    @server.tool
    async def send_mail(
        to: list[str],
        subject: str,
        body: str,
        cc: list[str] | None = None,
        content_type: Literal["HTML", "Text"] = "HTML",
        save_to_sent: bool = True,
        token: str = SEND,
    ) -> str:
        """Send a mail as the signed-in person."""
        message = {
            "subject": subject,
            "body": {"contentType": content_type, "content": body},
            "toRecipients": [{"emailAddress": {"address": address}} for address in to],
            "ccRecipients": [{"emailAddress": {"address": address}} for address in cc or []],
        }
        request = {"message": message, "saveToSentItems": save_to_sent}
        async with httpx2.AsyncClient() as http:
            reply = await http.post(f"{graph}/me/sendMail", json=request, headers={"Authorization": f"Bearer {token}"})
        reply.raise_for_status()
        return "sent"

    return server


if __name__ == "__main__":
    build(place()).run(transport="http", host="127.0.0.1", port=place().port, show_banner=False)
