"""Remembers, for the HTTP request being answered, the explained error that happened underneath the framework.

FastMCP 4.2 and the MCP SDK turn every exception into their own answer: a store that is down becomes
`401 invalid_token` on /mcp and a bare 500 on /token, and a 401 makes clients throw their tokens away. Code that
knows better records its error here; `web.error_override` then answers with that error instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from m365_mcp.errors.base import M365Error

Problem = TypeVar("Problem", bound=M365Error)


class Record:
    """The last error of one HTTP request; shared by all tasks that work for it."""

    def __init__(self) -> None:
        self.error: M365Error | None = None


_current: ContextVar[Record | None] = ContextVar("m365_mcp_request_error", default=None)


@contextmanager
def recording() -> Iterator[Record]:
    """Open a record for the current request and everything called from it."""
    record = Record()
    token = _current.set(record)
    try:
        yield record
    finally:
        _current.reset(token)


def record(error: Problem) -> Problem:
    """Note `error` on the current request, if there is one, and return it so that it can be raised."""
    current = _current.get()
    if current is not None:
        current.error = error
    return error


def forget() -> None:
    """Take back what was recorded: the framework's own answer is the right one after all."""
    current = _current.get()
    if current is not None:
        current.error = None
