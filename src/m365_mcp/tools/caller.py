"""Builds the caller's mailbox and outbox from the access token of the request. It only constructs objects.

FastMCP 4.2 masks an exception of a dependency, so nothing here may fail. A missing sign-in becomes an error when the
mailbox is first used.
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
from m365_mcp.person import ANONYMOUS, PersonId
from m365_mcp.sending.origin import Origin
from m365_mcp.sending.outbox import Outbox, Outgoing, mailbox_of
from m365_mcp.tools.call_limits import CallLimits, PersonCalls
from m365_mcp.uploads.pending import PendingUploads, Uploads

SERVICES = "services"


@dataclass(frozen=True)
class Services:
    """The long-lived objects that tools use; the lifespan context has them under `SERVICES`."""

    tokens: GraphTokenProvider
    graph: GraphClient
    outgoing: Outgoing
    uploads: Uploads
    calls: CallLimits


def caller_mailbox(context: Context = CurrentContext()) -> Mailbox:
    """Return the mailbox of the caller."""
    services: Services = context.lifespan_context[SERVICES]
    return _mailbox(services, _caller())


def caller_calls(context: Context = CurrentContext()) -> PersonCalls:
    """Return what counts the calls of the caller."""
    services: Services = context.lifespan_context[SERVICES]
    caller = _caller()
    return PersonCalls(services.calls, caller.person if caller else None)


def caller_outbox(context: Context = CurrentContext()) -> Outbox:
    """Return the outgoing mail of the caller."""
    services: Services = context.lifespan_context[SERVICES]
    caller = _caller()
    return _outbox(services, caller)


def caller_uploads(context: Context = CurrentContext()) -> PendingUploads:
    """Return the mail with uploaded files of the caller."""
    services: Services = context.lifespan_context[SERVICES]
    caller = _caller()
    return services.uploads.for_person(_outbox(services, caller), caller.session_id if caller else "")


def _outbox(services: Services, caller: Caller | None) -> Outbox:
    person = caller.person if caller else ANONYMOUS
    origin = Origin(caller.session_id if caller else "", _client(), _sign_in_name())
    return services.outgoing.outbox(person, _mailbox(services, caller), caller, origin)


def _mailbox(services: Services, caller: Caller | None) -> Mailbox:
    if caller is None:
        return Mailbox(services.graph, _no_tokens())
    return mailbox_of(services.graph, services.tokens, caller)


def _caller() -> Caller | None:
    token = get_access_token()
    if token is None:
        return None
    claims = token.claims
    return Caller(PersonId(claims["tid"], claims["oid"]), token.token, claims["session"], claims["groups"])


def _sign_in_name() -> str:
    token = get_access_token()
    return str(token.claims.get("preferred_username") or "") if token else ""


def _client() -> str:
    token = get_access_token()
    return token.client_id if token else ""


def _no_tokens() -> TokenSource:
    async def refuse(*_: object) -> NoReturn:
        raise SignInNeeded(
            "This connection has no access token, so no person is signed in.",
            advice="Connect to the server's HTTP address (…/mcp) and sign in; tools do not work over stdio.",
        )

    async def do_nothing() -> None:
        return

    return TokenSource(get=refuse, renew=refuse, end_sign_in=do_nothing)
