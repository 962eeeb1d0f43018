"""How many uploads run at a time in one process: in all, and of one person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from m365_mcp.errors import ServerBusy
from m365_mcp.person import PersonId

SLOTS = 12  # each upload holds a few times its range of 3.75 MiB
SLOTS_OF_ONE_PERSON = 6


class UploadSlots:
    """Hands out slots; who finds none is refused at once.

    Args:
        total: how many there are.
        of_one_person: how many of them one person may have.
    """

    def __init__(self, total: int = SLOTS, of_one_person: int = SLOTS_OF_ONE_PERSON) -> None:
        self._total = total
        self._of_one_person = of_one_person
        self._taken: Counter[PersonId] = Counter()

    @contextmanager
    def slot(self, person: PersonId) -> Iterator[None]:
        """Hold a slot while the block runs. Raises ServerBusy."""
        if self._taken[person] >= self._of_one_person:
            raise ServerBusy(
                f"{self._of_one_person} files of this person are being uploaded, which is as many as may be at a time.",
                advice="Upload this file when one of them has arrived.",
            )
        if self._taken.total() >= self._total:
            raise ServerBusy("This server is taking in as many files as it can.", advice="Try again in a moment.")
        self._taken[person] += 1
        try:
            yield
        finally:
            self._taken[person] -= 1
            if not self._taken[person]:
                del self._taken[person]
