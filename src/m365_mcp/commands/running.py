"""Runs what a command does, with what it needs for that; `m365-mcp --help` needs none of it."""

from __future__ import annotations

import gc
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from m365_mcp.settings import Settings

Result = TypeVar("Result")


def run_quietly(chosen: Settings, work: Coroutine[None, None, Result]) -> Result:
    """Return the result of `work`, in whose time the log has errors only.

    Args:
        chosen: the settings; they say how the log is written.
        work: what the command does; its modules are imported, because FastMCP adds a handler to the log when it is.
    """
    import asyncio

    from m365_mcp import logs

    logs.configure("error", chosen.mcp_log_format)
    return asyncio.run(work)


@contextmanager
def importing() -> Iterator[None]:
    """Import a server's modules in the block; the garbage collector passes over what they leave, now and later.

    That is nearly all in use until the process ends (170,000 objects, 2,000 of them garbage). Collections that look
    through it cost a fifth of the start, and one in a running server stops its event loop for a tenth of a second.
    """
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()
