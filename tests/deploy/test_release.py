"""K5: what `make dist` builds: wheels, archives, an SBOM, a list of licences and checksums."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
DIST = ROOT / "dist"
PYTHON = ROOT / ".venv-dist" / "tools" / "bin" / "python"
VALIDATOR = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
sys.exit(str(JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read()) or ""))
"""

pytestmark = [pytest.mark.deploy, pytest.mark.xdist_group("release")]


@pytest.fixture(scope="module")
def sbom() -> dict[str, Any]:
    """The SBOM of a release that was just built."""
    subprocess.run(["make", "dist", f"PYTHON={sys.executable}"], cwd=ROOT, check=True, capture_output=True)
    return dict(json.loads((DIST / "sbom.cdx.json").read_text()))


def pinned() -> Iterator[tuple[str, str]]:
    """What the lock pins for this machine: names and versions."""
    for line in re.findall(r"^[a-z].*==.*", (ROOT / "requirements" / "run.txt").read_text(), re.MULTILINE):
        requirement = Requirement(line.rstrip(" \\"))
        if requirement.marker is None or requirement.marker.evaluate():
            yield canonicalize_name(requirement.name), str(requirement.specifier).removeprefix("==")


def problems(sbom: dict[str, Any]) -> str:
    """What CycloneDX's own schema finds wrong; empty where it finds nothing."""
    run = subprocess.run([PYTHON, "-c", VALIDATOR], input=json.dumps(sbom), capture_output=True, text=True, check=False)
    return run.stderr.strip()


def test_k5_sbom_lists_what_the_lock_pins(sbom: dict[str, Any]) -> None:
    """The components are the pinned packages with their versions, each with its package URL, and nothing else."""
    listed = {canonicalize_name(component["name"]): component["version"] for component in sbom["components"]}

    assert sbom["metadata"]["component"]["name"] == "m365-mcp-server"
    assert listed == dict(pinned())
    assert all(component["purl"].startswith("pkg:pypi/") for component in sbom["components"])


def test_k5_sbom_is_valid_cyclonedx(sbom: dict[str, Any]) -> None:
    """CycloneDX's schema of version 1.6 accepts it, and finds a mistake that is planted."""
    planted = {**sbom, "components": [{"type": "library"}]}

    assert problems(sbom) == ""
    assert "name" in problems(planted)


def test_k5_release_names_no_folder_of_the_machine(sbom: dict[str, Any]) -> None:
    """Neither the SBOM nor the list of licences says where they were made."""
    texts = json.dumps(sbom) + (DIST / "licences.md").read_text()

    assert str(ROOT) not in texts
    assert "file:" not in texts


def test_k5_list_of_licences_has_every_component(sbom: dict[str, Any]) -> None:
    """Each component has a line with its version."""
    rows = [[cell.strip() for cell in line.split("|")[1:4]] for line in (DIST / "licences.md").read_text().splitlines()]
    listed = {(canonicalize_name(name), version) for name, version, licence in rows[2:] if licence}

    assert listed == {(canonicalize_name(component["name"]), component["version"]) for component in sbom["components"]}


def test_k5_checksums_are_those_of_the_files(sbom: dict[str, Any]) -> None:
    """SHA256SUMS names every other file with its SHA-256."""
    lines = [line.split("  ") for line in (DIST / "SHA256SUMS").read_text().splitlines()]
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in DIST.iterdir()}

    assert {name: digest for digest, name in lines} == {
        name: digest for name, digest in files.items() if name != "SHA256SUMS"
    }
