"""Demo and server without what Windows lacks: no POSIX module, no fork, no handed-on socket, no signal handlers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from m365_mcp.settings import foreign_environment

ROOT = Path(__file__).parents[2]
# Python reads this module before anything else. Libraries choose by `sys.platform`, so only our modules lack others.
LACKING = """
import asyncio, builtins, os, signal, subprocess

POSIX = {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog", "uvloop"}
imported = builtins.__import__

def import_unless_posix(name, globals=None, *others, **options):
    if name in POSIX and (globals or {}).get("__name__", "").startswith(("m365_", "__main__")):
        raise ModuleNotFoundError(name)
    return imported(name, globals, *others, **options)

builtins.__import__ = import_unless_posix
del os.fork
for name in ("SIGHUP", "SIGCHLD", "SIGUSR1", "pthread_sigmask"):
    delattr(signal, name)

def refuse(*_):
    raise NotImplementedError

asyncio.SelectorEventLoop.add_signal_handler = refuse
begun = subprocess.Popen.__init__

def begin(self, *arguments, **options):
    assert not options.get("pass_fds") and options.get("preexec_fn") is None, "not on Windows"
    begun(self, *arguments, **options)

subprocess.Popen.__init__ = begin
"""


@pytest.mark.e2e
def test_demo_needs_nothing_that_windows_lacks(tmp_path: Path) -> None:
    """`python -m m365_mcp demo --once` signs in and sends its mail; simulator and server lack the same."""
    (tmp_path / "sitecustomize.py").write_text(LACKING)
    paths = f"{tmp_path}:{ROOT / 'src'}:{ROOT / 'simulator' / 'src'}"

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        environment = {**foreign_environment(), "PYTHONPATH": paths}
        return subprocess.run([sys.executable, *words], capture_output=True, text=True, env=environment, cwd=tmp_path)

    lacking = run("-c", "import fcntl")
    demo = run("-m", "m365_mcp", "demo", "--once")

    assert "ModuleNotFoundError: fcntl" in lacking.stderr
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "status sent" in demo.stdout
