"""The bench: Redis, the simulator of Entra ID and the stand-in for Graph on one core, the contender on another."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import quantiles

import httpx2
import uvloop

from benchmarks.contender import Contender, Place
from benchmarks.load import Answers, Load, NextRequest
from benchmarks.processes import Cores, on_core, processor_seconds
from tests.e2e.programs import RUNNING, Program, Redis, Simulator, free_port, make_redis, start_simulator
from tests.trust import NO_AUTHORITY

ROOT = Path(__file__).parents[1]
PYTHONPATH = ":".join(str(ROOT / folder) for folder in (".", "src", "simulator/src"))
PAUSES = {0: 0.0, 100: 0.1}  # of Graph, by the name in milliseconds


@dataclass(frozen=True)
class Timing:
    """How long to call before and during a measurement, in seconds, and how often to measure."""

    warm_up: float = 1.5
    seconds: float = 5.0
    rounds: int = 3


@dataclass(frozen=True)
class Measured:
    """One measurement.

    Attributes:
        rate: good responses a second.
        p50, p99: time to a good response, in seconds.
        processor: processor time of the contender for a good response, in seconds.
        others: share of the other core's time that was used, to see that the contender was what limited the rate.
        errors: how many responses were not good, by kind.
        calls: how many were good.
        ports: how many of those came from each port.
    """

    rate: float
    p50: float
    p99: float
    processor: float
    others: float
    errors: dict[str, int]
    calls: int
    ports: dict[int, int] = field(default_factory=dict)


@dataclass
class Bench:
    """The running programs that all contenders share."""

    folder: Path
    cores: Cores
    simulator: Simulator
    redis: Redis
    graph_ports: dict[int, int]
    stand_in: Program
    graph_token: str = ""
    _urls: dict[str, str] = field(default_factory=dict)

    def place(self, contender: Contender, *, graph_milliseconds: int = 0, workers: int = 1) -> Place:
        """Return where this contender runs; its public URL is the same in all of this run, as its tokens name it."""
        url = self._urls.setdefault(contender.name, f"http://localhost:{free_port()}")
        folder = self.folder / contender.name
        folder.mkdir(exist_ok=True)
        ready = self.simulator.ready
        return Place(
            port=int(url.rpartition(":")[2]),
            public_url=url,
            folder=folder,
            authority=ready["authority"],
            graph=f"https://localhost:{self.graph_ports[graph_milliseconds]}",
            ca_file=ready["ca_file"],
            tenant_id=ready["tenant_id"],
            client_id=ready["client_id"],
            client_secret=ready["client_secret"],
            redis_url=self.redis.url,
            graph_token=self.graph_token,
            workers=workers,
        )

    @contextmanager
    def running(self, contender: Contender, place: Place, replicas: int = 1) -> Iterator[list[Replica]]:
        """Run so many replicas of a contender in the block."""
        places = [place, *(replace(place, port=free_port()) for _ in range(replicas - 1))]
        with ExitStack() as stack:
            started = []
            for each in places:
                replica = Replica(contender, each, self.cores.contender)
                stack.callback(replica.stop)
                replica.start()
                started.append(replica)
            yield started

    def load(
        self, replicas: Sequence[Replica], callers: int, next_request: NextRequest, timing: Timing, first_calls: int = 0
    ) -> Measured:
        """Let callers call these replicas, and return what was measured after so many first calls."""
        others = [self.redis.program, self.simulator.program, self.stand_in]
        other_ids = [program.process.pid for program in others if program.process is not None]
        load = Load([replica.place.port for replica in replicas], callers, next_request)
        return uvloop.run(_measure(load, [replica.pid for replica in replicas], other_ids, timing, first_calls))


async def _measure(load: Load, contender: list[int], others: list[int], timing: Timing, first_calls: int) -> Measured:
    await load.begin(timing.warm_up, first_calls)
    before, own = (processor_seconds(contender), processor_seconds(others)), time.process_time()
    load.count()
    await asyncio.sleep(timing.seconds)
    used, own = processor_seconds(contender) - before[0], time.process_time() - own
    beside = processor_seconds(others) - before[1] + own
    seconds = await load.end()
    return summary(load.answers, seconds, used, beside)


def summary(answers: Answers, seconds: float, processor: float, others: float) -> Measured:
    """Return the figures of a measurement that took so many seconds and so much processor time on both cores."""
    good = len(answers.seconds)
    percentiles = quantiles(answers.seconds, n=100) if good > 1 else [float("nan")] * 99
    return Measured(
        rate=good / seconds,
        p50=percentiles[49],
        p99=percentiles[98],
        processor=processor / good if good else float("nan"),
        others=others / seconds,
        errors=dict(answers.errors),
        calls=good,
        ports=dict(answers.ports),
    )


class Replica:
    """One process of a contender."""

    def __init__(self, contender: Contender, place: Place, core: int) -> None:
        self.place = place
        self._core = core
        command = contender.command(place)
        environment = {"PYTHONPATH": PYTHONPATH, **command.environment}
        log = place.folder / f"{contender.name}-{place.port}.log"
        self._program = Program(command.arguments, log, environment)

    @property
    def pid(self) -> int:
        """The id of the process."""
        assert self._program.process is not None  # noqa: S101 - it was started
        return self._program.process.pid

    def start(self) -> float:
        """Start it and return after how many seconds it answered a request, whatever the answer."""
        began = time.perf_counter()
        with on_core(self._core):
            self._program.start()
        self._program.wait_until(self._answers)
        return time.perf_counter() - began

    def stop(self) -> None:
        """End it, kindly if it listens to that."""
        if self._program in RUNNING:
            RUNNING.remove(self._program)
        if self._program.process is not None:
            self._program.process.terminate()
            try:
                self._program.process.wait(10)
            finally:
                self._program.process.kill()
                self._program.process.wait()

    def kill(self) -> None:
        """End it without a word."""
        assert self._program.process is not None  # noqa: S101 - it was started
        self._program.process.kill()

    def _answers(self) -> bool:
        try:
            httpx2.get(f"http://127.0.0.1:{self.place.port}/livez", verify=NO_AUTHORITY, trust_env=False)
        except httpx2.HTTPError:
            return False
        return True


@contextmanager
def running_bench(folder: Path, cores: Cores) -> Iterator[Bench]:
    """Run what all contenders share, this process too on the core beside the contender's, and end it by id."""
    others = [id(program) for program in RUNNING]
    with ExitStack() as stack, on_core(cores.others):
        stack.callback(_end, others)
        simulator = start_simulator(folder)
        # As the manifests run it: everything is on disk within a second.
        store = make_redis(folder, "--appendfsync", "everysec")
        store.start()
        stand_in, ports = _start_stand_in(folder)
        yield Bench(folder, cores, simulator, store, ports, stand_in)


def _start_stand_in(folder: Path) -> tuple[Program, dict[int, int]]:
    ready = folder / "stand-in.json"
    files = [str(folder / name) for name in ("server.pem", "server.key")]
    pauses = [str(seconds) for seconds in PAUSES.values()]
    arguments = [sys.executable, "-m", "benchmarks.stand_in", *files, str(ready), *pauses]
    program = Program(arguments, folder / "stand-in.log", {"PYTHONPATH": PYTHONPATH})
    program.start()
    program.wait_until(ready.exists)
    return program, dict(zip(PAUSES, json.loads(ready.read_text()), strict=True))


def _end(others: list[int]) -> None:
    with ExitStack() as stack:  # so that one that does not end keeps none of the others
        for program in [program for program in RUNNING if id(program) not in others]:
            RUNNING.remove(program)
            stack.callback(program.end)
