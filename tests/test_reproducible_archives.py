"""`make archives` makes the same wheels and source archives of a commit, wherever and whenever it is run."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from m365_mcp.settings import foreign_environment

ROOT = Path(__file__).parents[1]
DAY = 24 * 3600
pytestmark = [pytest.mark.full, pytest.mark.xdist_group("distributions")]


class Build(NamedTuple):
    """A clone of the last commit, and what `make archives` has made in it."""

    clone: Path
    files: dict[str, bytes]


def environment() -> dict[str, str]:
    """Return an environment in which `python` has hatchling, and that says nothing of the time of the sources."""
    path = f"{Path(sys.executable).parent}:{foreign_environment()['PATH']}"
    return {**foreign_environment(), "PATH": path} | {"SOURCE_DATE_EPOCH": ""}


def built(clone: Path, umask: int, age_seconds: int) -> Build:
    """Clone and build with a umask, from files that seem as old as is said."""
    git = ["git", "-c", "advice.detachedHead=false", "clone", "-q", "--shared", str(ROOT), str(clone)]
    subprocess.run(git, check=True, umask=umask)
    for path in clone.rglob("*"):
        if path.is_file() and ".git" not in path.parts:
            os.utime(path, (path.stat().st_atime, path.stat().st_mtime - age_seconds))
    command = ["make", "-s", "archives"]
    subprocess.run(command, cwd=clone, env=environment(), umask=umask, check=True, capture_output=True)
    return Build(clone, {path.name: path.read_bytes() for path in (clone / "dist").iterdir()})


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> tuple[Build, Build]:
    """The same commit, built in two folders by people with other habits, on other days."""
    folder = tmp_path_factory.mktemp("builds")
    return built(folder / "one", 0o022, 0), built(folder / "a longer name" / "two", 0o077, 400 * DAY)


def archives(build: Build) -> Iterator[Path]:
    """The unpacked source archives of a build, the server's first."""
    for name in sorted(name for name in build.files if name.endswith(".tar.gz")):
        folder = build.clone / "unpacked"
        with tarfile.open(build.clone / "dist" / name) as tar:
            tar.extractall(folder, filter="data")
        yield folder / name.removesuffix(".tar.gz")


def test_archives_of_a_commit_are_the_same_bit_for_bit(builds: tuple[Build, Build]) -> None:
    """Two wheels, two source archives and the constraints have one digest each, in spite of folder, umask and time."""
    one, two = ({name: hashlib.sha256(data).hexdigest() for name, data in build.files.items()} for build in builds)

    assert sorted(Path(name).suffix for name in one) == [".gz", ".gz", ".txt", ".whl", ".whl"]
    assert one == two


def test_archives_have_the_time_of_the_commit(builds: tuple[Build, Build]) -> None:
    """Each member of a source archive is as old as the commit, and belongs to nobody of the machine."""
    commit = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in (name for name in builds[0].files if name.endswith(".tar.gz")):
        with tarfile.open(builds[0].clone / "dist" / name) as tar:
            members = {(int(one.mtime), one.uid, one.gid, one.uname) for one in tar.getmembers()}
        assert members == {(int(commit), 0, 0, "")}


def test_source_archive_makes_the_same_wheel(builds: tuple[Build, Build], tmp_path: Path) -> None:
    """Whoever builds from a source archive gets the wheel that lies beside it, bit for bit."""
    commit = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, check=True, text=True)
    for source in archives(builds[0]):
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
        variables = {**environment(), "SOURCE_DATE_EPOCH": commit.stdout.strip()}
        subprocess.run(command, cwd=source, env=variables, check=True, capture_output=True)

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        name: data for name, data in builds[0].files.items() if name.endswith(".whl")
    }


def test_source_archives_hold_what_builds_and_no_tests(builds: tuple[Build, Build]) -> None:
    """A source archive has the package, its metadata and its lock; tests and tools are in the repository."""
    for source in archives(builds[0]):
        assert {path.name for path in source.iterdir()} - {"CHANGELOG.md", "SECURITY.md"} == {
            *(".gitignore", "LICENSE", "PKG-INFO", "README.md"),
            *("pyproject.toml", "requirements", "src"),
        }
        assert [path.name for path in (source / "requirements").iterdir()] == ["run.txt"]


def test_wheel_holds_what_the_server_reads(builds: tuple[Build, Build]) -> None:
    """Every file of the package that is no source of another is in the wheel: catalogues, pages, schema, mails."""
    package = builds[0].clone / "src"
    (wheel,) = (builds[0].clone / "dist").glob("m365_mcp_server-*.whl")
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}

    assert names == {str(path.relative_to(package)) for path in package.rglob("*.*") if path.suffix != ".po"}
    assert {Path(name).suffix for name in names} >= {".mo", ".html", ".css", ".js", ".cedarschema", ".md"}


def test_constraints_are_the_versions_of_the_locks(builds: tuple[Build, Build]) -> None:
    """constraints.txt has each pinned version of server and simulator once, without hashes and without an address."""
    lines = builds[0].files["constraints.txt"].decode().splitlines()
    locks = [ROOT / "requirements" / "run.txt", ROOT / "simulator" / "requirements" / "run.txt"]
    pinned = {line.rstrip(" \\") for lock in locks for line in lock.read_text().splitlines() if "==" in line}

    assert set(lines) == pinned
    assert len({line.partition("==")[0] for line in lines}) == len(lines)
    assert "--hash" not in "".join(lines)
    assert "://" not in "".join(lines)
