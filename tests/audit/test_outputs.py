"""No record is lost while the output is away, and a message waits for its record where the operator requires one."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import stat
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx2
import pytest
from prometheus_client import Gauge

from m365_mcp.audit.events import OperatorCommand
from m365_mcp.audit.http_output import HttpOutput
from m365_mcp.audit.ocsf import Options, own_activity
from m365_mcp.audit.outputs import FileOutput, StandardOutput
from m365_mcp.audit.spool import BLOCK, Spool
from m365_mcp.audit.tips import TipExchange
from m365_mcp.audit.trail import AuditTrail
from m365_mcp.audit.verification import Verification
from m365_mcp.audit.writer import Writer
from m365_mcp.errors import AuditUnavailable
from m365_mcp.mail import MessageRequest
from m365_mcp.metrics import Metrics
from m365_mcp.settings.audit import read_key
from tests.audit.reading import of_class, read
from tests.audit.test_verification import private_pem
from tests.backends import make_records
from tests.inprocess import World, running

EVENT = OperatorCommand("sessions end", "root", 1, everybody=False)


class Disk:
    """An output that fails, blocks and works as a test tells it to."""

    def __init__(self, *, works: bool = True) -> None:
        self.works = works
        self.lines: list[bytes] = []
        self.tries = threading.Semaphore(0)
        self.gate = threading.Event()
        self.gate.set()

    def write(self, lines: Sequence[bytes]) -> None:
        self.tries.release()
        self.gate.wait()
        if not self.works:
            raise OSError(errno.ENOSPC, "full")
        self.lines += lines

    def resume(self) -> None:
        return

    def close(self) -> None:
        return

    def wait_for_try(self) -> None:
        """Wait until the writer has tried to write once more."""
        assert self.tries.acquire(timeout=30)


def writer_to(output: Any, **changes: Any) -> Writer:
    return Writer(output, Options(), Metrics(), **changes)


def counted(writer: Writer, outcome: str) -> float:
    return writer.metrics.registry.get_sample_value("m365_mcp_audit_records_total", {"outcome": outcome}) or 0.0


def problems(lines: Sequence[bytes]) -> list[str]:
    verification = Verification()
    verification.read("file", lines)
    verification.finish()
    return verification.problems


def test_records_wait_while_the_output_is_away() -> None:
    """What was recorded while the output failed is written when it works again, in order and once."""
    disk = Disk(works=False)
    writer = writer_to(disk, retry_seconds=0.01)
    for _ in range(5):
        writer.add(EVENT)
    disk.wait_for_try()
    disk.wait_for_try()
    disk.works = True
    writer.close()

    assert [json.loads(line)["metadata"]["sequence"] for line in disk.lines] == [1, 2, 3, 4, 5]
    assert problems(disk.lines) == []
    assert (counted(writer, "written"), counted(writer, "lost")) == (5, 0)


def test_lost_records_are_counted_in_the_trail_and_in_the_metrics() -> None:
    """When no more can wait, records are lost; a later record says how many, and the chain has no gap."""
    disk = Disk(works=False)
    writer = writer_to(disk, max_waiting=2, retry_seconds=0.01)
    for _ in range(2):
        writer.add(EVENT)
        disk.wait_for_try()
    for _ in range(3):  # one after the other, so that the queue has room for each
        with pytest.raises(OSError, match="not written"):
            writer.add_and_confirm(lambda options: own_activity("audit.tips", 0, options)).result(30)
    disk.works = True
    while not disk.lines:
        disk.wait_for_try()
    writer.add(EVENT)
    writer.close()

    records = [json.loads(line) for line in disk.lines]
    (lost,) = [record for record in records if record["api"]["operation"] == "audit.records_lost"]
    assert lost["count"] == counted(writer, "lost") == 3
    assert problems(disk.lines) == []


def test_output_that_blocks_stops_nobody_and_takes_bounded_memory() -> None:
    """While a write hangs, adding returns at once, and what exceeds the queue is counted as lost."""
    disk = Disk()
    disk.gate.clear()
    writer = writer_to(disk, max_waiting=3)
    writer.add(EVENT)
    disk.wait_for_try()
    for _ in range(5):
        writer.add(EVENT)
    assert counted(writer, "lost") == 2
    disk.gate.set()
    writer.close()

    assert counted(writer, "written") == 4 + 1  # and the record that counts the two


def test_record_that_cannot_be_rendered_stops_no_other() -> None:
    """An event without a rendering is counted as lost, and the next one is written."""
    disk = Disk()
    writer = writer_to(disk)
    writer.add(object())
    writer.add(EVENT)
    writer.close()

    assert [json.loads(line)["api"]["operation"] for line in disk.lines] == ["audit.records_lost", "sessions end"]


def test_line_that_another_process_has_torn_is_ended(tmp_path: Path) -> None:
    """Two workers have the file open; what one leaves torn swallows no record of the other."""
    path = tmp_path / "audit.ndjson"
    one, other = FileOutput(path), FileOutput(path)
    one.write([b"one\n"])
    other.write([b"two\n"])
    with path.open("ab") as died:
        died.write(b'{"torn')

    one.write([b"three\n"])
    other.write([b"four\n"])

    assert path.read_bytes() == b'one\ntwo\n{"torn\nthree\nfour\n'
    one.close()
    other.close()


def test_file_is_private_and_a_torn_line_is_ended(tmp_path: Path) -> None:
    """The file is for its owner only; what a dying process left of a line stays a line of its own."""
    path = tmp_path / "audit"
    path.write_bytes(b'{"torn')
    path.chmod(0o600)
    output = FileOutput(path)
    output.write([b"one\n"])
    output.write([b"two\n"])
    output.close()

    assert path.read_bytes() == b'{"torn\none\ntwo\n'
    fresh = FileOutput(tmp_path / "fresh")
    fresh.write([b"one\n"])
    fresh.close()
    assert stat.S_IMODE((tmp_path / "fresh").stat().st_mode) == 0o600


def test_file_is_opened_again_after_a_failure(tmp_path: Path) -> None:
    """A folder that is gone is an error of the write, and a folder that is back is used again."""
    folder = tmp_path / "volume"
    output = FileOutput(folder / "audit")
    with pytest.raises(FileNotFoundError):
        output.write([b"one\n"])
    folder.mkdir()
    output.write([b"two\n"])
    output.close()

    assert (folder / "audit").read_bytes() == b"two\n"


def test_standard_output_has_the_lines(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """M365_AUDIT=stdout writes each record as one line, at once."""
    StandardOutput().write([b"one\n", b"two\n"])

    assert capfdbinary.readouterr().out == b"one\ntwo\n"


class Collector:
    """An HTTP collector in this process."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.lines: list[bytes] = []
        self.requests: list[httpx2.Request] = []
        self.seen = threading.Semaphore(0)

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        if self.status == 200:
            self.lines += request.content.splitlines(keepends=True)
        self.seen.release()
        return httpx2.Response(self.status)

    def connect(self) -> httpx2.Client:
        return httpx2.Client(transport=httpx2.MockTransport(self.answer))

    def wait(self) -> None:
        """Wait for one more request."""
        assert self.seen.acquire(timeout=30)


