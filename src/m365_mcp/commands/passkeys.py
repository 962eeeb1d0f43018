"""The command `passkeys remove`: takes a person's passkeys away, as of one who has lost a device."""

from __future__ import annotations

from rich.console import Console

from m365_mcp.audit.events import OperatorCommand
from m365_mcp.auth.passkeys import Owner, Passkeys
from m365_mcp.commands.sessions import open_container, operator_name
from m365_mcp.settings import Settings


async def remove(settings: Settings, console: Console, person: str) -> None:
    """Remove all passkeys of one person, and print how many. Raises M365Error."""
    removed = 0
    async with open_container(settings) as container:
        passkeys = Passkeys(container.storage.records)
        with console.status("Reading the store…"):
            # Collect first: a store may list records incompletely while they are deleted.
            found = [owner.person async for owner in passkeys.owners() if _is(owner, person)]
        for owner in found:
            removed += await passkeys.remove_all(owner)
        container.audit.record(OperatorCommand("passkeys remove", operator_name(), removed, everybody=False))
    console.print(f"{removed} passkey(s) removed")


def _is(owner: Owner, person: str) -> bool:
    return person.casefold() in (owner.person.object_id, owner.sign_in_name.casefold())
