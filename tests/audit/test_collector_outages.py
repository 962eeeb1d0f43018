"""Under load, and while the collector comes and goes, every record reaches it, through restarts of the process too."""

from __future__ import annotations

import itertools
import json
import threading
from pathlib import Path

import httpx2
import pytest

from m365_mcp.audit.events import OperatorCommand
from m365_mcp.audit.http_output import HttpOutput
from m365_mcp.audit.ocsf import Options
from m365_mcp.audit.spool import Spool
from m365_mcp.audit.verification import Verification
from m365_mcp.audit.writer import Writer
from m365_mcp.metrics import Metrics

PROCESSES, THREADS = 3, 4


class UnsteadyCollector:
    """Takes a few requests, then refuses some, cannot be reached, and loses an answer after it has taken the lines."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.refused = 0
        self.is_back = False
        self._numbers = itertools.count(2)  # so that the first request is refused

    def connect(self) -> httpx2.Client:
        return httpx2.Client(transport=httpx2.MockTransport(self._answer))

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        turn = 0 if self.is_back else next(self._numbers) % 6
        self.refused += turn > 1
        if turn == 2:
            return httpx2.Response(503)
        if turn == 3:
            raise httpx2.ConnectError("away")
        if turn != 4:  # at 4 it has stored nothing when the connection breaks
            self.taken += request.content.splitlines(keepends=True)
        if turn >= 4:
            raise httpx2.ReadTimeout("the answer is lost")
        return httpx2.Response(204)


def record_many(writer: Writer, process: int, count: int) -> None:
    """Record events in several threads at once."""

    def record(thread: int) -> None:
        for number in range(count):
            writer.add(OperatorCommand(f"{process}-{thread}-{number}", "root", 0, everybody=False))

    threads = [threading.Thread(target=record, args=(thread,)) for thread in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("count", [50, pytest.param(2_000, marks=pytest.mark.full)])
def test_no_record_is_lost_while_the_collector_comes_and_goes(tmp_path: Path, count: int) -> None:
    """Three processes record in four threads each; the last finds the collector back, and it has every record."""
    collector, metrics = UnsteadyCollector(), Metrics()
    for process in range(PROCESSES):
        spool = Spool(tmp_path, 100_000_000, metrics.audit_spool_bytes)
        output = HttpOutput("https://collector.example/in", spool, collector.connect, first_pause=0.001)
        writer = Writer(output, Options(), metrics)
        record_many(writer, process, count)
        collector.is_back = process == PROCESSES - 1
        writer.close()

    verification = Verification()
    verification.read("collector", collector.taken)
    verification.finish()
    told = {json.loads(line)["api"]["operation"] for line in collector.taken}
    assert len(told) == PROCESSES * THREADS * count
    assert collector.refused > 0
    assert verification.records - verification.repeated == PROCESSES * THREADS * count
    assert len(verification.chains) == PROCESSES
    assert verification.problems == []
    assert metrics.audit_records.labels("written")._value.get() == PROCESSES * THREADS * count
    assert metrics.audit_records.labels("lost")._value.get() == 0
    assert list(tmp_path.iterdir()) == []
