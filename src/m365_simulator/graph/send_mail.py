"""`POST /v1.0/me/sendMail`: from the bearer token to the outbox (page "user: sendMail").

202 means only that the message was taken: what becomes of its recipients shows up in the mailboxes.
"""

import asyncio
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from m365_simulator.graph.bearer import Caller, read_caller
from m365_simulator.graph.json_message import read_json_message
from m365_simulator.graph.mime_message import read_mime_message
from m365_simulator.graph.problems import GraphError, Trace, error_response, new_trace
from m365_simulator.graph.throttle import Throttle
from m365_simulator.mail import Message
from m365_simulator.tenant import Tenant

DAY = 86400.0


async def send_mail(request: Request) -> Response:
    """Answer 202 with an empty body, or Graph's error envelope."""
    tenant: Tenant = request.app.state.tenant
    throttle: Throttle = request.app.state.throttle
    trace = new_trace(tenant.clock.today(), request.headers)
    body = await request.body()
    try:
        caller = read_caller(tenant, request)
        try:
            with throttle.place(caller.person.name):
                message = _accept(tenant, caller, request, body)
                await asyncio.sleep(tenant.switches.send_seconds)
                _submit(tenant, caller, message, trace)
        except GraphError as problem:
            if problem.status == 429 and tenant.switches.sent_although_throttled:
                _submit(tenant, caller, _accept(tenant, caller, request, body), trace)
            raise
    except GraphError as problem:
        return error_response(problem, trace)
    return Response(status_code=202, headers=trace.headers)


def _accept(tenant: Tenant, caller: Caller, request: Request, body: bytes) -> Message:
    """Check permission, mailbox, size and content, in the order in which Graph's layers see a request."""
    switches = tenant.switches
    if len(body) > switches.request_bytes:
        if switches.size_exceeded_status == 413:
            raise GraphError(413, "RequestEntityTooLarge", "The maximum request length was exceeded.")
        raise GraphError(400, "ErrorMessageSizeExceeded", "The message exceeds the maximum supported size.")
    if not caller.has_any("Mail.Send", "Mail.Send.Shared"):
        raise GraphError(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
    check_mailbox(tenant, caller)
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().casefold()
    if content_type == "text/plain":
        message = read_mime_message(body, caller.person, switches)
    elif content_type == "application/json":
        message = read_json_message(body, caller.person, switches)
    else:
        raise GraphError(
            415, "UnsupportedMediaType", "The Content-Type must be application/json, or text/plain for MIME."
        )
    _check_daily_limit(tenant, message)
    return message


def check_mailbox(tenant: Tenant, caller: Caller) -> None:
    """Raise GraphError for a person without an Exchange Online licence."""
    if not caller.person.licensed:
        raise GraphError(
            tenant.switches.unlicensed_status,
            "MailboxNotEnabledForRESTAPI",
            "The mailbox is either inactive, soft-deleted, or is hosted on-premise.",
        )


def _check_daily_limit(tenant: Tenant, message: Message) -> None:
    since = tenant.clock.now() - DAY
    earlier = (m for m in tenant.mail.outbox if m.sent_at > since and m.sender.address == message.sender.address)
    count = sum(len(m.recipients) for m in earlier) + len(message.recipients)
    if count > tenant.switches.recipients_per_day:
        raise GraphError(429, "ErrorExceededMessageLimit", "The sender exceeded the number of recipients per day.")


def _submit(tenant: Tenant, caller: Caller, message: Message, trace: Trace) -> None:
    now = tenant.clock.now()
    stamped = replace(message, request_id=trace.request_id, sent_at=now, visible_at=max(now, message.visible_at))
    tenant.mail.submit(stamped, caller.person, tuple(tenant.people.values()))
