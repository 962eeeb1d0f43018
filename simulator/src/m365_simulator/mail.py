"""A message and its parts, as values: what a mailbox holds and what the outbox records."""

import uuid
from dataclasses import dataclass, field
from typing import Literal

Folder = Literal["inbox", "drafts", "outbox", "sentitems", "deleteditems"]
UNSENT: tuple[Folder, ...] = ("drafts", "outbox")


def new_id() -> str:
    """Return the id of an item in one folder: it changes when the item moves (page "Get immutable identifiers")."""
    return f"AAMk{uuid.uuid4().hex}="


def new_immutable_id() -> str:
    """Return an id that an item keeps while it stays in one mailbox."""
    return f"AAkA{uuid.uuid4().hex}="


@dataclass(frozen=True, slots=True)
class Recipient:
    """An address with an optional name."""

    address: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Attachment:
    """What is kept of an attachment; `size` is in bytes, `sha256` is of the bytes, in hex.

    Of a file that came in one request the bytes are kept, so that they can be read again; of an upload they are not.
    """

    name: str
    content_type: str
    size: int
    is_inline: bool = False
    sha256: str = ""
    content_id: str | None = None
    id: str = field(default_factory=new_id)
    content: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class ExtendedProperty:
    """A MAPI property by its id (`SystemTime 0x3FEF`); the case of the id does not matter."""

    id: str
    value: str

    def is_named(self, name: str) -> bool:
        """Return whether this is the property with that id."""
        return self.id.casefold() == name.casefold()


@dataclass(frozen=True, slots=True)
class Message:
    """A message; times are epoch seconds, `visible_at` is later than `sent_at` for a deferred send.

    `from_` is whose name the message bears, `sender` who sent it (RFC 5322 section 3.6.2).
    """

    sender: Recipient
    from_: Recipient
    to: tuple[Recipient, ...] = ()
    cc: tuple[Recipient, ...] = ()
    bcc: tuple[Recipient, ...] = ()
    reply_to: tuple[Recipient, ...] = ()
    subject: str = ""
    content_type: str = "Text"
    content: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    attachments: tuple[Attachment, ...] = ()
    extended: tuple[ExtendedProperty, ...] = ()
    importance: str = "normal"
    categories: tuple[str, ...] = ()
    is_read_receipt_requested: bool = False
    is_delivery_receipt_requested: bool = False
    is_read: bool = True
    save_to_sent_items: bool = True
    conversation_id: str = field(default_factory=lambda: f"AAQk{uuid.uuid4().hex}=")
    in_reply_to: str = ""
    """The Message-ID of what this answers (RFC 5322 section 3.6.4)."""
    references: tuple[str, ...] = ()
    folder: Folder = "drafts"
    via: Literal["draft", "sendMail", "reply", ""] = ""
    """By which call it was sent."""
    id: str = field(default_factory=new_id)
    immutable_id: str = field(default_factory=new_immutable_id)
    change_key: str = field(default_factory=lambda: uuid.uuid4().hex)
    internet_message_id: str = field(default_factory=lambda: f"<{uuid.uuid4().hex}@contoso.example>")
    request_id: str = ""
    created_at: float = 0.0
    sent_at: float = 0.0
    visible_at: float = 0.0

    @property
    def recipients(self) -> tuple[Recipient, ...]:
        """Everybody the message goes to, blind copies included."""
        return (*self.to, *self.cc, *self.bcc)

    @property
    def is_draft(self) -> bool:
        """Whether it was not sent yet; a draft that was deleted is still one."""
        return self.folder in UNSENT or (self.folder == "deleteditems" and not self.sent_at)

    def answers_to(self, item_id: str) -> bool:
        """Return whether this is the item with that id, of either kind."""
        return item_id in (self.id, self.immutable_id)

    def extended_value(self, name: str) -> str | None:
        """Return the value of an extended property."""
        return next((one.value for one in self.extended if one.is_named(name)), None)
