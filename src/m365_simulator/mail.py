"""Mailboxes and the outbox: what was submitted, what arrived, and who is told about it. Knows no HTTP."""

import asyncio
import html
import uuid
from collections import deque
from dataclasses import dataclass, field, replace

from m365_simulator.people import Person

UNRESOLVABLE_DOMAINS = ("unresolvable.example",)


@dataclass(frozen=True, slots=True)
class Recipient:
    """An address with an optional name."""

    address: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Attachment:
    """What is kept of an attachment: never its content; `size` is in bytes."""

    name: str
    content_type: str
    size: int
    is_inline: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """A message; times are epoch seconds, `visible_at` is later than `sent_at` for a deferred send."""

    sender: Recipient
    to: tuple[Recipient, ...] = ()
    cc: tuple[Recipient, ...] = ()
    bcc: tuple[Recipient, ...] = ()
    reply_to: tuple[Recipient, ...] = ()
    subject: str = ""
    content_type: str = "Text"
    content: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    attachments: tuple[Attachment, ...] = ()
    importance: str = "normal"
    save_to_sent_items: bool = True
    id: str = field(default_factory=lambda: f"AAMk{uuid.uuid4().hex}")
    internet_message_id: str = field(default_factory=lambda: f"<{uuid.uuid4().hex}@contoso.example>")
    request_id: str = ""
    sent_at: float = 0.0
    visible_at: float = 0.0

    @property
    def recipients(self) -> tuple[Recipient, ...]:
        """Everybody the message goes to, blind copies included."""
        return (*self.to, *self.cc, *self.bcc)


@dataclass(slots=True)
class Mailbox:
    """The two folders that matter here, oldest message first, and the latest requests."""

    inbox: list[Message] = field(default_factory=list)
    sent: list[Message] = field(default_factory=list)
    requests: deque[float] = field(default_factory=deque)
    """When Graph was asked for this mailbox, for the throttle."""


class PostOffice:
    """Takes submitted messages, keeps them in the outbox and delivers them inside the known tenants."""

    def __init__(self) -> None:
        self.outbox: list[Message] = []
        self.mailboxes: dict[str, Mailbox] = {}
        self.revision = 0
        self._changed = asyncio.Event()

    def mailbox(self, person: str) -> Mailbox:
        """Return the mailbox of this person, an empty one if nothing ever arrived."""
        return self.mailboxes.setdefault(person, Mailbox())

    def submit(self, message: Message, sender: Person, people: tuple[Person, ...]) -> None:
        """Accept a message: this is the moment at which it counts as sent."""
        self.outbox.append(message)
        if message.save_to_sent_items:
            self.mailbox(sender.name).sent.append(message)
        for person in people:
            if person.licensed and any(person.answers_to(r.address) for r in message.recipients):
                # Nobody but the sender may see who got a blind copy (RFC 5322 section 3.6.3).
                self.mailbox(person.name).inbox.append(replace(message, bcc=()))
        self._report_failures(message, sender, people)
        self.announce()

    async def wait_for_change(self, seen: int, seconds: float) -> int:
        """Return the revision as soon as it differs from `seen`, or after so many seconds."""
        changed = self._changed
        if self.revision == seen:
            try:
                async with asyncio.timeout(seconds):
                    await changed.wait()
            except TimeoutError:
                pass
        return self.revision

    def fingerprint(self, now: float) -> str:
        """Return a text that changes whenever a mailbox looks different, also when a deferred message falls due."""
        visible = sum(message.visible_at <= now for message in self.outbox)
        return f"{self.revision}.{visible}"

    def announce(self) -> None:
        """Wake everybody who waits for a change."""
        self.revision += 1
        self._changed.set()
        self._changed = asyncio.Event()

    def _report_failures(self, message: Message, sender: Person, people: tuple[Person, ...]) -> None:
        """Put one non-delivery report in the sender's Inbox: a bad address is never an API error."""
        colleagues = tuple(person for person in people if person.tenant_id == sender.tenant_id)
        lost = [r.address for r in message.recipients if _cannot_be_delivered(r.address, colleagues)]
        if lost and sender.licensed:
            self.mailbox(sender.name).inbox.append(_non_delivery_report(message, lost))


def _cannot_be_delivered(address: str, colleagues: tuple[Person, ...]) -> bool:
    """Tell what is known at once: names that do not resolve, and unknown addresses of the sender's own tenant."""
    domain = address.rpartition("@")[2].casefold()
    if domain in UNRESOLVABLE_DOMAINS or domain.endswith(".invalid"):
        return True
    here = {person.user_principal_name.rpartition("@")[2].casefold() for person in colleagues}
    return domain in here and not any(person.licensed and person.answers_to(address) for person in colleagues)


def _non_delivery_report(message: Message, lost: list[str]) -> Message:
    rows = "".join(f"<li>{html.escape(address)}</li>" for address in lost)
    text = (
        f"<p>Your message could not be delivered to:</p><ul>{rows}</ul><p>Subject: {html.escape(message.subject)}</p>"
    )
    domain = message.sender.address.rpartition("@")[2]
    return Message(
        sender=Recipient(f"postmaster@{domain}", "Mail delivery (simulator)"),
        to=(message.sender,),
        subject=f"Undeliverable: {message.subject}",
        content_type="HTML",
        content=text,
        headers=(("x-simulator-report", "non-delivery"), ("in-reply-to", message.internet_message_id)),
        sent_at=message.sent_at,
        visible_at=message.visible_at,
    )
