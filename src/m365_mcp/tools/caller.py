"""Who is calling: builds the caller's Mailbox from the request's access token. Constructs only.

What a FastMCP 4.2 dependency raises is masked, so nothing here can fail; a missing sign-in shows when the mailbox is
first used.
"""

from dataclasses import dataclass
from typing import NoReturn

from fastmcp import Context
from fastmcp.dependencies import CurrentContext
from fastmcp.server.dependencies import get_access_token

from m365_mcp.auth.graph_token_provider import GraphTokenProvider
from m365_mcp.entra.on_behalf_of import Caller
from m365_mcp.errors import SignInNeeded
from m365_mcp.graph.client import GraphClient
from m365_mcp.graph.mailbox import Mailbox, TokenSource
from m365_mcp.person import NOBODY, PersonId
from m365_mcp.sending.outbox import Outbox, Outgoing, mailbox_of
from m365_mcp.uploads.pending import PendingUploads, Uploads

SERVICES = "services"


@dataclass(frozen=True)
class Services:
    """The long-lived objects tools use; the server's lifespan hands them out under `SERVICES`."""

    tokens: GraphTokenProvider
    graph: GraphClient
    outgoing: Outgoing
    uploads: Uploads


def caller_mailbox(context: Context = CurrentContext()) -> Mailbox:
    """Return the mailbox of whoever makes the current call."""
    services: Services = context.lifespan_context[SERVICES]
    return _mailbox(services, _caller())


def caller_outbox(context: Context = CurrentContext()) -> Outbox:
    """Return the outgoing mail of whoever makes the current call."""
    services: Services = context.lifespan_context[SERVICES]
    caller = _caller()
    return _outbox(services, caller)


def caller_uploads(context: Context = CurrentContext()) -> PendingUploads:
    """Return the mail with uploaded files of whoever makes the current call."""
    services: Services = context.lifespan_context[SERVICES]
    caller = _caller()
    return services.uploads.for_person(_outbox(services, caller), caller.session_id if caller else "")


def _outbox(services: Services, caller: Caller | None) -> Outbox:
    person = caller.person if caller else NOBODY
    return services.outgoing.outbox(person, _mailbox(services, caller))


def _mailbox(services: Services, caller: Caller | None) -> Mailbox:
    if caller is None:
        return Mailbox(services.graph, _no_tokens())
    return mailbox_of(services.graph, services.tokens, caller)


def _caller() -> Caller | None:
    token = get_access_token()
    if token is None:
        return None
    claims = token.claims
    return Caller(PersonId(claims["tid"], claims["oid"]), token.token, claims["session"])


def _no_tokens() -> TokenSource:
    async def refuse(*_: object) -> NoReturn:
        raise SignInNeeded(
            "Nobody is signed in: this connection carries no access token.",
            advice="Connect to the server's HTTP address (…/mcp) and sign in; tools cannot be called over stdio.",
        )

    async def nothing() -> None:
        return

    return TokenSource(get=refuse, renew=refuse, end_sign_in=nothing)
