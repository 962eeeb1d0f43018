"""A message that is ready to send, and the JSON that Graph expects for it.

Sources: Graph "user: sendMail" and "message resource type".
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from m365_mcp.errors import MessageTooLarge
from m365_mcp.mail.attachments import Attachment
from m365_mcp.mail.body import ContentType
from m365_mcp.mail.recipient import Recipient
from m365_mcp.mail.rules import MAX_REQUEST_BYTES

Importance = Literal["low", "normal", "high"]
# Graph's name of the MAPI property PidTagDeferredSendTime ([MS-OXOMSG] 2.2.3.2).
DEFERRED = "SystemTime 0x3FEF"
MESSAGE_ID_HEADER = "x-m365-mcp-id"  # Graph accepts custom headers only with the prefix x-


@dataclass(frozen=True)
class Message:
    """A valid message, ready to send.

    Attributes:
        fingerprint: the fingerprint of its request; see `mail.fingerprint`.
        from_: the mailbox that sends it; None: the person's own.
        send_at: when Exchange sends it; None: at once.
        warnings: what the server changed and what the sender should check, one sentence each.
    """

    to: tuple[Recipient, ...]
    subject: str
    body: str
    content_type: ContentType
    fingerprint: str
    cc: tuple[Recipient, ...]
    bcc: tuple[Recipient, ...]
    reply_to: tuple[Recipient, ...]
    from_: Recipient | None
    importance: Importance
    attachments: tuple[Attachment, ...]
    request_read_receipt: bool
    save_to_sent: bool
    send_at: datetime | None
    warnings: tuple[str, ...]

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses of all recipients, blind copies included."""
        return tuple(recipient.address for recipient in (*self.to, *self.cc, *self.bcc))

    def as_graph(self, message_id: str | None = None) -> dict[str, Any]:
        """Return the JSON body of `POST /me/sendMail`.

        Args:
            message_id: this server's id of the message, for the header `x-m365-mcp-id`; None: no header.
        """
        return {"message": self.draft_as_graph(message_id), "saveToSentItems": self.save_to_sent}

    def draft_as_graph(self, message_id: str | None = None) -> dict[str, Any]:
        """Return the JSON body of `POST /me/messages`."""
        message: dict[str, Any] = {
            "subject": self.subject,
            "body": {"contentType": self.content_type, "content": self.body},
            "toRecipients": _as_graph(self.to),
        }
        optional: dict[str, Any] = {
            "ccRecipients": _as_graph(self.cc),
            "bccRecipients": _as_graph(self.bcc),
            "replyTo": _as_graph(self.reply_to),
            "from": self.from_ and self.from_.as_graph(),  # Graph sets `sender` itself
            "importance": self.importance if self.importance != "normal" else None,
            "isReadReceiptRequested": self.request_read_receipt,
            "attachments": [attachment.as_graph() for attachment in self.attachments],
            # Graph refuses an empty list of headers, so only fields with a value are sent.
            "internetMessageHeaders": message_id and [{"name": MESSAGE_ID_HEADER, "value": message_id}],
            "singleValueExtendedProperties": self.send_at
            and [{"id": DEFERRED, "value": self.send_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}],
        }
        return message | {key: value for key, value in optional.items() if value}

    def encode(self, message_id: str | None = None) -> bytes:
        """Return the body of the `sendMail` request as bytes. Raises MessageTooLarge."""
        encoded = json.dumps(self.as_graph(message_id), ensure_ascii=False).encode()
        if len(encoded) > MAX_REQUEST_BYTES:
            raise MessageTooLarge(
                f"The message is {len(encoded):,} bytes; Microsoft Graph accepts {MAX_REQUEST_BYTES:,} in one request."
            )
        return encoded

    def composed_fingerprint(self) -> str:
        """Return v0.1.0's fingerprint, which covers the composed message.

        The upgrade from v0.1.0 needs it (see `sending.ledger`), so the value must never change.
        """
        content = [
            [sorted(person.key for person in people) for people in (self.to, self.cc, self.bcc, self.reply_to)],
            self.from_ and self.from_.key,
            [self.subject, self.content_type, self.body, self.importance, self.request_read_receipt],
            *([self.send_at.timestamp()] if self.send_at else ()),
            [[file.name, file.content_type, file.content_id, file.size, file.sha256] for file in self.attachments],
        ]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _as_graph(recipients: Iterable[Recipient]) -> list[dict[str, Any]]:
    return [recipient.as_graph() for recipient in recipients]
