"""One request to Graph: what an endpoint gets, what it returns, and the layers that every mailbox request passes.

The layers come in Graph's order: token, place among the concurrent requests, size, permission, licence.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from m365_simulator.graph.bearer import Caller, read_caller
from m365_simulator.graph.problems import GraphError, Trace, error_response, new_trace
from m365_simulator.graph.throttle import Throttle
from m365_simulator.mail import Message
from m365_simulator.tenant import Tenant
from m365_simulator.transport import Mailbox

IMMUTABLE = 'IdType="ImmutableId"'
_ID = re.compile(r"AA[MQkA][\w=-]+")
"""An id of an item as Exchange writes it: base64url that begins with a version."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request whose sender is known."""

    tenant: Tenant
    caller: Caller
    request: Request
    body: bytes
    trace: Trace

    @property
    def query(self) -> Mapping[str, str]:
        """The query options."""
        return self.request.query_params

    @property
    def mailbox(self) -> Mailbox:
        """The caller's mailbox as it is now."""
        return self.tenant.mail.mailbox(self.caller.person.name)

    @property
    def wants_immutable_ids(self) -> bool:
        """Whether ids are to survive a move (page "Get immutable identifiers for Outlook resources")."""
        asked = ",".join(self.request.headers.getlist("prefer"))
        return IMMUTABLE.casefold() in asked.replace(" ", "").casefold()

    def item(self) -> Message:
        """Return the message that the path names; GraphError 400 for what is no id, 404 when there is no such one."""
        item_id = self.request.path_params["id"]
        if not _ID.fullmatch(item_id):
            raise GraphError(400, "ErrorInvalidIdMalformed", "Id is malformed.")
        found = self.mailbox.find(item_id)
        if found is None:
            raise item_not_found()
        return found


@dataclass(frozen=True, slots=True)
class Outcome:
    """A successful response; without `body` it is empty."""

    status: int = 200
    body: dict[str, object] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


Endpoint = Callable[[Call], Outcome]
Handler = Callable[[Request], Awaitable[Response]]


def mailbox_call(endpoint: Endpoint, *scopes: str, sends: bool = False) -> Handler:
    """Turn an endpoint into a handler for those who have one of the scopes; one that `sends` may take its time."""

    async def handle(request: Request) -> Response:
        tenant: Tenant = request.app.state.tenant
        throttle: Throttle = request.app.state.throttle
        trace = new_trace(tenant.clock.today(), request.headers)
        try:
            call = Call(tenant, read_caller(tenant, request), request, await request.body(), trace)
            outcome = await _in_turn(endpoint, scopes, call, throttle, sends)
        except GraphError as problem:
            return error_response(problem, trace)
        return _response(call, outcome)

    return handle


async def _in_turn(endpoint: Endpoint, scopes: tuple[str, ...], call: Call, throttle: Throttle, sends: bool) -> Outcome:
    switches = call.tenant.switches
    try:
        with throttle.place(call.caller.person.name):
            _check(call, scopes)
            await asyncio.sleep(switches.send_seconds if sends else 0)
            return endpoint(call)
    except GraphError as problem:
        if sends and problem.status == 429 and switches.sent_although_throttled:
            _check(call, scopes)
            endpoint(call)
        raise


def _check(call: Call, scopes: tuple[str, ...]) -> None:
    switches = call.tenant.switches
    if len(call.body) > switches.request_bytes:
        raise too_large(call.tenant, "RequestEntityTooLarge", "The maximum request length was exceeded.")
    if not call.caller.has_any(*scopes):
        raise GraphError(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
    if not call.caller.person.licensed:
        message = "The mailbox is either inactive, soft-deleted, or is hosted on-premise."
        raise GraphError(switches.unlicensed_status, "MailboxNotEnabledForRESTAPI", message)


def _response(call: Call, outcome: Outcome) -> Response:
    headers = {**call.trace.headers, **outcome.headers}
    if call.wants_immutable_ids:
        headers["Preference-Applied"] = IMMUTABLE
    if outcome.body is None:
        return Response(status_code=outcome.status, headers=headers)
    return JSONResponse(outcome.body, outcome.status, headers=headers)


def item_not_found() -> GraphError:
    """Return the 404 for an id that names nothing in this mailbox."""
    return GraphError(404, "ErrorItemNotFound", "The specified object was not found in the store.")


def too_large(tenant: Tenant, code: str, message: str) -> GraphError:
    """Return the refusal of what is too large; as a 400 it is Exchange that refuses, not the gateway before it."""
    if tenant.switches.size_exceeded_status == 400 and code == "RequestEntityTooLarge":
        code, message = "ErrorMessageSizeExceeded", "The message exceeds the maximum supported size."
    return GraphError(tenant.switches.size_exceeded_status, code, message)
