"""The limits of concurrent uploads."""

from contextlib import ExitStack

import pytest

from m365_mcp.errors import ServerBusy
from m365_mcp.person import PersonId
from m365_mcp.uploads.slots import SLOTS, SLOTS_PER_PERSON, UploadSlots

ADA, GRACE, LIN = (PersonId("tenant", name) for name in ("ada", "grace", "lin"))


def test_h8_one_person_cannot_have_all_slots() -> None:
    """The limit of one person leaves slots to other people, and a released slot is free again."""
    slots = UploadSlots(total=3, per_person=2)
    with ExitStack() as running:
        running.enter_context(slots.slot(ADA))
        running.enter_context(slots.slot(ADA))
        with pytest.raises(ServerBusy, match="as many files as one person may"):
            running.enter_context(slots.slot(ADA))
        running.enter_context(slots.slot(GRACE))
        with pytest.raises(ServerBusy, match="as many files as it can"):
            running.enter_context(slots.slot(LIN))
    with slots.slot(ADA), slots.slot(ADA), slots.slot(LIN):
        pass


def test_one_person_may_have_fewer_than_there_are() -> None:
    """One person may use at most half of the slots."""
    assert 2 * SLOTS_PER_PERSON <= SLOTS
