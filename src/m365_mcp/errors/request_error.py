"""Remembers, for the HTTP request being answered, the explained error that happened underneath the framework.

FastMCP 4.2 and the MCP SDK turn every exception into their own answer: a store that is down becomes
`401 invalid_token` on /mcp and a bare 500 on /token, and a 401 makes clients throw their tokens away. So an error is
recorded where it leaves our code for theirs: what they call is marked `@recorded`. `web.error_override` then answers
with that error instead. An error that our own code handles never gets there, so nobody has to take one back.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from m365_mcp.errors.base import M365Error

P = ParamSpec("P")
T = TypeVar("T")


class Record:
    """The last error of one HTTP request; shared by all tasks that work for it."""

    def __init__(self) -> None:
        self.error: M365Error | None = None
        self.reference = _new_reference()  # what a page and the log call this error, so that one is found by the other


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


def reference() -> str:
    """Return the reference of the error of the current request; a new one outside of a request."""
    record = _current.get()
    return _new_reference() if record is None else record.reference


def _new_reference() -> str:
    return secrets.token_hex(3)


def recorded(function: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Have every M365Error that `function` raises noted on the current request, if there is one."""

    @wraps(function)
    async def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await function(*args, **kwargs)
        except M365Error as error:
            note(error)
            raise

    return call


def note(error: M365Error) -> None:
    """Note an error on the current request, if there is one, where the framework wants another exception than ours."""
    record = _current.get()
    if record is not None:
        record.error = error


def noted() -> M365Error | None:
    """Return the error that was noted last on the current request."""
    record = _current.get()
    return None if record is None else record.error
