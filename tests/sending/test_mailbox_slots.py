"""The slots of a mailbox, over all replicas."""

from __future__ import annotations

import hashlib
import inspect
from contextlib import AsyncExitStack

import pytest

from m365_mcp.errors import Throttled
from m365_mcp.person import PersonId
from m365_mcp.sending.mailbox_slots import MailboxSlots
from m365_mcp.storage.leases import Leases
from tests.backends import make_records

ADA, GRACE = PersonId("t", "ada"), PersonId("t", "grace")


async def test_mailbox_has_four_slots_where_v0_1_0_has_them() -> None:
    """Four requests run, a fifth hears when to come back; each slot is a lease with the name that v0.1.0 knows."""
    records = make_records()
    slots = MailboxSlots(Leases(records), wait_seconds=0.0)
    mailbox = hashlib.sha256(b"t/ada").hexdigest()[:32]

    async with AsyncExitStack() as stack:
        for _ in range(4):
            await stack.enter_async_context(slots.slot(ADA))
        held = [await Leases(records).is_held(f"mailbox.{mailbox}.{number}") for number in range(5)]
        with pytest.raises(Throttled) as caught:
            await stack.enter_async_context(slots.slot(ADA))
        await stack.enter_async_context(slots.slot(GRACE))

    assert held == [True] * 4 + [False]
    assert caught.value.sentence == "This mailbox is busy with other messages."
    assert caught.value.retry_after == 10
    assert not await Leases(records).is_held(f"mailbox.{mailbox}.0")
    assert inspect.signature(MailboxSlots).parameters["wait_seconds"].default == 30.0
