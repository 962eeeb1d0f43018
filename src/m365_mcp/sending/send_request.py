"""The request to send one message, and the keys of its records in the ledger; `ledger` gives the reasons."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from m365_mcp.person import PersonId
from m365_mcp.sending.origin import NOWHERE, Origin


def new_message_id() -> str:
    """Return a new, unique id for a message: 32 hexadecimal digits."""
    return secrets.token_hex(16)


OWN_PREFIX = "draft "  # begins every `own_key`


@dataclass(frozen=True)
class SendContent:
    """What a message contains, for a record of the send.

    Attributes:
        subject: the subject; None if it is not known.
        body: the body as the caller's part of it leaves; None if it is not known.
        attachments: the sizes of the attached files in bytes; None if they are not known.
        addresses: the addresses of all recipients, where they are known better than when the send began.
    """

    subject: str | None = None
    body: str | None = None
    attachments: tuple[int, ...] | None = None
    addresses: tuple[str, ...] | None = None

    @property
    def size(self) -> int | None:
        """The bytes of the body and of the attached files; None if they are not known."""
        if self.body is None or self.attachments is None:
            return None
        return len(self.body.encode("utf-8", "replace")) + sum(self.attachments)


@dataclass(frozen=True)
class SendRequest:
    """The request to send one message.

    Attributes:
        person: tenant and object id of the sender.
        fingerprint: the fingerprint of the request.
        idempotency_key: the caller's own id for the send, if any.
        allow_duplicate: whether the caller wants another copy of a message that an earlier call sent.
        message_id: our id of the message, if it already has one.
        composed_fingerprint: the fingerprint of v0.1.0; None when it is equal to `fingerprint`.
        save_to_sent: whether Graph stores a copy in Sent Items; of a draft it always does.
        origin: where the send comes from.
        content: returns what the message contains, for a record of the send; nobody calls it without one.
        own_key: this server's own id for the send, of what is sent once only: a draft. Its
            record has the name that every version gives it.
    """

    person: PersonId
    fingerprint: str
    idempotency_key: str | None = None
    allow_duplicate: bool = False
    message_id: str | None = None
    composed_fingerprint: str | None = None
    save_to_sent: bool = True
    origin: Origin = NOWHERE
    content: Callable[[], SendContent] = field(default=SendContent, repr=False, compare=False)
    own_key: str | None = None

    @property
    def stored_fingerprint(self) -> str:
        """The fingerprint that v0.1.0 compares."""
        return self.composed_fingerprint or self.fingerprint

    @property
    def has_key(self) -> bool:
        """Whether a key names the send, and not what the message contains."""
        return self.own_key is not None or self.idempotency_key is not None

    @property
    def _looks_like_ours(self) -> bool:
        """Whether a caller's key is spelled like our own, and so gets a name that ours never have."""
        return self.own_key is None and (self.idempotency_key or "").startswith(OWN_PREFIX)

    def earlier_names(self) -> tuple[str, ...]:
        """Return the keys of the records that earlier versions wrote, where they differ from those of now.

        This may go in a version that does not run within `M365_SEND_KEY_HOURS` of one without `own_key`.
        """
        return (self.person.digest(f"key {self.idempotency_key}"),) if self._looks_like_ours else ()

    def names(self) -> tuple[str, ...]:
        """Return the keys of the records. Two people never share a key, and a deliberate copy has a new key."""
        if self._looks_like_ours:
            return (self.person.record_key(f"caller {self.idempotency_key}"),)
        key = self.own_key or self.idempotency_key
        if key is not None:
            return (self.person.digest(f"key {key}"),)
        if self.allow_duplicate:
            return (self.person.record_key(f"copy {secrets.token_hex(16)}"),)
        ours = self.person.record_key(f"request {self.fingerprint}")
        return (self.person.digest(f"message {self.stored_fingerprint}"), ours)
