"""Who is calling: builds the caller's Mailbox from the request's access token. Constructs only.

What a FastMCP 4.1 dependency raises is masked, so nothing here can fail; a missing sign-in shows when the mailbox is
first used. May know `errors`, `entra.*`, `graph.*`.
"""

from dataclasses import dataclass
from typing import NoReturn

from fastmcp import Context
from fastmcp.dependencies import CurrentContext
from fastmcp.server.dependencies import get_access_token

from m365_mcp.entra.graph_access import GraphAccess
from m365_mcp.entra.on_behalf_of import Caller, Refusal
from m365_mcp.errors import SignInNeeded
from m365_mcp.graph.client import GraphClient
from m365_mcp.graph.mailbox import Mailbox, Tokens

SERVICES = "services"


@dataclass(frozen=True)
class Services:
    """The long-lived objects tools use; the server's lifespan hands them out under `SERVICES`."""

    access: GraphAccess
    graph: GraphClient


def caller_mailbox(context: Context = CurrentContext()) -> Mailbox:
    """Return the mailbox of whoever makes the current call."""
    services: Services = context.lifespan_context[SERVICES]
    caller = _caller()
    return Mailbox(services.graph, _no_tokens() if caller is None else _tokens(services.access, caller))


def _caller() -> Caller | None:
    token = get_access_token()
    if token is None:
        return None
    claims = token.claims
    return Caller(claims["tid"], claims["oid"], token.token, claims["session"])


def _tokens(access: GraphAccess, caller: Caller) -> Tokens:
    async def get() -> str:
        return (await access.token(caller)).value

    async def renew(refused: tuple[str, ...], claims: str | None) -> tuple[str, float]:
        token = await access.token(caller, Refusal(refused, claims))
        return token.value, token.exchanged_at

    return Tokens(get=get, renew=renew, give_up=lambda: access.give_up(caller, SignInNeeded()))


def _no_tokens() -> Tokens:
    async def refuse(*_: object) -> NoReturn:
        raise SignInNeeded(
            "Nobody is signed in: this connection carries no access token.",
            advice="Connect to the server's HTTP address (…/mcp) and sign in; tools cannot be called over stdio.",
        )

    async def nothing() -> None:
        return

    return Tokens(get=refuse, renew=refuse, give_up=nothing)
