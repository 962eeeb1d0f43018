"""The command line for what the server keeps of one person: `contacts` and `passkeys`."""

from __future__ import annotations

from cyclopts import App
from rich.console import Console

from m365_mcp.commands.running import run_quietly

contacts = App(name="contacts", help="Delete whom a person has written to, as far as the server keeps it.")
passkeys = App(name="passkeys", help="Take a person's passkeys away.")


@passkeys.command(name="remove")
def remove_passkeys(person: str) -> None:
    """Remove all passkeys of one person, who can add new ones after a new sign-in with Microsoft.

    Example: `m365-mcp passkeys remove ada@contoso.example`

    Args:
        person: whose passkeys to remove; object id or sign-in name.
    """
    from m365_mcp import settings

    chosen = settings.load()
    from m365_mcp.commands.passkeys import remove

    run_quietly(chosen, remove(chosen, Console(), person))


@contacts.command(name="forget")
def forget_contacts(person: str) -> None:
    """Delete the digests of the addresses to which a person has sent mail; they are kept for `firstTimeCount` only.

    Example: `m365-mcp contacts forget 22222222-3333-4444-8555-666666666666`

    Example: `m365-mcp contacts forget ada@contoso.example`

    Args:
        person: whose contacts to delete; object id, or the sign-in name of somebody who has a session.
    """
    from m365_mcp import settings

    chosen = settings.load()
    from m365_mcp.commands.contacts import forget

    run_quietly(chosen, forget(chosen, Console(), person))
