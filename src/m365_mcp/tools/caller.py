"""Who is calling: builds the caller's Mailbox from the request's access token. Constructs only.

What a FastMCP 4.1 dependency raises is masked, so nothing here can fail; a missing sign-in shows when the mailbox is
first used. May know `errors`, `entra.on_behalf_of`, `graph.*`.
"""

from dataclasses import dataclass

from fastmcp import Context
from fastmcp.dependencies import CurrentContext
from fastmcp.server.dependencies import get_access_token

from m365_mcp.entra.on_behalf_of import Caller, OnBehalfOf
from m365_mcp.errors import SignInNeeded
from m365_mcp.graph.client import GraphClient
from m365_mcp.graph.mailbox import Mailbox, Tokens

SERVICES = "services"


@dataclass(frozen=True)
class Services:
    """The long-lived objects tools use; the server's lifespan hands them out under `SERVICES`."""

    on_behalf_of: OnBehalfOf
    graph: GraphClient


def caller_mailbox(context: Context = CurrentContext()) -> Mailbox:
    """Return the mailbox of whoever makes the current call."""
    services: Services = context.lifespan_context[SERVICES]
    caller = _caller()
    return Mailbox(services.graph, _no_tokens() if caller is None else _tokens(services.on_behalf_of, caller))


def _caller() -> Caller | None:
    token = get_access_token()
    if token is None:
        return None
    claims = token.claims
    # oid names a person in a tenant for good; sub, which the verifier asks for otherwise, does within one application.
    return Caller(str(claims.get("tid", "")), str(claims.get("oid") or claims["sub"]), token.token)


def _tokens(on_behalf_of: OnBehalfOf, caller: Caller) -> Tokens:
    return Tokens(
        get=lambda: on_behalf_of.graph_token(caller),
        reject=lambda rejected: on_behalf_of.forget(caller, rejected),
    )


def _no_tokens() -> Tokens:
    async def refuse() -> str:
        raise SignInNeeded(
            "Nobody is signed in: this connection carries no access token.",
            advice="Connect to the server's HTTP address (…/mcp) and sign in; tools cannot be called over stdio.",
        )

    return Tokens(get=refuse, reject=lambda _: None)
