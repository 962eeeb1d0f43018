"""A person's own mail program: what a person does in Outlook, past the server, with the same mailbox."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from m365_simulator import Ready
from tests.e2e.programs import Simulator
from tests.simulator.client import Client, mail
from tests.simulator.live import opened


@dataclass(frozen=True)
class Outlook:
    """One person's mailbox, opened with permission to read, write and send."""

    client: Client
    headers: dict[str, str]

    async def delete(self, item_id: str) -> None:
        """Delete a message: it moves to Deleted Items, or goes for good from there."""
        reply = await self.client.graph("DELETE", f"me/messages/{item_id}", self.headers)
        assert reply.status_code == 204, reply.text

    async def change(self, item_id: str, **changes: Any) -> None:
        """Change a draft."""
        reply = await self.client.graph("PATCH", f"me/messages/{item_id}", self.headers, json=changes)
        assert reply.status_code == 200, reply.text

    async def attach(self, item_id: str, name: str) -> None:
        """Attach a small file to a draft."""
        file = {"@odata.type": "#microsoft.graph.fileAttachment", "name": name, "contentBytes": "aGk="}
        reply = await self.client.graph("POST", f"me/messages/{item_id}/attachments", self.headers, json=file)
        assert reply.status_code == 201, reply.text

    async def detach(self, item_id: str) -> None:
        """Remove every attachment of a draft."""
        path = f"me/messages/{item_id}/attachments"
        for one in (await self.client.graph("GET", path, self.headers)).json()["value"]:
            assert (await self.client.graph("DELETE", f"{path}/{one['id']}", self.headers)).status_code == 204

    async def send(self, **changes: Any) -> None:
        """Send a mail to Grace."""
        reply = await self.client.send(self.headers, mail(**changes))
        assert reply.status_code == 202, reply.text

    async def draft(self, **changes: Any) -> None:
        """Put a mail to Grace into the Drafts folder."""
        await self.client.draft(self.headers, **changes)

    async def subjects(self, folder: str) -> list[str]:
        """Return what lies in a folder, by Graph's name for it."""
        reply = await self.client.graph("GET", f"me/mailFolders/{folder}/messages", self.headers)
        return [one["subject"] for one in reply.json()["value"]]


def people(*addresses: str) -> list[dict[str, Any]]:
    """Return recipients as Graph writes them."""
    return [{"emailAddress": {"address": address}} for address in addresses]


@asynccontextmanager
async def outlook_of(simulator: Simulator, name: str = "ada@contoso.example") -> AsyncIterator[Outlook]:
    """Open a person's Outlook."""
    async with opened(Ready(**simulator.ready)) as client:
        yield Outlook(client, await client.mail_headers(name))
