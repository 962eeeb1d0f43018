"""Checks a message of any kind, and submits it to the transport."""

from dataclasses import replace
from typing import Literal

from m365_simulator.graph.call import Call, item_not_found, too_large
from m365_simulator.graph.problems import GraphError
from m365_simulator.graph.recipients import check_recipients
from m365_simulator.mail import Attachment, Message, Recipient
from m365_simulator.people import Person
from m365_simulator.switches import Switches
from m365_simulator.transport import TransportOptions

DAY = 86400.0


def own_address(person: Person) -> Recipient:
    """Return the person as the sender of a message."""
    return Recipient(person.mail or person.user_principal_name, person.display_name)


def submit(call: Call, message: Message, via: Literal["draft", "sendMail", "reply"]) -> None:
    """Send the message; GraphError when its recipients, its sender or its size are not allowed."""
    tenant, now = call.tenant, call.tenant.clock.now()
    check_recipients(message.recipients, message.reply_to, tenant.switches)
    named = _with_sender(call, message)
    check_size(call, named.attachments)
    _check_daily_limit(call, named)
    stamped = replace(
        named,
        via=via,
        request_id=call.trace.request_id,
        created_at=named.created_at or now,
        sent_at=now,
        visible_at=max(now, named.visible_at),
    )
    tenant.mail.submit(stamped, call.caller.person, _transport_options(tenant.switches))


def refuse_submitted(call: Call, item: Message) -> None:
    """Raise GraphError 404 for an item that is on its way already."""
    if call.tenant.mail.submission_of(item) is not None:
        raise item_not_found()


def check_size(call: Call, attachments: tuple[Attachment, ...], more: int = 0) -> None:
    """Raise GraphError when the attachments, and so many bytes more, are too much for one message."""
    size = sum(one.size for one in attachments) + more
    if size > call.tenant.switches.message_bytes:
        raise too_large(call.tenant, "ErrorMessageSizeExceeded", "The message exceeds the maximum supported size.")


def _with_sender(call: Call, message: Message) -> Message:
    """Name the sender (page "Send Outlook messages from another user"); GraphError 403 for a foreign name."""
    person = call.caller.person
    own = own_address(person)
    others = {r.address.casefold() for r in (message.from_, message.sender) if not person.answers_to(r.address)}
    if not others:
        return replace(message, from_=own, sender=own)
    right = call.tenant.sending_rights.find(person.name, message.from_.address)
    if right is None or others - {right.address.casefold()} or not call.caller.has_any("Mail.Send.Shared"):
        raise GraphError(
            403,
            "ErrorSendAsDenied",
            "The user account which was used to submit this request does not have the right to send mail on "
            "behalf of the specified sending account. Cannot submit message.",
        )
    shared = Recipient(right.address, right.display_name or message.from_.name)
    return replace(message, from_=shared, sender=shared if right.kind == "as" else own)


def _check_daily_limit(call: Call, message: Message) -> None:
    since, tenant = call.tenant.clock.now() - DAY, call.tenant
    earlier = (m for m in tenant.mail.outbox if m.sent_at > since and m.sender.address == message.sender.address)
    count = sum(len(m.recipients) for m in earlier) + len(message.recipients)
    if count > tenant.switches.recipients_per_day:
        raise GraphError(429, "ErrorExceededMessageLimit", "The sender exceeded the number of recipients per day.")


def _transport_options(switches: Switches) -> TransportOptions:
    return TransportOptions(
        settles_seconds=switches.send_settles_seconds,
        settling_is_seen=switches.settling_shows == "draft",
        deferred_folder=switches.deferred_folder,
        immutable_id_survives=switches.immutable_id_survives_send,
    )