def gauge() -> Gauge:
    return Metrics().audit_spool_bytes


def spooling(folder: Path, collector: Collector, blocks: int = 1000, **changes: Any) -> HttpOutput:
    spool = Spool(folder, blocks * BLOCK, gauge())
    return HttpOutput("https://collector.example/in", spool, collector.connect, first_pause=0.01, **changes)


def test_collector_gets_every_line_once_and_the_spool_is_emptied(tmp_path: Path) -> None:
    """Lines are posted as NDJSON with the field Authorization, and leave the spool when the collector has them."""
    collector = Collector()
    output = spooling(tmp_path / "spool", collector, authorization="Bearer x")
    output.write([b"one\n", b"two\n"])
    output.write([b"three\n"])
    output.close()

    assert collector.lines == [b"one\n", b"two\n", b"three\n"]
    assert {request.headers["Authorization"] for request in collector.requests} == {"Bearer x"}
    assert collector.requests[0].headers["Content-Type"] == "application/x-ndjson"
    assert list((tmp_path / "spool").iterdir()) == []


@pytest.mark.parametrize("status", [400, 413, 429, 500])
def test_lines_outlive_an_outage_of_the_collector_and_a_restart(tmp_path: Path, status: int) -> None:
    """What the collector refused is in the spool; the next process sends it, before its own lines."""
    away, back = Collector(status), Collector()
    first = spooling(tmp_path, away)
    first.write([b"one\n"])
    away.wait()
    away.wait()
    first.close()

    second = spooling(tmp_path, back)
    second.write([b"two\n"])
    second.close()

    assert back.lines == [b"one\n", b"two\n"]


