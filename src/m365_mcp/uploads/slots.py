"""Limits the concurrent uploads of one process: in total, and of one person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from m365_mcp.errors import ServerBusy
from m365_mcp.person import PersonId

SLOTS = 12  # each upload needs a few times its range of 3.75 MiB of memory
SLOTS_PER_PERSON = 6


class UploadSlots:
    """The upload slots; a call that finds no free slot fails at once.

    Args:
        total: number of slots.
        per_person: number of slots that one person may use.
        on_refusal: is told of each upload that found no free slot.
    """

    def __init__(
        self, total: int = SLOTS, per_person: int = SLOTS_PER_PERSON, on_refusal: Callable[[], None] = lambda: None
    ) -> None:
        self._total = total
        self._per_person = per_person
        self._on_refusal = on_refusal
        self._in_use: Counter[PersonId] = Counter()

    @contextmanager
    def slot(self, person: PersonId) -> Iterator[None]:
        """Hold a slot while the block runs. Raises ServerBusy."""
        if self._in_use[person] >= self._per_person:
            self._on_refusal()
            raise ServerBusy(
                "This person is already uploading as many files as one person may at a time.",
                advice="Upload this file when one of them has arrived.",
            )
        if self._in_use.total() >= self._total:
            self._on_refusal()
            raise ServerBusy(
                "This server is already receiving as many files as it can.", advice="Try again in a moment."
            )
        self._in_use[person] += 1
        try:
            yield
        finally:
            self._in_use[person] -= 1
            if not self._in_use[person]:
                del self._in_use[person]
