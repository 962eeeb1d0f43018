"""Processes: on which core they run, how much processor time and memory they have taken; all of it read in /proc."""

from __future__ import annotations

import os
import platform
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
KIBIBYTE = 1024
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cores:
    """Where things run: the contender has a core of its own when there are two or more."""

    contender: int
    others: int

    @property
    def are_shared(self) -> bool:
        """Whether both run on the same core, so that requests a second say little."""
        return self.contender == self.others


def choose_cores() -> Cores:
    """Return the cores to use; RuntimeError where processes cannot be pinned (anywhere but on Linux)."""
    if sys.platform != "linux":
        raise RuntimeError("The benchmark needs Linux: it pins processes to cores and reads /proc.")
    allowed = sorted(os.sched_getaffinity(0))
    return Cores(contender=allowed[-1], others=allowed[0])


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Run on this core within the block, and so do the programs that are started in it, for good."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@dataclass(frozen=True)
class Stat:
    """What `/proc/PID/stat` says (proc_pid_stat(5)); `ticks` are those of the process and of children it waited for."""

    parent: int
    ticks: int


def read_stat(text: str) -> Stat:
    """Read the line; the name of the program, in brackets, may hold blanks and brackets."""
    fields = text.rpartition(")")[2].split()
    return Stat(parent=int(fields[1]), ticks=sum(int(field) for field in fields[11:15]))


def tree(root: int) -> list[int]:
    """Return the ids of a process and all its descendants."""
    children: dict[int, list[int]] = defaultdict(list)
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                children[read_stat((entry / "stat").read_text()).parent].append(int(entry.name))
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended meanwhile
    found = [root]
    for process in found:  # grows while it is read
        found += children[process]
    return found


def processor_seconds(roots: list[int]) -> float:
    """Return the processor time of these processes and their descendants so far."""
    ticks = 0
    for process in (process for root in roots for process in tree(root)):
        try:
            ticks += read_stat((PROC / str(process) / "stat").read_text()).ticks
        except (FileNotFoundError, ProcessLookupError):
            continue
    return ticks / TICKS_PER_SECOND


def resident_bytes(root: int) -> int:
    """Return the proportional set size of a process and its descendants: memory that several share counts once."""
    total = 0
    for process in tree(root):
        try:
            total += read_pss((PROC / str(process) / "smaps_rollup").read_text())
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total


def read_pss(text: str) -> int:
    """Return the line `Pss:` of `/proc/PID/smaps_rollup`, in bytes."""
    line = next(line for line in text.splitlines() if line.startswith("Pss:"))
    return int(line.split()[1]) * KIBIBYTE


def machine() -> str:
    """Return what the machine is, in a phrase."""
    gibibytes = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
    names = [
        line.partition(":")[2].strip() for line in (PROC / "cpuinfo").read_text().splitlines() if "model name" in line
    ]
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores ({names[0] if names else platform.machine()}), {gibibytes} GiB, Linux {platform.release()}"
