"""Files named in any order have the fixtures of their conftest.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
NAMED = ("tests/e2e/test_doctor_outside.py", "tests/test_loopback.py", "tests/e2e/test_doctor_store.py")


def test_file_of_a_parent_folder_between_two_files_takes_no_fixtures_away() -> None:
    """A canary for pytest 9.1, too: with the files in this order, the last one had lost the fixtures of its folder."""
    planned = ["-m", "pytest", "-n", "0", "-q", "--setup-plan", "-p", "no:cacheprovider", *NAMED]
    ran = subprocess.run([sys.executable, *planned], cwd=ROOT, capture_output=True, text=True, check=False)

    assert "fixture 'shared_redis' not found" not in ran.stdout
    assert ran.returncode == 0, ran.stdout[-2000:]
