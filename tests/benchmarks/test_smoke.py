"""The whole benchmark, one second a row: no call fails, and every contender that can run does."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.e2e, pytest.mark.full, pytest.mark.xdist_group("benchmark")]


@pytest.mark.skipif(sys.platform != "linux", reason="it pins processes to cores")
@pytest.mark.parametrize("name", ["ours", "plain", "bare-request", "bare", "endpoint"])
def test_contender_is_measured_without_a_failed_call(name: str) -> None:
    """The table has the contender's row, and no call of it failed; one that is not installed says so."""
    command = [sys.executable, "-m", "benchmarks", "--quick", "--only", name]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stderr[-4000:]
    assert "get_my_profile, 32 callers" in run.stdout or "is left out" in run.stdout
    assert "failed**" not in run.stdout
