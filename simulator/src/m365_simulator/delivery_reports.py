"""Decides which addresses cannot be reached, and makes the report to the sender."""

from m365_simulator.mail import Message, Recipient
from m365_simulator.people import Person
from m365_simulator.templating import render

UNRESOLVABLE_DOMAINS = ("unresolvable.example",)


def cannot_be_delivered(address: str, colleagues: tuple[Person, ...], shared: tuple[str, ...]) -> bool:
    """Return whether delivery must fail: the domain does not resolve, or the sender's tenant has no such address."""
    domain = address.rpartition("@")[2].casefold()
    if domain in UNRESOLVABLE_DOMAINS or domain.endswith(".invalid"):
        return True
    if address.casefold() in shared:
        return False
    here = {person.user_principal_name.rpartition("@")[2].casefold() for person in colleagues}
    return domain in here and not any(person.licensed and person.answers_to(address) for person in colleagues)


def non_delivery_report(message: Message, lost: list[str]) -> Message:
    """Return the message that tells the sender which addresses were not reached."""
    text = render("non_delivery_report.html", lost=lost, subject=message.subject)
    postmaster = Recipient(f"postmaster@{message.sender.address.rpartition('@')[2]}", "Mail delivery (simulator)")
    return Message(
        sender=postmaster,
        from_=postmaster,
        to=(message.sender,),
        subject=f"Undeliverable: {message.subject}",
        content_type="HTML",
        content=text,
        headers=(("x-simulator-report", "non-delivery"), ("in-reply-to", message.internet_message_id)),
        conversation_id=message.conversation_id,
        in_reply_to=message.internet_message_id,
        folder="inbox",
        is_read=False,
        created_at=message.visible_at,
        sent_at=message.visible_at,
        visible_at=message.visible_at,
    )
