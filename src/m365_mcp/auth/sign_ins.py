"""The components of the OAuth proxy besides FastMCP."""

from __future__ import annotations

from dataclasses import dataclass

from key_value.aio.protocols import AsyncKeyValue
from mcp.shared.auth import OAuthClientInformationFull

from m365_mcp.auth.callbacks import Callbacks
from m365_mcp.auth.client_metadata.clients import ClientMetadata
from m365_mcp.auth.session_access import SessionAccess
from m365_mcp.auth.session_refresher import SessionRefresher
from m365_mcp.auth.sessions import Sessions
from m365_mcp.auth.unused_registrations import UnusedRegistrations
from m365_mcp.auth.upstream import UpstreamClient
from m365_mcp.storage.leases import Leases


@dataclass(frozen=True)
class SignIns:
    """The components of the proxy besides FastMCP.

    Attributes:
        flows: FastMCP's store of registrations and running sign-ins.
        sessions: the sessions.
        refresher: refreshes them.
        callbacks: Entra's callbacks.
        upstream: redeems Entra's codes.
        leases: let one replica at a time take a person's answer on the consent page.
        client_metadata: the metadata documents of clients; None when MCP_CIMD is off.
        unused_registrations: the registrations with which nobody has signed in.
        signing_keys: 32 bytes each; the first signs our tokens, all are accepted.
    """

    flows: AsyncKeyValue
    sessions: Sessions
    refresher: SessionRefresher
    callbacks: Callbacks
    upstream: UpstreamClient
    leases: Leases
    client_metadata: ClientMetadata | None
    unused_registrations: UnusedRegistrations
    signing_keys: tuple[bytes, ...]

    @property
    def access(self) -> SessionAccess:
        """Finds what an access token of ours stands for."""
        return SessionAccess(self.refresher)

    async def keep_metadata(self, client: OAuthClientInformationFull) -> None:
        """Store the metadata document of a client with which somebody signs in. Raises StorageUnavailable."""
        if self.client_metadata is not None:
            await self.client_metadata.keep(client)

    async def use_assertion(self, client: OAuthClientInformationFull) -> None:
        """Count the assertion of a client that has shown a valid code or token. Raises as `ClientMetadata` does."""
        if self.client_metadata is not None:
            await self.client_metadata.use_assertion(client)

    async def lend_metadata(self, client: OAuthClientInformationFull) -> None:
        """Store the metadata document of a client for one sign-in that begins. Raises StorageUnavailable."""
        if self.client_metadata is not None:
            await self.client_metadata.lend(client)

    async def close(self) -> None:
        """Close the connections to the hosts of metadata documents."""
        if self.client_metadata is not None:
            await self.client_metadata.close()
