"""`GET /v1.0/me/mailFolders/sentitems/messages`: what the person has sent (page "List messages")."""

import re
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from m365_simulator.graph.bearer import Caller, read_caller
from m365_simulator.graph.problems import GraphError, error_response, new_trace
from m365_simulator.graph.send_mail import check_mailbox
from m365_simulator.graph.throttle import Throttle
from m365_simulator.mail import Message, Recipient
from m365_simulator.tenant import Tenant

DEFAULT_TOP, LARGEST_TOP = 10, 1000
_BY_ID = re.compile(r"internetMessageId eq '(?P<id>[^']*)'")


async def sent_items(request: Request) -> Response:
    """Answer one page of messages, newest first; reads `$top`, `$skip`, `$select` and one `$filter`."""
    tenant: Tenant = request.app.state.tenant
    throttle: Throttle = request.app.state.throttle
    trace = new_trace(tenant.clock.today(), request.headers)
    try:
        caller = read_caller(tenant, request)
        with throttle.place(caller.person.name):
            body = _list(tenant, request, caller)
    except GraphError as problem:
        return error_response(problem, trace)
    return JSONResponse(body, headers=trace.headers)


def _list(tenant: Tenant, request: Request, caller: Caller) -> dict[str, object]:
    if not caller.has_any("Mail.Read", "Mail.ReadBasic", "Mail.ReadWrite"):
        raise GraphError(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
    check_mailbox(tenant, caller)
    may_see_text = caller.has_any("Mail.Read", "Mail.ReadWrite")
    query = request.query_params
    top, skip = _number(query.get("$top"), DEFAULT_TOP), _number(query.get("$skip"), 0)
    if not 1 <= top <= LARGEST_TOP:
        raise GraphError(400, "ErrorInvalidUrlQuery", f"$top must be between 1 and {LARGEST_TOP}.")
    found = _filter(list(reversed(tenant.mail.mailbox(caller.person.name).sent)), query.get("$filter"))
    names = [name.strip() for name in query["$select"].split(",")] if query.get("$select") else None
    context = f"{tenant.authority}/v1.0/$metadata#users('me')/mailFolders('sentitems')/messages"
    answer: dict[str, object] = {
        "@odata.context": context,
        "value": [_select(as_graph(message, may_see_text), names) for message in found[skip : skip + top]],
    }
    if len(found) > skip + top:
        following = request.url.include_query_params(**{"$skip": str(skip + top)})
        answer["@odata.nextLink"] = f"{tenant.authority}{following.path}?{following.query}"
    return answer


def as_graph(message: Message, may_see_text: bool) -> dict[str, object]:
    """Return a message as Graph writes it; without `may_see_text` (Mail.ReadBasic) body and attachments stay out."""
    sent = datetime.fromtimestamp(message.sent_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    known: dict[str, object] = {
        "id": message.id,
        "subject": message.subject,
        "sentDateTime": sent,
        "receivedDateTime": sent,
        "internetMessageId": message.internet_message_id,
        "importance": message.importance,
        "isDraft": False,
        "isRead": True,
        "hasAttachments": bool(message.attachments),
        "from": _recipient(message.sender),
        "sender": _recipient(message.sender),
        "toRecipients": [_recipient(r) for r in message.to],
        "ccRecipients": [_recipient(r) for r in message.cc],
        "bccRecipients": [_recipient(r) for r in message.bcc],
        "replyTo": [_recipient(r) for r in message.reply_to],
        "internetMessageHeaders": [{"name": name, "value": value} for name, value in message.headers],
    }
    if may_see_text:
        known["bodyPreview"] = message.content[:255]
        known["body"] = {"contentType": message.content_type.lower(), "content": message.content}
    return known


def _select(message: dict[str, object], names: list[str] | None) -> dict[str, object]:
    """Headers come only when they are selected by name."""
    wanted = names or [name for name in message if name != "internetMessageHeaders"]
    return {name: message[name] for name in dict.fromkeys((*wanted, "id")) if name in message}


def _filter(messages: list[Message], text: str | None) -> list[Message]:
    if text is None:
        return messages
    match = _BY_ID.fullmatch(text)
    if match is None:
        raise GraphError(
            400, "ErrorInvalidUrlQueryFilter", "The simulator understands only: internetMessageId eq '<...>'."
        )
    return [message for message in messages if message.internet_message_id == match["id"]]


def _number(text: str | None, otherwise: int) -> int:
    if text is None:
        return otherwise
    if not text.isdecimal():
        raise GraphError(400, "ErrorInvalidUrlQuery", "The query option is not a whole number.")
    return int(text)


def _recipient(recipient: Recipient) -> dict[str, object]:
    return {"emailAddress": {"name": recipient.name or recipient.address, "address": recipient.address}}
