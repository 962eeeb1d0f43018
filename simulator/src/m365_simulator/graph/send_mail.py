"""`POST /v1.0/me/sendMail`: a new message from the request to the outbox (page "user: sendMail").

202 means only that the message was taken: what becomes of its recipients shows up in the mailboxes.
"""

from m365_simulator.graph.call import Call, Outcome
from m365_simulator.graph.json_message import read_send_mail
from m365_simulator.graph.mime_message import read_mime_message
from m365_simulator.graph.problems import GraphError
from m365_simulator.graph.submission import own_address, submit


def send_mail(call: Call) -> Outcome:
    """Return 202 with an empty body."""
    own = own_address(call.caller.person)
    message = read_mime_message(call.body, own) if is_mime(call) else read_send_mail(call.body, own)
    submit(call, message, "sendMail")
    return Outcome(202)


def is_mime(call: Call) -> bool:
    """Return whether the message came as MIME or as JSON; GraphError 415 for anything else."""
    content_type = call.request.headers.get("content-type", "").partition(";")[0].strip().casefold()
    if content_type not in ("text/plain", "application/json"):
        raise GraphError(
            415, "UnsupportedMediaType", "The Content-Type must be application/json, or text/plain for MIME."
        )
    return content_type == "text/plain"
