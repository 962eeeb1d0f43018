"""From a signed-in person to their mailbox. Constructs only.

May know `errors`, `entra.*` and `graph.*`.
"""

from __future__ import annotations

from m365_mcp.auth.graph_token_provider import GraphAccess
from m365_mcp.entra.on_behalf_of import Caller, Refusal
from m365_mcp.errors import SignInNeeded
from m365_mcp.graph.client import GraphClient
from m365_mcp.graph.mailbox import Mailbox, Tokens


def mailbox_of(graph: GraphClient, access: GraphAccess, caller: Caller) -> Mailbox:
    """Return the mailbox of `caller`."""

    async def get() -> str:
        return (await access.token(caller)).value

    async def renew(refused: tuple[str, ...], claims: str | None) -> tuple[str, float]:
        token = await access.token(caller, Refusal(refused, claims))
        return token.value, token.exchanged_at

    return Mailbox(graph, Tokens(get=get, renew=renew, give_up=lambda: access.give_up(caller, SignInNeeded())))
