"""A tip covers every event that there was before it, also those that wait to be written."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path

from m365_mcp.audit.chain import TIP
from m365_mcp.audit.events import OperatorCommand
from m365_mcp.audit.ocsf import Options, Record, own_activity
from m365_mcp.audit.outputs import FileOutput
from m365_mcp.audit.tips import TipExchange
from m365_mcp.audit.writer import Writer
from m365_mcp.metrics import Metrics
from tests.audit.test_verification import KEY
from tests.backends import make_records


async def test_tip_covers_an_event_that_waits_for_the_thread(tmp_path: Path) -> None:
    """A process that records its only event and ends, as a command does, leaves a signed tip of it."""
    writer = Writer(FileOutput(tmp_path / "audit"), Options(), Metrics())
    tips, gate = TipExchange(writer, make_records(), KEY), threading.Event()

    def slow(options: Options) -> Record:
        gate.wait()
        return own_activity("slow", 0, options) | {"unmapped": {}}

    async def release() -> None:
        for _ in range(100):
            await asyncio.sleep(0)
        gate.set()

    writer.add_and_confirm(slow, is_event=False)
    writer.add(OperatorCommand("sessions end", "root", 1, everybody=False))
    await asyncio.gather(tips.exchange(), release())
    writer.close()

    slowly, event, tip = map(json.loads, (tmp_path / "audit").read_bytes().splitlines())
    assert (slowly["api"]["operation"], event["api"]["operation"]) == ("slow", "sessions end")
    assert [one["number"] for one in tip["unmapped"][TIP]] == [2]
