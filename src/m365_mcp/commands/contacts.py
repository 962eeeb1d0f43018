"""The command `contacts forget`: deletes what the server keeps of whom a person has written to."""

from __future__ import annotations

import re

from rich.console import Console

from m365_mcp.audit.events import OperatorCommand
from m365_mcp.commands.sessions import belongs_to, open_container, operator_name
from m365_mcp.container import Container
from m365_mcp.errors import InvalidArgument
from m365_mcp.person import PersonId
from m365_mcp.sending.opening import contacts_of
from m365_mcp.settings import Settings

_OBJECT_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


async def forget(settings: Settings, console: Console, person: str) -> None:
    """Delete one person's contacts, and print whether there were any. Raises M365Error.

    Args:
        person: object id, or the sign-in name of somebody who has a session.
    """
    async with open_container(settings) as container:
        contacts = contacts_of(settings, container.storage)
        found = [await contacts.forget(one) for one in await _ids_of(container, person)]
        container.audit.record(OperatorCommand("contacts forget", operator_name(), sum(found), everybody=False))
    console.print("The contacts were deleted." if any(found) else "There were no contacts.")


async def _ids_of(container: Container, person: str) -> set[PersonId]:
    """Return the ids that a person can have: an object id does not tell in which of the tenants it is."""
    known = {session.person async for session in container.sign_ins.sessions.all() if belongs_to(session, person)}
    if _OBJECT_ID.fullmatch(person.lower()):
        known |= {PersonId(tenant, person.lower()) for tenant in container.settings.tenants}
    if not known:
        raise InvalidArgument(
            "Nobody with this sign-in name has a session.",
            advice="Name the person by their object id in Entra ID, which needs no session.",
        )
    return known
