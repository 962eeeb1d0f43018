"""A message in the mailbox, read from Graph's JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from m365_mcp.errors import MessageMissing
from m365_mcp.mail import DEFERRED, Recipient

# Graph's immutable ids stay the same when a message moves from Drafts to Sent Items.
IMMUTABLE = {"Prefer": 'IdType="ImmutableId"'}
# Our own named property, which finds a message in every folder.
MARKER = "String {6f1c2b1e-9a57-4f0e-8f55-3b6d1a2c4e70} Name m365-mcp-id"
# The names of the files that attach_files announced, one a line.
FILES = "String {6f1c2b1e-9a57-4f0e-8f55-3b6d1a2c4e70} Name m365-mcp-files"
_FILTER = " or ".join(f"id eq '{name}'" for name in (MARKER, FILES, DEFERRED))
_SELECT = (
    "subject,isDraft,from,toRecipients,ccRecipients,bccRecipients,replyTo"
    ",importance,isReadReceiptRequested,isDeliveryReceiptRequested"
)
# The query options for all fields of an `Item`.
ITEM_QUERY = f"$select={_SELECT}&$expand={quote(f'singleValueExtendedProperties($filter={_FILTER})')}"
_ID = re.compile(r"[\w=+/-]{1,1024}", re.ASCII)


@dataclass(frozen=True)
class Item:
    """A message in the mailbox, without its text.

    Attributes:
        id: Graph's immutable id.
        is_draft: whether it is not sent yet.
        from_: the mailbox that sends it, if Graph names one.
        files: names of the files that attach_files announced.
        message_id: our id, if this server created the message.
        send_at: when Exchange sends a deferred message, as Graph writes it.
        importance: low, normal or high.
        wants_read_receipt: whether it asks each recipient's mail program to tell that it was opened.
        wants_delivery_receipt: whether it asks the mail servers to tell that it arrived.
    """

    id: str
    subject: str
    is_draft: bool
    to: tuple[Recipient, ...] = ()
    cc: tuple[Recipient, ...] = ()
    bcc: tuple[Recipient, ...] = ()
    reply_to: tuple[Recipient, ...] = ()
    from_: Recipient | None = None
    files: tuple[str, ...] = ()
    message_id: str | None = None
    send_at: str | None = None
    importance: str = "normal"
    wants_read_receipt: bool = False
    wants_delivery_receipt: bool = False

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses of all recipients, blind copies included."""
        return tuple(recipient.address for recipient in (*self.to, *self.cc, *self.bcc))


def read_item(found: Mapping[str, Any]) -> Item:
    """Return the message for Graph's JSON `found`."""
    properties = found.get("singleValueExtendedProperties") or ()
    extended = {str(extra["id"]).lower(): str(extra["value"]) for extra in properties}
    return Item(
        str(found["id"]),
        str(found.get("subject") or ""),
        bool(found.get("isDraft", True)),
        to=read_recipients(found.get("toRecipients")),
        cc=read_recipients(found.get("ccRecipients")),
        bcc=read_recipients(found.get("bccRecipients")),
        reply_to=read_recipients(found.get("replyTo")),
        from_=read_sender(found.get("from")),
        files=tuple(extended.get(FILES.lower(), "").splitlines()),
        message_id=extended.get(MARKER.lower()),  # Graph writes ids of properties in lower case
        send_at=extended.get(DEFERRED.lower()),
        importance=str(found.get("importance") or "normal").lower(),
        wants_read_receipt=bool(found.get("isReadReceiptRequested")),
        wants_delivery_receipt=bool(found.get("isDeliveryReceiptRequested")),
    )


def item_path(item_id: str) -> str:
    """Return the path of a message. Raises MessageMissing for an invalid id, so that no id can become another path."""
    if not _ID.fullmatch(item_id):
        raise MessageMissing
    return f"/me/messages/{quote(item_id, safe='')}"


def read_recipients(recipients: Any) -> tuple[Recipient, ...]:
    """Return the recipients for Graph's JSON of a list of them."""
    return tuple(map(_read_recipient, recipients or ()))


def read_sender(sender: Any) -> Recipient | None:
    """Return the recipient for Graph's JSON of `from` or `sender`; None if it has no address."""
    recipient = _read_recipient(sender or {})
    return recipient if recipient.address else None


def _read_recipient(found: Mapping[str, Any]) -> Recipient:
    inner = found.get("emailAddress") or {}
    return Recipient(str(inner.get("address") or ""), inner.get("name") or None)
