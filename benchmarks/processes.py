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
    return sum(seconds_of(process) for root in roots for process in tree(root))


def seconds_of(process: int) -> float:
    """Return the processor time of one process so far; 0 when it has ended."""
    try:
        return read_stat((PROC / str(process) / "stat").read_text()).ticks / TICKS_PER_SECOND
    except (FileNotFoundError, ProcessLookupError):
        return 0.0


def resident_bytes(root: int) -> int:
    """Return the resident memory of a process and its descendants; what they share counts for each of them."""
    total = 0
    for process in tree(root):
        try:
            total += read_resident((PROC / str(process) / "status").read_text())
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total


def read_resident(text: str) -> int:
    """Return the line `VmRSS:` of `/proc/PID/status` in bytes; 0 for a process that has ended and has none."""
    line = next((line for line in text.splitlines() if line.startswith("VmRSS:")), "VmRSS: 0 kB")
    return int(line.split()[1]) * KIBIBYTE


def machine() -> str:
    """Return what the machine is, in a phrase."""
    gibibytes = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
    names = [
        line.partition(":")[2].strip() for line in (PROC / "cpuinfo").read_text().splitlines() if "model name" in line
    ]
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores ({names[0] if names else platform.machine()}), {gibibytes} GiB, Linux {platform.release()}"
