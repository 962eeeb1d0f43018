"""Replying and forwarding, as a draft or at once (pages "message: createReply", "message: reply" and their like)."""

from collections.abc import Callable
from dataclasses import replace

from m365_simulator.graph.call import Call, Outcome
from m365_simulator.graph.drafts import keep_new
from m365_simulator.graph.json_body import Json, read_parameters
from m365_simulator.graph.json_message import read_fields
from m365_simulator.graph.problems import GraphError
from m365_simulator.graph.reply_text import Kind, reply_to, with_quote
from m365_simulator.graph.submission import own_address, submit
from m365_simulator.mail import Message


def create_reply(kind: Kind) -> Callable[[Call], Outcome]:
    """Make the endpoint that answers 201 with a draft."""
    return lambda call: keep_new(call, _answer(call, kind, needs_recipient=False))


def send_reply(kind: Kind) -> Callable[[Call], Outcome]:
    """Make the endpoint that sends the reply or the forward, and answers 202."""

    def endpoint(call: Call) -> Outcome:
        submit(call, _answer(call, kind, needs_recipient=kind == "forward"), "reply")
        return Outcome(202)

    return endpoint


def _answer(call: Call, kind: Kind, *, needs_recipient: bool) -> Message:
    original = call.item()
    wanted = read_parameters(call.body, "message", "comment", "toRecipients")
    changes: Json = wanted.get("message") or {}
    comment = wanted.get("comment")
    _check(wanted, changes, kind, needs_recipient)
    message = reply_to(original, kind, call.caller.person, own_address(call.caller.person))
    if wanted.get("toRecipients"):
        changes = {**changes, "toRecipients": wanted["toRecipients"]}
    if comment:
        message = replace(message, content=with_quote(str(comment), original))
    fields = read_fields(changes)
    if "attachments" in fields:
        fields["attachments"] = (*message.attachments, *fields["attachments"])
    if "content" in fields and call.tenant.switches.reply_body_keeps_quote:
        fields |= {"content_type": "HTML", "content": with_quote(fields["content"], original)}
    return replace(message, **fields)


def _check(wanted: Json, changes: object, kind: Kind, needs_recipient: bool) -> None:
    if not isinstance(changes, dict) or not isinstance(wanted.get("comment"), str | None):
        raise GraphError(400, "UnableToDeserializePostBody", "The parameters are not of the expected types.")
    if wanted.get("comment") and changes.get("body"):
        raise GraphError(400, "ErrorInvalidRequest", "Specify either a comment or the body of the message, not both.")
    named = [bool(wanted.get("toRecipients")), bool(changes.get("toRecipients"))]
    if kind != "forward" and named[0]:
        raise GraphError(400, "RequestBodyRead", "The parameter 'toRecipients' is not a valid parameter.")
    if all(named) or (needs_recipient and not any(named)):
        raise GraphError(
            400, "ErrorInvalidRequest", "Specify the toRecipients parameter or those of the message, exactly one."
        )
