"""The bench: Redis, the simulator of Entra ID and the stand-in for Graph on one core, the contender on another."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from math import nan
from pathlib import Path
from statistics import quantiles

import httpx2
import uvloop

from benchmarks.contender import Contender, Place
from benchmarks.load import Answers, Load
from benchmarks.processes import Cores, on_core, processor_seconds, seconds_of, tree
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
        beside: share of the other core's time that was used, to see that the contender was what limited the rate.
        errors: how many responses were not good, by kind.
        calls: how many were good.
        shares: share of the contender's processor time that each of its processes took, the largest first.
        halves: the 99th percentiles of the first and of the second half, in seconds.
    """

    rate: float
    p50: float
    p99: float
    processor: float
    beside: float
    errors: dict[str, int]
    calls: int
    shares: list[float]
    halves: tuple[float, float]


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
        self, replicas: Sequence[Replica], load: Load, timing: Timing, first: int = 0, kills: bool = False
    ) -> Measured:
        """Return what is measured after so many first calls; `kills` the last replica half-way."""
        others = [self.redis.program, self.simulator.program, self.stand_in]
        beside = [program.process.pid for program in others if program.process is not None]
        halfway = replicas[-1].kill if kills else lambda: None
        return uvloop.run(_measure(load, ([replica.pid for replica in replicas], beside), timing, first, halfway))


class Clocks:
    """Reads the processor time of a contender, and of what runs beside it, this process among it."""

    def __init__(self, contender: list[int], beside: list[int]) -> None:
        self._contender = [process for root in contender for process in tree(root)]
        self._beside = beside
        self._before = self._read()

    def _read(self) -> tuple[list[float], float]:
        own = time.process_time()
        return [seconds_of(process) for process in self._contender], processor_seconds(self._beside) + own

    def since(self) -> tuple[list[float], float]:
        """Return the seconds since it was made: of each process of the contender, and of what runs beside it."""
        each, beside = self._read()
        return [
            max(0.0, now - before) for now, before in zip(each, self._before[0], strict=True)
        ], beside - self._before[1]


async def _measure(
    load: Load, roots: tuple[list[int], list[int]], timing: Timing, first: int, halfway: Callable[[], None]
) -> Measured:
    await load.begin(timing.warm_up, first)
    clocks = Clocks(*roots)
    load.count()
    await asyncio.sleep(timing.seconds / 2)
    halfway()
    await asyncio.sleep(timing.seconds / 2)
    each, beside = clocks.since()
    return summary(load.answers, await load.end(), each, beside)


def summary(answers: Answers, seconds: float, processor: list[float], beside: float) -> Measured:
    """Return the figures of a measurement that took so many seconds, and so much processor time on both cores."""
    good = len(answers.seconds)
    pairs = list(zip(answers.ended, answers.seconds, strict=True))
    halves = [one for ended, one in pairs if ended < seconds / 2], [one for ended, one in pairs if ended >= seconds / 2]
    used = sum(processor)
    return Measured(
        rate=good / seconds,
        p50=percentile(answers.seconds, 50),
        p99=percentile(answers.seconds, 99),
        processor=used / good if good else nan,
        beside=beside / seconds,
        errors=dict(answers.errors),
        calls=good,
        shares=sorted((one / used for one in processor if used), reverse=True),
        halves=(percentile(halves[0], 99), percentile(halves[1], 99)),
    )


def percentile(values: Sequence[float], percent: int) -> float:
    """Return this percentile, not a number when there are fewer than two values."""
    return quantiles(values, n=100)[percent - 1] if len(values) > 1 else nan


class Replica:
    """One process of a contender."""

    def __init__(self, contender: Contender, place: Place, core: int) -> None:
        self.place = place
        self._core = core
        self.started_after = 0.0  # seconds
        command = contender.command(place)
        environment = {"PYTHONPATH": PYTHONPATH, **command.environment}
        log = place.folder / f"{contender.name}-{place.port}.log"
        self._program = Program(command.arguments, log, environment)

    @property
    def pid(self) -> int:
        """The id of the process."""
        assert self._program.process is not None  # noqa: S101 - it was started
        return self._program.process.pid

    def start(self) -> None:
        """Start it, and return when it answers a request, whatever the answer."""
        began = time.perf_counter()
        with on_core(self._core):
            self._program.start()
        self._program.wait_until(self._answers)
        self.started_after = time.perf_counter() - began

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
