"""What is packaged where: the production wheel without the simulator, and the extra that brings it."""

import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest

from m365_mcp.settings import foreign_environment

ROOT = Path(__file__).parents[1]
pytestmark = [pytest.mark.full, pytest.mark.xdist_group("distributions")]


def build_wheel(project: Path, folder: Path) -> Path:
    """Build the project's wheel as the image does, and return where it lies."""
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", str(folder), str(project)], check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the unpacked production wheel."""
    folder = tmp_path_factory.mktemp("production")
    wheel = build_wheel(ROOT, tmp_path_factory.mktemp("wheel"))
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


def test_production_wheel_holds_the_server_only(production: Path) -> None:
    """One package, no simulator, and the simulator is required by the extra `demo` alone."""
    (metadata,) = production.glob("*.dist-info/METADATA")
    required = [line for line in metadata.read_text().splitlines() if line.startswith("Requires-Dist: m365-")]

    assert {path.name for path in production.iterdir()} == {"m365_mcp", metadata.parent.name}
    assert [path for path in production.rglob("*") if "simulator" in path.name] == []
    assert required == [f"Requires-Dist: m365-mcp-simulator=={version('.')}; extra == 'demo'"]


def test_simulators_wheel_holds_its_pages(tmp_path: Path) -> None:
    """Templates, style sheet and script are in the wheel, and nothing of the server."""
    names = zipfile.ZipFile(build_wheel(ROOT / "simulator", tmp_path)).namelist()
    files = [path for path in (ROOT / "simulator" / "src").rglob("*.*") if "__pycache__" not in path.parts]

    assert {str(path.relative_to(ROOT / "simulator" / "src")) for path in files} <= set(names)
    assert {name.partition("/")[0] for name in names} == {
        "m365_simulator",
        f"m365_mcp_simulator-{version('simulator')}.dist-info",
    }


def test_both_distributions_have_one_version() -> None:
    """The simulator's version is the server's, and the extra asks for exactly that one."""
    assert version("simulator") == version(".") == distribution("m365-mcp-server").version


def test_extra_dev_is_enough_to_run_the_tests() -> None:
    """It brings the build tools and what the simulator needs, which stands in the same folder and is not installed."""
    ours, simulators = project("."), project("simulator")
    brought = {*ours["project"]["dependencies"], *ours["project"]["optional-dependencies"]["dev"]}

    assert set(ours["dependency-groups"]["build"]) <= brought
    assert set(simulators["project"]["dependencies"]) <= brought


@pytest.mark.parametrize("command", [["demo"], ["demo", "--once"], ["simulator"]])
def test_command_without_the_extra_says_what_to_install(production: Path, tmp_path: Path, command: list[str]) -> None:
    """Where the production wheel alone is installed, the command ends with 2 and one sentence."""
    packages = Path(pytest.__file__).parents[1]
    # -S: no .pth file is read, so what is installed editable, the simulator too, is not there.
    ran = subprocess.run(
        [sys.executable, "-S", "-m", "m365_mcp", *command],
        env={**foreign_environment(), "PYTHONPATH": f"{production}:{packages}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.strip().count("\n") == 0
    assert ran.stderr.startswith("The simulator is not installed: pip install 'm365-mcp-server[demo]'")


def version(folder: str) -> str:
    return str(project(folder)["project"]["version"])


def project(folder: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / folder / "pyproject.toml").read_text())
