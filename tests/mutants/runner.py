"""Runs the tests that reach a mutant in a fork of this process; the libraries are imported only once."""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import resource
import select
import signal
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.mutants.override import Override
from tests.mutants.reach import WHOLE_MODULE, Reach, Recorder, function_at

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "m365_mcp"
OURS = ("m365_mcp", "tests", "conftest", "__main__")
# Fast tests in other folders that use a package with parts that its own folder does not have.
ALSO = {
    "mail": ("tests/test_mail_payload.py",),
    "storage": ("tests/auth",),
}
_OPTIONS = ["-o", "addopts=", "-q", "--tb=no", "-p", "no:cacheprovider", "-n", "0", "-p", "no:randomly"]
_OPTIONS += ["-p", "no:unraisableexception"]  # at the end of each run it collects garbage several times
_OPTIONS += ["-m", "not hypothesis and not full", "--assert=plain"]
_OPTIONS += ["--timeout=12"]  # a test that hangs has killed the mutant
_LEAST_SECONDS = 20.0  # of processor time
_WAITING = 3  # how much longer a run may take by the clock, on a busy machine
_SLOW_SECONDS = 6.0


@dataclass
class Ran:
    """What became of one run of the tests.

    Attributes:
        passed: whether no test failed.
        failed: the tests that failed.
        seconds: how long it took.
        libraries: what was imported that is not ours.
        reach: which tests run which functions, if that was asked for.
        seconds_of: how long each test took.
    """

    passed: bool
    failed: list[str] = field(default_factory=list)
    seconds: float = 0.0
    libraries: list[str] = field(default_factory=list)
    reach: Reach = field(default_factory=dict)
    seconds_of: dict[str, float] = field(default_factory=dict)


@dataclass(eq=False)  # pluggy puts plugins into sets
class Order:
    """A pytest plugin: only the chosen tests run, and those that killed before come first; remembers what failed.

    Attributes:
        chosen: the tests to run; None for all.
        first: the tests that killed before.
        failed: the tests that failed; a mutant dies of the first, and the rest does not run.
        seconds: how long each test took.
    """

    chosen: frozenset[str] | None = None
    first: Sequence[str] = ()
    failed: list[str] = field(default_factory=list)
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Bring the tests into the order in which a mutant is likely to die soonest."""
        rank = {name: number for number, name in reversed(list(enumerate(self.first)))}
        items[:] = [item for item in items if self.chosen is None or item.nodeid in self.chosen]
        items.sort(key=lambda item: rank.get(item.nodeid, len(rank)))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember the first test that failed, and how long each took."""
        self.seconds[report.nodeid] += report.duration
        if report.failed:
            self.failed.append(report.nodeid)


class Runner:
    """Runs the fast tests that reach a mutant, first those it is likely to die of.

    Property tests, those marked `full`, and those that take long without any mutant are left out: a survivor has to
    outlive all the others, and should die of a test of its own.

    Args:
        package: the package.
        tests: the files and folders of its tests, if they are not in the folder of the same name.
    """

    def __init__(self, package: str, tests: Sequence[str] = ()) -> None:
        self._tests = tests or [f"tests/{package}", *ALSO.get(package, ())]
        self._package = package
        self._killers: list[str] = []
        self._reach: Reach = {}
        self._seconds_of: dict[str, float] = {}
        self._seconds = _LEAST_SECONDS

    def warm_up(self) -> Ran:
        """Run the tests of the product as it is, and import the libraries they need into this process.

        A test that fails while the lines are recorded, because it measures time, is left out.
        """
        recorder = Recorder(PACKAGE, self._package)
        ran = self._forked(lambda: None, Order(), self._tests, 1800.0, recorder)
        for name in ran.libraries:
            _import_quietly(name)
        gc.collect()
        gc.freeze()  # a child that collects garbage need not look at what it has inherited
        self._seconds, self._reach = max(_LEAST_SECONDS, 4 * ran.seconds), ran.reach
        self._seconds_of = {test: seconds for test, seconds in ran.seconds_of.items() if test not in ran.failed}
        return ran

    def run(self, name: str, path: Path, source: str, line: int) -> Ran:
        """Run the tests with another source in the place of the module `name`; `line` is where it differs."""
        chosen = self._tests_for(path, line)
        if not chosen:
            return Ran(passed=True)
        files = list(dict.fromkeys(test.partition("::")[0] for test in sorted(chosen)))
        order = Order(chosen, [*self._killers, *sorted(chosen, key=lambda test: self._seconds_of.get(test, 0.0))])
        ran = self._forked(Override(name, path, source).install, order, files, self._seconds)
        self._killers = [*ran.failed[:1], *(one for one in self._killers if one not in ran.failed)]
        return ran

    def _tests_for(self, path: Path, line: int) -> frozenset[str]:
        """Return the tests that run the function at this line; outside functions, all of the files that use the module.

        A constant may be looked at by a test that runs no function. A module of constants alone is not seen to be used
        by any test, so it meets all.
        """
        reached = self._reach.get(str(path.relative_to(PACKAGE)), {})
        function = function_at(path.read_text(), line)
        if function != WHOLE_MODULE:
            return frozenset(reached.get(function, ()))
        files = {test.partition("::")[0] for test in reached.get(WHOLE_MODULE, ())}
        fast = (test for test, seconds in self._seconds_of.items() if seconds <= _SLOW_SECONDS)
        return frozenset(test for test in fast if not files or test.partition("::")[0] in files)

    def _forked(
        self,
        prepare: Callable[[], None],
        order: Order,
        files: Sequence[str],
        seconds: float,
        recorder: Recorder | None = None,
    ) -> Ran:
        began = time.monotonic()
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.close(reading)
            resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds) + 1))
            _be_the_child(writing, prepare, order, files, recorder)
        os.close(writing)
        told = _read_all(reading, began + _WAITING * seconds)
        _end(child)
        return Ran(
            passed=told.get("code") in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED),
            failed=told.get("failed", []),
            seconds=time.monotonic() - began,
            libraries=told.get("libraries", []),
            reach=told.get("reach", {}),
            seconds_of=told.get("seconds_of", {}),
        )


def _be_the_child(
    writing: int, prepare: Callable[[], None], order: Order, files: Sequence[str], recorder: Recorder | None
) -> None:
    """Run pytest, say what came of it, and end; nothing of this process comes back."""
    try:
        os.setsid()
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        os.chdir(ROOT)
        sys.dont_write_bytecode = False  # otherwise every child would compile all our sources anew
        _forget_ours()
        prepare()
        stopping = [] if recorder else ["-x"]
        code = int(pytest.main([*_OPTIONS, *stopping, *files], plugins=[order, *filter(None, [recorder])]))
        libraries = [name for name in sys.modules if name.split(".")[0] not in OURS]
        slow = {test for test, seconds in order.seconds.items() if seconds > _SLOW_SECONDS}
        reach = recorder.reach(without=slow.union(order.failed)) if recorder else {}
        said = {
            "code": code,
            "failed": order.failed,
            "libraries": libraries,
            "reach": reach,
            "seconds_of": order.seconds,
        }
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
