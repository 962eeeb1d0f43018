"""Accepts submitted messages, delivers them to mailboxes, and reports failures to their senders.

A submitted message counts as sent immediately, and is in `outbox`. It leaves the sender's mailbox when it is due: now,
or at its deferred time. Every access to a mailbox first delivers what is due by the simulator's clock.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from m365_simulator.delivery_reports import cannot_be_delivered, non_delivery_report
from m365_simulator.mail import Folder, Message, new_id, new_immutable_id
from m365_simulator.people import Person


@dataclass(slots=True)
class Mailbox:
    """All items of one person, oldest first, and the latest requests."""

    items: list[Message] = field(default_factory=list)
    requests: deque[float] = field(default_factory=deque)
    """When Graph was asked for this mailbox, for the throttle."""
    uploads: deque[tuple[float, int]] = field(default_factory=deque)
    """When how many bytes were uploaded, for the same."""

    def folder(self, name: str) -> list[Message]:
        """Return the items of one folder."""
        return [item for item in self.items if item.folder == name]

    @property
    def inbox(self) -> list[Message]:
        """The messages that arrived."""
        return self.folder("inbox")

    @property
    def sent(self) -> list[Message]:
        """The copies of sent messages."""
        return self.folder("sentitems")

    def find(self, item_id: str) -> Message | None:
        """Return the item with this id, mutable or immutable."""
        return next((item for item in self.items if item.answers_to(item_id)), None)

    def put(self, item: Message) -> None:
        """Add an item, or replace the one that it is a later state of."""
        for place, other in enumerate(self.items):
            if other.immutable_id == item.immutable_id:
                self.items[place] = item
                return
        self.items.append(item)

    def remove(self, item: Message) -> None:
        """Take an item out, if it is there."""
        self.items = [other for other in self.items if other.immutable_id != item.immutable_id]


@dataclass(frozen=True, slots=True)
class Submission:
    """A message on its way: `waiting` is what the sender's mailbox shows of it until `due_at`."""

    sender: Person
    waiting: Message
    message: Message
    due_at: float

    @property
    def deferred(self) -> bool:
        """Whether the sender deferred it; until it leaves, the sender can delete it."""
        return self.message.visible_at > self.message.sent_at


@dataclass(frozen=True, slots=True)
class TransportOptions:
    """How a submission is processed, where Microsoft's behaviour is not confirmed (`switches`)."""

    settles_seconds: float = 0.0
    settling_is_seen: bool = True
    deferred_folder: Folder = "outbox"
    immutable_id_survives: bool = True


class MailTransport:
    """Takes submitted messages, keeps them in the outbox and delivers them inside the known tenants.

    It asks for the time, the people and the shared addresses whenever it delivers.
    """

    def __init__(
        self,
        now: Callable[[], float],
        people: Callable[[], tuple[Person, ...]],
        shared: Callable[[], tuple[str, ...]] = lambda: (),
    ) -> None:
        self.outbox: list[Message] = []
        self.revision = 0
        self._now, self._people, self._shared = now, people, shared
        self._mailboxes: dict[str, Mailbox] = {}
        self._pending: list[Submission] = []
        self._changed = asyncio.Event()

    def reset(self) -> None:
        """Forget everything."""
        self.outbox.clear()
        self._mailboxes.clear()
        self._pending.clear()
        self.announce()

    def mailbox(self, person: str) -> Mailbox:
        """Return the mailbox of this person as it is now, an empty one if nothing ever arrived."""
        self.release()
        return self._mailboxes.setdefault(person, Mailbox())

    def submit(self, message: Message, sender: Person, options: TransportOptions) -> None:
        """Accept a message, new or a draft: this is the moment at which it counts as sent."""
        mailbox = self.mailbox(sender.name)
        sent = replace(message, folder="sentitems", id=new_id())
        if not options.immutable_id_survives:
            sent = replace(sent, immutable_id=new_immutable_id())
        submission = Submission(
            sender, _waiting(message, options), sent, max(sent.visible_at, sent.sent_at + options.settles_seconds)
        )
        self.outbox.append(sent)
        self._pending.append(submission)
        if options.settling_is_seen or submission.deferred:
            mailbox.put(submission.waiting)
        else:
            mailbox.remove(submission.waiting)
        self.release()
        self.announce()

    def submission_of(self, item: Message) -> Submission | None:
        """Return the submission that this item of a mailbox waits for."""
        return next((one for one in self._pending if one.waiting.immutable_id == item.immutable_id), None)

    def delete(self, person: str, item: Message) -> None:
        """Move an item of a mailbox to Deleted Items; an item that is there already is removed permanently."""
        mailbox = self.mailbox(person)
        if item.folder == "deleteditems":
            mailbox.remove(item)
        else:
            mailbox.put(_deleted(item))
        self.announce()

    def recall(self, submission: Submission) -> None:
        """Delete a message before it left: it never arrives, does not count as sent, and is a draft again."""
        self._pending.remove(submission)
        self.outbox.remove(submission.message)
        self.delete(submission.sender.name, replace(submission.waiting, sent_at=0.0, via=""))

    def release(self) -> None:
        """Deliver every message that is due."""
        now = self._now()
        due = sorted((one for one in self._pending if one.due_at <= now), key=lambda one: one.due_at)
        for submission in due:
            self._pending.remove(submission)
            self._deliver(submission)
        if due:
            self.announce()

    def _deliver(self, submission: Submission) -> None:
        message, people = submission.message, self._people()
        own = self._mailboxes.setdefault(submission.sender.name, Mailbox())
        own.remove(submission.waiting)
        if message.save_to_sent_items:
            own.put(message)
        for person in people:
            if person.licensed and any(person.answers_to(r.address) for r in message.recipients):
                self._mailboxes.setdefault(person.name, Mailbox()).put(_arrived(message))
        colleagues = tuple(person for person in people if person.tenant_id == submission.sender.tenant_id)
        lost = [r.address for r in message.recipients if cannot_be_delivered(r.address, colleagues, self._shared())]
        if lost and submission.sender.licensed:
            # A bad address is never an API error (page "Automate creating, sending and processing messages").
            own.put(non_delivery_report(message, lost))

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

    def fingerprint(self) -> str:
        """Return a text that changes whenever a mailbox looks different, also when a deferred message falls due."""
        self.release()
        return str(self.revision)

    def announce(self) -> None:
        """Wake every task that waits for a change."""
        self.revision += 1
        self._changed.set()
        self._changed = asyncio.Event()


def _waiting(message: Message, options: TransportOptions) -> Message:
    """Return what the sender sees until the message has left: an unchanged draft, or a message in the Outbox."""
    if message.visible_at > message.sent_at:
        return replace(message, folder=options.deferred_folder, id=new_id())
    return replace(message, sent_at=0.0) if message.via == "draft" else replace(message, folder="outbox", id=new_id())


def _deleted(item: Message) -> Message:
    """Return the item as it is in Deleted Items: the move changes its id, but not its immutable id."""
    return replace(item, folder="deleteditems", id=new_id(), change_key=new_id())


def _arrived(message: Message) -> Message:
    """Return the recipient's copy; only the sender may see blind copies (RFC 5322 section 3.6.3)."""
    return replace(
        message,
        bcc=(),
        folder="inbox",
        is_read=False,
        id=new_id(),
        immutable_id=new_immutable_id(),
        # Everything a client stored on its own copy stays there; only headers travel.
        extended=(),
        categories=(),
    )
