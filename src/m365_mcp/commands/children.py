"""Ends the programs that a command has started: the demo's, and the server of `doctor --sign-in`."""

from __future__ import annotations

import asyncio


async def end_child(process: asyncio.subprocess.Process, patience_seconds: float) -> None:
    """End a child process by SIGTERM, and by SIGKILL where it takes longer than `patience_seconds`."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), patience_seconds)
    except TimeoutError:
        process.kill()
        await process.wait()
