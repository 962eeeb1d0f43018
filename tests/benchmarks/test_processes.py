"""Reading processor time and memory of processes, and what a machine is."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.processes import Stat, on_core, read_resident, read_stat, resident_bytes, seconds_of, tree

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux")
BURN = "import sys\nwhile True: pass"


def test_name_of_a_program_may_hold_brackets_and_blanks() -> None:
    """Fields are counted after the last bracket: the parent, and user and system time of it and its children."""
    line = "41 (a) b (c)) S 7 41 41 0 -1 0 0 0 0 0 100 20 3 1 20 0 1 0 5 1 2"

    assert read_stat(line) == Stat(parent=7, ticks=124)


def test_resident_memory_of_an_ended_process_is_none() -> None:
    """VmRSS is in kibibytes; a process that waits to be reaped has no such line."""
    assert read_resident("Name:\tx\nVmRSS:\t  12 kB\n") == 12 * 1024
    assert read_resident("Name:\tx\n") == 0


def test_children_of_children_belong_to_the_tree() -> None:
    """A shell's child is counted with the shell: in the tree, in its memory and in its processor time."""
    command = f"{sys.executable} -c '{BURN}' & wait"
    shell = subprocess.Popen(["sh", "-c", command])
    try:
        while len(tree(shell.pid)) < 2:
            time.sleep(0.01)
        child = tree(shell.pid)[1]
        while seconds_of(child) == 0:
            time.sleep(0.01)
        assert resident_bytes(shell.pid) > resident_bytes(child) > 0
    finally:
        for process in reversed(tree(shell.pid)):
            os.kill(process, 9)
        shell.wait()
    assert seconds_of(shell.pid) == 0


def test_program_started_in_the_block_stays_on_its_core() -> None:
    """It inherits the core; the harness goes back to where it was."""
    before = os.sched_getaffinity(0)
    core = max(before)
    with on_core(core):
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert os.sched_getaffinity(child.pid) == {core}
        assert os.sched_getaffinity(0) == before
    finally:
        child.kill()
        child.communicate()
    assert not Path(f"/proc/{child.pid}").exists()
