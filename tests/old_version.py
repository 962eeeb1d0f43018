"""v0.1.0 of this server, taken from the repository's history, to be run beside the present version."""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
from pathlib import Path

COMMIT = "9503cde"  # tagged v0.1.0; a clone need not have the tag
_PACKAGE = "src/m365_mcp"
_ROOT = Path(__file__).parents[1]
# The package's own name in an import, which is all that has to change to have both versions in one process.
_IMPORTS = re.compile(r"^(\s*(?:from|import) )m365_mcp\b", re.MULTILINE)


def extract_old_version(folder: Path) -> Path:
    """Write v0.1.0's package below `folder`, and return the directory that belongs on PYTHONPATH."""
    archive = subprocess.run(
        ["git", "archive", "--format=tar", COMMIT, _PACKAGE], cwd=_ROOT, capture_output=True, check=False
    )
    if archive.returncode:
        raise AssertionError(
            f"The tests of an upgrade run v0.1.0, which is commit {COMMIT}, and this clone does not have it. "
            f"Fetch the whole history (git fetch --unshallow). Git says: {archive.stderr.decode().strip()}"
        )
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(folder, filter="data")
    return folder / "src"


def extract_renamed(folder: Path, name: str) -> Path:
    """Write v0.1.0's package as package `name`, which can be imported beside the present one; return its parent."""
    source = extract_old_version(folder)
    (source / "m365_mcp").rename(source / name)
    for module in (source / name).rglob("*.py"):
        module.write_text(_IMPORTS.sub(rf"\g<1>{name}", module.read_text()))
    return source


def read_old_file(path: str) -> str:
    """Return the text of a file of the repository as it was at v0.1.0."""
    shown = subprocess.run(["git", "show", f"{COMMIT}:{path}"], cwd=_ROOT, capture_output=True, text=True, check=True)
    return shown.stdout
