"""How many files are uploaded at a time."""

from contextlib import ExitStack

import pytest

from m365_mcp.errors import ServerBusy
from m365_mcp.person import PersonId
from m365_mcp.uploads.slots import SLOTS, SLOTS_OF_ONE_PERSON, UploadSlots

ADA, GRACE, LIN = (PersonId("tenant", name) for name in ("ada", "grace", "lin"))


def test_h8_one_person_cannot_have_all_slots() -> None:
    """Who has as many as one person may is refused, and others are not; a slot that is given back can be had again."""
    slots = UploadSlots(total=3, of_one_person=2)
    with ExitStack() as running:
        running.enter_context(slots.slot(ADA))
        running.enter_context(slots.slot(ADA))
        with pytest.raises(ServerBusy, match="2 files of this person"):
            running.enter_context(slots.slot(ADA))
        running.enter_context(slots.slot(GRACE))
        with pytest.raises(ServerBusy, match="as many files as it can"):
            running.enter_context(slots.slot(LIN))
    with slots.slot(ADA), slots.slot(ADA), slots.slot(LIN):
        pass


def test_one_person_may_have_fewer_than_there_are() -> None:
    """Half of the slots are left to others, whatever one person does."""
    assert 2 * SLOTS_OF_ONE_PERSON <= SLOTS
