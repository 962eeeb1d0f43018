"""The wheels of a release, installed from their files into an empty environment, run the demo there.

Each test installs the pinned packages, about 60 MB, from the package index; uv has them in its cache the second time.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from m365_mcp.settings import foreign_environment
from tests.deploy.tools import ROOT

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(500), pytest.mark.xdist_group("installed")]
SENTENCE = "The simulator is not installed: pip install 'm365-mcp-server[demo]'"


@dataclass(frozen=True)
class Machine:
    """A home without anything, and a folder of a release.

    Attributes:
        folder: where the person works; nothing of the repository is in it or on its path.
        release: what `make archives` has built.
    """

    folder: Path
    release: Path

    @property
    def wheel(self) -> Path:
        (wheel,) = self.release.glob("m365_mcp_server-*.whl")
        return wheel

    @property
    def pins(self) -> list[str]:
        """The options with which installers take the simulator from the release, and the tested versions."""
        return ["--find-links", str(self.release), "--constraint", str(self.release / "constraints.txt")]

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command as the person would, until it ends."""
        kept = {name: value for name, value in foreign_environment().items() if not name.startswith(("PYTHON", "XDG_"))}
        home = {"HOME": str(self.folder), "PATH": "/usr/bin:/bin", "UV_CACHE_DIR": str(self.folder / "cache")}
        # The authorities of the machine, with which pip outside reaches the index; and no Python but that of the test.
        uv = {"UV_SYSTEM_CERTS": "true", "UV_PYTHON_DOWNLOADS": "never", "UV_NO_CONFIG": "1"}
        words = [str(word) for word in command]
        work = self.folder / "work"
        work.mkdir(exist_ok=True)
        return subprocess.run(words, cwd=work, env=kept | home | uv, capture_output=True, text=True, check=False)

    def uvx(self, what: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command of a package as `uvx` does."""
        uv = Path(sys.executable).with_name("uv")
        return self.run(uv, "tool", "run", "--python", sys.executable, *self.pins, "--from", what, *command)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """A machine with a release that was just built."""
    release = tmp_path_factory.mktemp("built") / "dist"
    path = f"{Path(sys.executable).parent}:{foreign_environment()['PATH']}"
    environment = {**foreign_environment(), "PATH": path}
    command = ["make", "-s", "archives", f"DIST={release}"]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    return Machine(tmp_path_factory.mktemp("home"), release)


def test_uvx_runs_the_demo_of_the_wheel(machine: Machine) -> None:
    """One command, no clone and no make: the mail of the demo is sent."""
    ran = machine.uvx(f"{machine.wheel}[demo]", "m365-mcp", "demo", "--once")

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "status sent, grace@contoso.example" in ran.stdout


def test_uvx_without_the_extra_says_what_to_install(machine: Machine) -> None:
    """The wheel alone has no simulator, so the demo ends with 2 and one sentence, and `version` works."""
    ran = machine.uvx(str(machine.wheel), "m365-mcp", "demo", "--once")
    version = machine.uvx(str(machine.wheel), "m365-mcp", "version")

    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.splitlines()[-1].startswith(SENTENCE)
    assert version.stdout.strip() == machine.wheel.name.split("-")[1]


def test_pip_installs_the_tested_versions_and_the_module_runs_the_demo(machine: Machine) -> None:
    """What pipx does, by hand: a virtual environment, one install with constraints, and `python -m m365_mcp demo`."""
    machine.run(sys.executable, "-m", "venv", machine.folder / "venv").check_returncode()
    python = machine.folder / "venv" / "bin" / "python"
    installed = machine.run(python, "-m", "pip", "install", "-q", *machine.pins, f"{machine.wheel}[demo]")
    assert installed.returncode == 0, installed.stderr

    ran = machine.run(python, "-m", "m365_mcp", "demo", "--once")
    found = machine.run(python, "-c", "import m365_mcp, m365_simulator as s; print(m365_mcp.__file__, s.__file__)")
    frozen = machine.run(python, "-m", "pip", "freeze", "--exclude", "m365-mcp-server").stdout.lower().split("\n")

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert all(Path(path).is_relative_to(machine.folder / "venv") for path in found.stdout.split())
    pinned = {line.partition(" ;")[0] for line in (machine.release / "constraints.txt").read_text().splitlines()}
    assert {line.replace("_", "-") for line in frozen if "==" in line} - pinned <= {"m365-mcp-simulator==0.1.0"}
