"""What a caller wants sent, and under which names the ledger keeps it; `ledger` says why these."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from m365_mcp.person import PersonId


def new_message_id() -> str:
    """Return an id for a message that no other message has."""
    return secrets.token_hex(16)


@dataclass(frozen=True)
class SendRequest:
    """What a caller wants sent.

    Attributes:
        person: tenant and object id.
        fingerprint: of the request.
        idempotency_key: the caller's own name for the send, if it gave one.
        allow_duplicate: whether the caller wants another copy of a message that was sent before.
        message_id: our id of it, when it bears one already.
        composed_fingerprint: v0.1.0's fingerprint; None where it is the same.
    """

    person: PersonId
    fingerprint: str
    idempotency_key: str | None = None
    allow_duplicate: bool = False
    message_id: str | None = None
    composed_fingerprint: str | None = None

    @property
    def stored_fingerprint(self) -> str:
        """The fingerprint v0.1.0 compares with."""
        return self.composed_fingerprint or self.fingerprint

    def names(self) -> tuple[str, ...]:
        """Return the keys of the records; two people never share one, and a deliberate copy has one of its own."""
        if self.idempotency_key is not None:
            return (self.person.digest(f"key {self.idempotency_key}"),)
        if self.allow_duplicate:
            return (self.person.record_key(f"copy {secrets.token_hex(16)}"),)
        ours = self.person.record_key(f"request {self.fingerprint}")
        return (self.person.digest(f"message {self.stored_fingerprint}"), ours)
