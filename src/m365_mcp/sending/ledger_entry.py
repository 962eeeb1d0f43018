"""One entry of the ledger: what is recorded about one send, and the right of a call to perform it; see `ledger`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from m365_mcp.storage.leases import Lease
from m365_mcp.storage.records import Versioned

State = Literal["sending", "sent", "failed", "unknown", "held", "declined"]


class Entry(BaseModel):
    """The record of one send.

    Attributes:
        state: see the module.
        fingerprint: the fingerprint of the composed message, which v0.1.0 compares. A key names one message only.
        message_id: our id of the message; the mail contains it, too.
        began_at: start of the send, in epoch seconds.
        draft_id: Graph's id of the draft; None before Graph has created one.
        receipt: the receipt of the first caller; None before the send.
        request_fingerprint: the fingerprint of the request; None when v0.1.0 wrote the record.
        lease: the key of the record that names the lease of the send; None when this record does.
        records_draft: whether the send stores its draft here before it sends it. None when v0.1.0 wrote the record.
        save_to_sent: whether the first caller wanted a copy in Sent Items. None when v0.1.0 wrote the record.
        held_until: until when the person may approve the message, or its refusal stands, in epoch seconds; None if
            nobody was asked.
        rule: the id of the policy that has the message wait.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    state: State
    fingerprint: str
    message_id: str
    began_at: float
    draft_id: str | None = None
    receipt: dict[str, Any] | None = None
    request_fingerprint: str | None = None
    lease: str | None = None
    records_draft: bool | None = None
    save_to_sent: bool | None = None
    held_until: float | None = None
    rule: str | None = None

    def is_over(self, now: float) -> bool:
        """Return whether another call may reserve the send: it failed, or the time of the person's answer is over."""
        waits = self.state in ("held", "declined")
        return self.state == "failed" or (waits and now >= (self.held_until or 0.0))

    @property
    def is_saved(self) -> bool | None:
        """Whether Graph stores a copy in Sent Items, as it does of every draft; None when v0.1.0 did not record it."""
        return True if self.draft_id is not None else self.save_to_sent


@dataclass(frozen=True)
class Reservation:
    """The right of this call to perform a send, or the entry of the earlier call that it repeats.

    Attributes:
        name: key of the record that decides.
        stored: the record with its version.
        entry: the content of the record.
        is_ours: whether this call performs the send.
        seconds: how long the store retains the record.
        names: keys of all records of the send.
        lease: the lease of the send, if this call created it and all records together.
        slot: a slot of the mailbox, if this call took one together with them.
    """

    name: str
    stored: Versioned
    entry: Entry
    is_ours: bool
    seconds: float
    names: tuple[str, ...]
    lease: Lease | None = None
    slot: Lease | None = None


def parse_entry(stored: Versioned) -> Entry | None:
    """Return the entry of a record; None if there is none, or none that can be read."""
    if stored.value is None:
        return None
    try:
        return Entry.model_validate(stored.value)
    except ValidationError:
        return None


@dataclass
class RunningSend:
    """A running send with its current reservation, which changes when the ledger stores a draft."""

    reservation: Reservation