async def test_server_sends_at_its_start_what_an_earlier_process_has_left(tmp_path: Path) -> None:
    """What is in the spool when the server starts is sent before anything is recorded."""
    (tmp_path / "00000000000000000001-1-00000000.ndjson").write_bytes(b"left\n")
    collector = Collector()
    output = spooling(tmp_path, collector)
    trail = AuditTrail(writer_to(output), TipExchange(writer_to(output), make_records(), None))
    async with trail.running():
        await asyncio.to_thread(collector.wait)
    await trail.close()

    assert collector.lines == [b"left\n"]


def test_outage_ends_without_a_new_record(tmp_path: Path) -> None:
    """The thread tries again by itself, until the collector takes the lines."""
    collector = Collector(503)
    output = spooling(tmp_path, collector)
    output.write([b"one\n"])
    collector.wait()
    collector.status = 200
    while not collector.lines:
        collector.wait()
    output.close()

    assert collector.lines == [b"one\n"]


def test_file_that_is_sent_while_the_spool_is_measured_counts_nothing(tmp_path: Path) -> None:
    """Between the list of files and the look at one, the sender may remove it; a link to nothing stands for that."""
    spool = Spool(tmp_path, 10 * BLOCK, gauge())
    spool.append([b"one\n"])
    (tmp_path / f"0{spool.batch()[0].name}").symlink_to(tmp_path / "gone")
    again = Spool(tmp_path, 10 * BLOCK, gauge())

    again.append([b"two\n"])

    assert len(again.batch()) == 3


def test_full_spool_refuses_and_has_room_again_when_lines_are_sent(tmp_path: Path) -> None:
    """The spool never grows over its limit; it says ENOSPC, keeps what it has, and takes lines again afterwards."""
    spool = Spool(tmp_path, 2 * BLOCK, gauge())
    spool.append([b"one\n"])
    spool.append([b"two\n"])
    with pytest.raises(OSError, match="full") as refused:
        spool.append([b"three\n"])

    assert refused.value.errno == errno.ENOSPC
    assert [path.read_bytes() for path in spool.batch()] == [b"one\n", b"two\n"]
    spool.remove(spool.batch()[:1])
    spool.append([b"three\n"])
    assert [path.read_bytes() for path in spool.batch()] == [b"two\n", b"three\n"]


def test_unfinished_file_of_a_dead_process_is_never_sent(tmp_path: Path) -> None:
    """A file is renamed when the disk has it all, and only then it is sent."""
    (tmp_path / "00000000000000000001-1-00000000.part").write_bytes(b'{"half')
    spool = Spool(tmp_path, 10 * BLOCK, gauge())
    spool.append([b"one\n"])

    assert [path.read_bytes() for path in spool.batch()] == [b"one\n"]


async def send(world: World) -> None:
    """Send a mail as Ada."""
    outbox = await world.outbox(await world.sign_in())
    message = await outbox.compose(MessageRequest(to=["grace@contoso.example"], subject="Hello", body="<p>Hi</p>"))
    await outbox.send(message, idempotency_key=None, allow_duplicate=False)


def spoil(path: Path) -> None:
    """Make it impossible to open the file, also for root."""
    path.unlink(missing_ok=True)
    path.mkdir()


async def test_required_record_is_there_before_graph_gets_the_mail(tmp_path: Path) -> None:
    """With M365_AUDIT_REQUIRED=true a send leaves two records with one id: that it begins, and its outcome."""
    file = tmp_path / "audit"
    async with running(m365_audit=f"file:{file}", m365_audit_required=True) as world:
        await send(world)

    begun, sent = of_class(file, 4009)
    assert (begun["status"], sent["status"]) == ("begun", "sent")
    assert begun["email"]["message_uid"] == sent["email"]["message_uid"]


async def test_nothing_is_sent_without_the_required_record(tmp_path: Path) -> None:
    """When the record cannot be written, the send fails with audit_unavailable, and Graph gets nothing."""
    file = tmp_path / "audit"
    async with running(m365_audit=f"file:{file}", m365_audit_required=True) as world:
        spoil(file)
        with pytest.raises(AuditUnavailable):
            await send(world)
        assert await world.sent() == []
        assert world.network.asked("POST") == []
        file.rmdir()
        await send(world)
        assert len(await world.sent()) == 1

    assert [record["status"] for record in of_class(file, 4009)] == ["begun", "not_sent", "begun", "sent"]
    assert problems(file.read_bytes().splitlines(keepends=True)) == []


