"""The command line for what the server keeps of one person: `contacts` and `passkeys`."""

from __future__ import annotations

import asyncio

from cyclopts import App
from rich.console import Console

from m365_mcp import logs, settings

contacts = App(name="contacts", help="Delete whom a person has written to, as far as the server keeps it.")
passkeys = App(name="passkeys", help="Take a person's passkeys away.")


@passkeys.command(name="remove")
def remove_passkeys(person: str) -> None:
    """Remove all passkeys of one person, who can add new ones after a new sign-in with Microsoft.

    Example: `m365-mcp passkeys remove ada@contoso.example`

    Args:
        person: whose passkeys to remove; object id or sign-in name.
    """
    chosen = settings.load()
    from m365_mcp.commands.passkeys import remove

    logs.configure("error", chosen.mcp_log_format)
    asyncio.run(remove(chosen, Console(), person))


@contacts.command(name="forget")
def forget_contacts(person: str) -> None:
    """Delete the digests of the addresses to which a person has sent mail; they are kept for `firstTimeCount` only.

    Example: `m365-mcp contacts forget 22222222-3333-4444-8555-666666666666`

    Example: `m365-mcp contacts forget ada@contoso.example`

    Args:
        person: whose contacts to delete; object id, or the sign-in name of somebody who has a session.
    """
    chosen = settings.load()
    from m365_mcp.commands.contacts import forget

    logs.configure("error", chosen.mcp_log_format)
    asyncio.run(forget(chosen, Console(), person))
