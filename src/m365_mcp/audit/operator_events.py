"""The event of an operator's command, and that of records that were lost."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class OperatorCommand:
    """A command of an operator that changed something.

    Attributes:
        operation: the command.
        operator: the name of the operating system's user who ran it.
        changed: how many objects it changed.
        everybody: whether it was for all people.
    """

    operation: str
    operator: str
    changed: int
    everybody: bool


@dataclass(frozen=True)
class RecordsLost:
    """Records that could not be written before this one, because the output was away and no room was left."""

    count: int
