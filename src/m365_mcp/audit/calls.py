"""Knows of each call of a tool whether a record tells of its refusal already, so that no refusal has two or none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from m365_mcp.policy.decision_point import PolicyRefusal
from m365_mcp.sending.send_events import SendEvent


@dataclass
class FollowedCall:
    """One call of a tool.

    Attributes:
        is_recorded: whether a send or a denying decision of this call was recorded.
    """

    is_recorded: bool = False


_current: ContextVar[FollowedCall | None] = ContextVar("m365_mcp_audited_call", default=None)


@contextmanager
def following_call() -> Iterator[FollowedCall]:
    """Follow what is recorded while the block runs, also in the tasks that it starts."""
    call = FollowedCall()
    token = _current.set(call)
    try:
        yield call
    finally:
        _current.reset(token)


def note(event: object) -> None:
    """Note on the current call that this event was recorded."""
    call = _current.get()
    if call is not None and isinstance(event, SendEvent | PolicyRefusal):
        call.is_recorded = True
