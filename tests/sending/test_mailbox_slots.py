"""The slots of a mailbox, over all replicas."""

from __future__ import annotations

import hashlib
import inspect
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from m365_mcp.errors import Throttled
from m365_mcp.person import PersonId
from m365_mcp.sending.mailbox_slots import MailboxSlots, any_slot, slot_names
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


async def test_slot_that_was_taken_before_is_the_one_that_is_held() -> None:
    """No second slot is taken; one whose lease is not sure any more is replaced."""
    leases = Leases(make_records())
    slots = MailboxSlots(leases, wait_seconds=0.0)
    taken = await leases.acquire((any_slot(ADA),), 0.0)
    late = replace(await leases.acquire(slot_names(GRACE), 0.0), sure_until=0.0)

    async with slots.slot(ADA, taken) as held, slots.slot(GRACE, late) as other:
        number = sum([await leases.is_held(name) for name in slot_names(ADA)])

    assert (held, number) == (taken, 1)
    assert other.name != late.name
    assert not await leases.is_held(taken.name)


async def test_slot_that_nobody_used_is_given_back_also_after_an_error() -> None:
    """What stops a send before it needs its slot leaves the slot free; one that was released stays alone."""
    leases = Leases(make_records())
    slots = MailboxSlots(leases)
    [first, second, *_] = slot_names(ADA)
    taken, gone = await leases.acquire((first,), 0.0), await leases.acquire((second,), 0.0)

    with pytest.raises(Throttled):
        async with slots.giving_back(taken), slots.giving_back(None):
            raise Throttled
    gone.is_released = True
    async with slots.giving_back(gone):
        pass

    assert [await leases.is_held(name) for name in (first, second)] == [False, True]
