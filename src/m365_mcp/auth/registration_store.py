"""Gives FastMCP's registrations an end: a week unless somebody signs in, else 90 days from their last use."""

from __future__ import annotations

from dataclasses import dataclass

from m365_mcp.auth.client_secrets import ModelStore
from m365_mcp.auth.unused_registrations import UNUSED_REGISTRATION_SECONDS, UnusedRegistrations

REGISTRATION_SECONDS = 90 * 24 * 3600  # as long as Entra keeps an unused refresh token


@dataclass(frozen=True)
class RegistrationStore:
    """The store of registrations; FastMCP 4.2 gives them no end.

    Attributes:
        clients: FastMCP's store.
        unused: bounds the number of registrations with which nobody has signed in.
    """

    clients: ModelStore
    unused: UnusedRegistrations

    async def make_room(self, client_id: str) -> None:
        """Count a new registration; if there are too many, delete the oldest unused one. Raises StorageUnavailable."""
        dropped = await self.unused.add(client_id)
        if dropped is not None:
            await self.clients.delete(key=dropped)

    async def begin(self, client_id: str) -> None:
        """Give a new registration its end. Raises StorageUnavailable."""
        client, seconds = await self.clients.ttl(key=client_id)
        if client is not None and seconds is None:
            await self.clients.put(key=client_id, value=client, ttl=UNUSED_REGISTRATION_SECONDS)

    async def keep(self, client_id: str) -> bool:
        """Keep a registration with which somebody signs in or refreshes; return False if it was dropped just now.

        Raises:
            StorageUnavailable: the store did not respond; the same call may be made again.
        """
        client, seconds = await self.clients.ttl(key=client_id)
        if client is None:
            return False
        if seconds is None or seconds <= UNUSED_REGISTRATION_SECONDS:
            if not await self.unused.use(client_id):
                return False
            seconds = 0
        if seconds < REGISTRATION_SECONDS / 2:  # a write for each refresh would be too many
            await self.clients.put(key=client_id, value=client, ttl=REGISTRATION_SECONDS)
        return True
