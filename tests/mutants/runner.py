"""Runs the tests of a package in a fork of this process, for each mutant; the libraries are imported only once."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import select
import signal
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.mutants.override import Override

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "m365_mcp"
OURS = ("m365_mcp", "m365_simulator", "tests", "conftest", "__main__")
_OPTIONS = ["-o", "addopts=", "-x", "-q", "--tb=no", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:randomly"]
_OPTIONS += [
    "-W",
    "ignore::pytest.PytestAssertRewriteWarning",
    "--timeout=20",
]  # a test that hangs has killed the mutant
_FAST = ["-m", "not hypothesis"]
_LEAST_SECONDS = 20.0  # of processor time
_WAITING = 3  # how much longer a run may take by the clock, on a busy machine
_SLOW_SECONDS = 1.0


@dataclass
class Ran:
    """What became of one run of the tests.

    Attributes:
        passed: whether no test failed.
        killer: the test that failed first, if it was a test.
        seconds: how long it took.
        libraries: what was imported that is not ours.
        slow: the tests that took long.
    """

    passed: bool
    killer: str | None = None
    seconds: float = 0.0
    libraries: list[str] = field(default_factory=list)
    slow: list[str] = field(default_factory=list)


@dataclass
class Order:
    """A pytest plugin: tests that killed before come first, slow ones are left out; remembers what failed."""

    first: Sequence[str]
    left_out: Sequence[str]
    failed: str | None = None
    slow: list[str] = field(default_factory=list)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Bring the tests into the order in which a mutant is likely to die soonest."""
        rank = {name: number for number, name in enumerate(self.first)}
        left_out = frozenset(self.left_out)
        items[:] = [item for item in items if item.nodeid not in left_out]
        items.sort(key=lambda item: rank.get(item.nodeid, len(rank)))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember the first test that failed, and which take long."""
        if report.duration > _SLOW_SECONDS:
            self.slow.append(report.nodeid)
        if report.failed and self.failed is None:
            self.failed = report.nodeid


class Runner:
    """Runs the fast tests of one package again and again, first those a mutant is likely to die of.

    Property tests, and those that take long without any mutant, are left out: a survivor has to outlive all the others,
    and should die of a test of its own.

    Args:
        package: the package, and the folder of its tests.
    """

    def __init__(self, package: str) -> None:
        self._folder = f"tests/{package}"
        self._killers: list[str] = []
        self._slow: list[str] = []
        self._seconds = _LEAST_SECONDS

    def warm_up(self) -> Ran:
        """Run the tests of the product as it is, and import the libraries they need into this process."""
        ran = self._forked(lambda: None, [*_FAST, self._folder], 1800.0)
        for name in ran.libraries:
            _import_quietly(name)
        self._seconds, self._slow = max(_LEAST_SECONDS, 4 * ran.seconds), ran.slow
        return ran

    def run(self, name: str, path: Path, source: str) -> Ran:
        """Run the tests with another source in the place of the module `name`."""
        ran = Ran(passed=True)
        for chosen in self._stages(path):
            ran = self._forked(Override(name, path, source).install, chosen, self._seconds)
            if not ran.passed:
                break
        if ran.killer is not None:
            self._killers = [ran.killer, *(one for one in self._killers if one != ran.killer)]
        return ran

    def _stages(self, path: Path) -> list[list[str]]:
        """Return what to run one after the other, as long as nothing fails."""
        files = [f"{self._folder}/test_{path.stem}.py", *(name.partition("::")[0] for name in self._killers[:2])]
        likely = [name for name in dict.fromkeys(files) if (ROOT / name).exists()]
        return [[*_FAST, *chosen] for chosen in (likely, [self._folder]) if chosen]

    def _forked(self, prepare: Callable[[], None], chosen: list[str], seconds: float) -> Ran:
        began = time.monotonic()
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.close(reading)
            resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds) + 1))
            _be_the_child(writing, prepare, [*_OPTIONS, *chosen], Order(self._killers, self._slow))
        os.close(writing)
        told = _read_all(reading, began + _WAITING * seconds)
        _end(child)
        return Ran(
            passed=told.get("code") in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED),
            killer=told.get("killer"),
            seconds=time.monotonic() - began,
            libraries=told.get("libraries", []),
            slow=told.get("slow", []),
        )


def _be_the_child(writing: int, prepare: Callable[[], None], options: list[str], order: Order) -> None:
    """Run pytest, say what came of it, and end; nothing of this process comes back."""
    try:
        os.setsid()
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        os.chdir(ROOT)
        _forget_ours()
        prepare()
        code = int(pytest.main(options, plugins=[order]))
        libraries = [name for name in sys.modules if name.split(".")[0] not in OURS]
        said = {"code": code, "killer": order.failed, "libraries": libraries, "slow": order.slow}
        with os.fdopen(writing, "wb") as pipe:  # more than a pipe takes at once
            pipe.write(json.dumps(said).encode())
    finally:
        os._exit(0)


def _forget_ours() -> None:
    """Have what is ours imported anew, by way of the mutant."""
    own = __name__.rpartition(".")[0]
    for name in list(sys.modules):
        is_of_this_tool = name in ("__main__", "tests", own) or name.rpartition(".")[0] == own
        if name.split(".")[0] in OURS and not is_of_this_tool:
            del sys.modules[name]


def _read_all(reading: int, deadline: float) -> dict[str, Any]:
    """Return what the child says; nothing, when it ends without a word or takes too long."""
    said = b""
    while (left := deadline - time.monotonic()) > 0 and select.select([reading], [], [], left)[0]:
        part = os.read(reading, 65536)
        if not part:
            break
        said += part
    os.close(reading)
    try:
        found: dict[str, Any] = json.loads(said)
    except ValueError:
        return {}
    return found


def _end(child: int) -> None:
    """End the child with everything it has started."""
    try:
        os.killpg(child, signal.SIGKILL)
    except ProcessLookupError:
        os.waitpid(child, 0)
        return
    os.waitpid(child, 0)


def _import_quietly(name: str) -> None:
    # Some names are made up at run time by a library; the child makes them again.
    with warnings.catch_warnings(), contextlib.suppress(Exception):
        warnings.simplefilter("ignore")
        importlib.import_module(name)
