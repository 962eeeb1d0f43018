"""Who is calling: builds the caller's Mailbox from the request's access token. Constructs only.

What a FastMCP 4.2 dependency raises is masked, so nothing here can fail; a missing sign-in shows when the mailbox is
first used. May know `errors`, `entra.*`, `graph.*`, `sending.*`, `uploads.*`.
"""

from dataclasses import dataclass
from typing import NoReturn

from fastmcp import Context
from fastmcp.dependencies import CurrentContext
from fastmcp.server.dependencies import get_access_token

from m365_mcp.entra.graph_access import GraphAccess
from m365_mcp.entra.on_behalf_of import Caller
from m365_mcp.errors import SignInNeeded
from m365_mcp.graph.client import GraphClient
from m365_mcp.graph.mailbox import Mailbox, Tokens
from m365_mcp.sending.office import Desk, Office
from m365_mcp.sending.senders import mailbox_of
from m365_mcp.uploads.desk import UploadDesk, Uploads

SERVICES = "services"


@dataclass(frozen=True)
class Services:
    """The long-lived objects tools use; the server's lifespan hands them out under `SERVICES`."""

    access: GraphAccess
    graph: GraphClient
    office: Office
    uploads: Uploads


def caller_mailbox(context: Context = CurrentContext()) -> Mailbox:
    """Return the mailbox of whoever makes the current call."""
    services: Services = context.lifespan_context[SERVICES]
    return _mailbox(services, _caller())


def caller_desk(context: Context = CurrentContext()) -> Desk:
    """Return the outgoing mail of whoever makes the current call."""
    services: Services = context.lifespan_context[SERVICES]
    caller = _caller()
    person = ("", "") if caller is None else caller.key
    return services.office.desk(person, _mailbox(services, caller))


def caller_upload_desk(context: Context = CurrentContext()) -> UploadDesk:
    """Return the mail with uploaded files of whoever makes the current call."""
    services: Services = context.lifespan_context[SERVICES]
    caller = _caller()
    person, session_id = (("", ""), "") if caller is None else (caller.key, caller.session_id)
    return services.uploads.desk(person, session_id, _mailbox(services, caller))


def _mailbox(services: Services, caller: Caller | None) -> Mailbox:
    if caller is None:
        return Mailbox(services.graph, _no_tokens())
    return mailbox_of(services.graph, services.access, caller)


def _caller() -> Caller | None:
    token = get_access_token()
    if token is None:
        return None
    claims = token.claims
    return Caller(claims["tid"], claims["oid"], token.token, claims["session"])


def _no_tokens() -> Tokens:
    async def refuse(*_: object) -> NoReturn:
        raise SignInNeeded(
            "Nobody is signed in: this connection carries no access token.",
            advice="Connect to the server's HTTP address (…/mcp) and sign in; tools cannot be called over stdio.",
        )

    async def nothing() -> None:
        return

    return Tokens(get=refuse, renew=refuse, give_up=nothing)