async def test_full_spool_stops_sends_where_records_are_required(tmp_path: Path) -> None:
    """While the collector is away and the spool is full, nothing is sent."""
    folder, taken = tmp_path / "spool", 1_000_000
    chosen = {"m365_audit": "http://127.0.0.1:9/in", "m365_audit_spool": folder, "m365_audit_spool_mb": 1}
    async with running(**chosen, m365_audit_required=True) as world:
        (folder / "00000000000000000001-1-00000000.ndjson").write_bytes(b"x" * taken)
        with pytest.raises(AuditUnavailable):
            await send(world)

        assert await world.sent() == []


async def test_failing_output_never_makes_a_sent_mail_look_unsent(tmp_path: Path) -> None:
    """Without M365_AUDIT_REQUIRED a mail is sent and reported as sent while no record can be written."""
    file = tmp_path / "audit"
    async with running(m365_audit=f"file:{file}") as world:
        spoil(file)
        await send(world)

        assert len(await world.sent()) == 1
        file.rmdir()

    assert [record["status"] for record in of_class(file, 4009)] == ["sent"]


async def test_send_waits_for_its_record_a_bounded_time() -> None:
    """An output that hangs makes a required record fail after the time that is set, and blocks nobody else."""
    disk = Disk()
    disk.gate.clear()
    writer = writer_to(disk)
    trail = AuditTrail(writer, is_required=True, confirm_seconds=0.01)
    with pytest.raises(AuditUnavailable):
        await trail.begin(EVENT)  # type: ignore[arg-type] # any event can be recorded
    disk.gate.set()
    await trail.close()


async def test_event_loop_never_waits_for_the_output() -> None:
    """Recording hands the event to a thread: while a write hangs, the event loop goes on."""
    disk = Disk()
    disk.gate.clear()
    trail = AuditTrail(writer_to(disk))
    turns = 0
    trail.record(EVENT)
    await asyncio.to_thread(disk.wait_for_try)
    for _ in range(10):
        trail.record(EVENT)
        await asyncio.sleep(0)
        turns += 1
    disk.gate.set()
    await trail.close()

    assert turns == 10
    assert len(disk.lines) == 11


async def test_signed_records_of_two_replicas_bear_witness_to_each_other(
    tmp_path: Path, key_file: Callable[[], Path]
) -> None:
    """Each replica's file has signed tips of both chains, by which a cut of the other file is found."""
    path = key_file()
    files = tmp_path / "one", tmp_path / "two"
    async with running(m365_audit=f"file:{files[0]}", m365_audit_key_file=path) as world:
        await world.sign_in()
        one = world.container.audit
        assert one.tips is not None
        await one.tips.exchange()
        async with running(m365_audit=f"file:{files[1]}", m365_audit_key_file=path) as other:
            await other.sign_in()
            two = other.container.audit
            assert two.tips is not None
            two.tips.records = one.tips.records  # as replicas with one Redis
            await two.tips.exchange()
        await one.tips.exchange()
        before = len(read(files[0]))
        await one.tips.exchange()
        assert len(read(files[0])) == before

    named = [{tip["chain"] for record in read(file) for tip in record["unmapped"].get("tips", ())} for file in files]
    assert named[0] == named[1]
    assert len(named[0]) == 2
    assert found_in(files, path, cut=None) == []
    assert all(found_in(files, path, cut=file) for file in files)


def found_in(files: tuple[Path, ...], key: Path, cut: Path | None) -> list[str]:
    """Return what is found in the files of two replicas, one of which has lost its records of the end."""
    verification = Verification(public_key_of(key))
    for file in files:
        lines = file.read_bytes().splitlines(keepends=True)
        verification.read(file.name, lines[:1] if file == cut else lines)
    verification.finish()
    return verification.problems


def public_key_of(path: Path) -> Any:
    return read_key(path).public_key()


@pytest.fixture
def key_file(tmp_path: Path) -> Callable[[], Path]:
    """Make the file of an Ed25519 key."""

    def make() -> Path:
        path = tmp_path / "audit.pem"
        path.write_bytes(private_pem())
        os.chmod(path, 0o600)
        return path

    return make


def test_one_of_two_processes_sends_what_both_have_in_the_spool(tmp_path: Path) -> None:
    """Of spools with one folder only one sends at a time, and whoever ends lets the other one send."""
    first, second = (Spool(tmp_path, 1_000_000, Gauge(f"spool_{n}", "-", registry=None)) for n in range(2))
    with first.sending() as may_first, second.sending() as may_second:
        assert (may_first, may_second) == (True, False)
    with second.sending() as may_second:
        assert may_second
