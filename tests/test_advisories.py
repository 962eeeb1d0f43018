"""K5: the gate for published vulnerabilities: which versions an advisory is about, and exceptions that end."""

from __future__ import annotations

import json
import zipfile
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import advisories
from tests.advisories import Exemption, Pin, affects, findings, main, pins, read_advisories, read_exemptions

TODAY = date(2026, 11, 26)
PIN = Pin("sample-package", "2.5", "run.txt")


def advisory(*events: dict[str, str], **more: Any) -> dict[str, Any]:
    """An advisory about the sample package, with one range."""
    ranges = [{"type": "ECOSYSTEM", "events": list(events)}]
    affected = {"package": {"ecosystem": "PyPI", "name": "Sample_Package"}, "ranges": ranges}
    return {"id": "GHSA-1", "aliases": ["CVE-1"], "affected": [affected], **more}


@pytest.mark.parametrize(
    ("events", "is_affected"),
    [
        ([{"introduced": "0"}], True),
        ([{"introduced": "0"}, {"fixed": "2.5"}], False),
        ([{"introduced": "0"}, {"fixed": "2.5.1"}], True),
        ([{"introduced": "0"}, {"last_affected": "2.5"}], True),
        ([{"introduced": "0"}, {"last_affected": "2.4"}], False),
        ([{"introduced": "2.6"}], False),
        ([{"introduced": "0"}, {"fixed": "1.0"}, {"introduced": "2.0"}, {"fixed": "2.10"}], True),
        ([{"introduced": "not a version"}, {"fixed": "nor this"}], True),
        ([{"fixed": "2.10"}, {"introduced": "0"}], True),
        ([{"introduced": "0"}, {"limit": "2.0"}], True),
        ([{"introduced": "2.5"}, {"fixed": "2.5"}], False),
        ([{"introduced": "2.5rc1"}, {"fixed": "2.6"}], True),
    ],
)
def test_k5_range_of_an_advisory_is_read_as_the_format_says(events: list[dict[str, str]], is_affected: bool) -> None:
    """Versions are compared as Python compares them, and in doubt one is affected."""
    assert affects(advisory(*events), PIN) is is_affected


def test_k5_candidate_of_the_version_that_corrects_is_affected() -> None:
    """An advisory that is corrected in 1.0 is about 1.0rc1, and one that begins at 0 is about 0.0a1."""
    found = advisory({"introduced": "0"}, {"fixed": "1.0"})

    assert [affects(found, Pin(PIN.name, version, "run.txt")) for version in ("0.0a1", "1.0rc1", "1.0")] == [
        True,
        True,
        False,
    ]


def test_k5_listed_version_is_affected_and_other_packages_are_not() -> None:
    """A version that is named counts without a range; other names, other registries and withdrawn advisories do not."""
    listed = advisory(affected=[{"package": {"ecosystem": "PyPI", "name": "sample.package"}, "versions": ["2.5"]}])
    elsewhere = advisory(affected=[{"package": {"ecosystem": "npm", "name": "sample-package"}, "versions": ["2.5"]}])

    assert affects(listed, PIN)
    assert affects(listed, Pin("sample-package", "2.5.0", "run.txt"))
    assert affects({**listed, "withdrawn": None}, PIN)
    assert not affects(elsewhere, PIN)
    assert not affects(listed, Pin("another-package", "2.5", "run.txt"))
    assert not affects({**listed, "withdrawn": "2026-01-01T00:00:00Z"}, PIN)


@pytest.mark.parametrize("named", ["GHSA-1", "CVE-1"])
def test_k5_exception_holds_until_its_day_and_fails_after_it(named: str) -> None:
    """On its last day an exception accepts the vulnerability, by id or alias; a day later both are told."""
    found = advisory({"introduced": "0"})
    last = Exemption(named, TODAY, "The function is not called.")
    ended = Exemption(named, date(2026, 11, 25), "The function is not called.")

    assert findings([found], [PIN], [], TODAY) == ["GHSA-1 affects sample-package 2.5 in run.txt."]
    assert findings([found], [PIN], [last], TODAY) == []
    assert findings([found], [PIN], [ended], TODAY) == [
        f"The exception for {named} ended on 2026-11-25.",
        "GHSA-1 affects sample-package 2.5 in run.txt.",
    ]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('[[exception]]\nid = "A"\nuntil = 2027-01-31', KeyError),
        ('[[exception]]\nid = "A"\nreason = "R"', KeyError),
        ('[[exception]]\nid = "A"\nuntil = "2027-01-31"\nreason = "R"', TypeError),
        ('[[exception]]\nid = "A"\nuntil = 2027-01-31\nreason = " "', TypeError),
    ],
)
def test_k5_exception_without_a_day_or_a_reason_is_refused(text: str, error: type[Exception]) -> None:
    """Nobody can accept a vulnerability for ever, or without saying why."""
    with pytest.raises(error):
        read_exemptions(text)


def test_k5_every_lock_is_compared() -> None:
    """Each hashed file has pins, and the server's own has its framework."""
    found = {lock: list(pins(lock)) for lock in advisories.LOCKS}

    assert len(found) >= 7
    assert all(found.values())
    assert "fastmcp" in {pin.name for pin in found[advisories.ROOT / "requirements" / "run.txt"]}


def test_k5_exceptions_of_the_repository_can_be_read() -> None:
    """The file has the form that the gate reads."""
    assert isinstance(read_exemptions(advisories.EXCEPTIONS.read_text()), list)


def planted(**changes: Any) -> dict[str, Any]:
    """An advisory about every version of a package that is pinned here, written today."""
    affected = {
        "package": {"ecosystem": "PyPI", "name": "FastMCP"},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}],
    }
    return {"id": "GHSA-1", "modified": "2026-11-26T00:00:00Z", "affected": [affected], **changes}


def test_k5_gate_fails_for_a_pinned_version_and_passes_without_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code is 1 for a finding, 0 for none and for a withdrawn one, and 2 where no advisory was given."""
    file = tmp_path / "advisory.json"
    corrected = [{"package": {"ecosystem": "PyPI", "name": "fastmcp"}, "versions": ["0.1"], "ranges": []}]

    outcomes = []
    for content in (planted(), [planted(affected=corrected)], planted(withdrawn="2026-11-01T00:00:00Z")):
        file.write_text(json.dumps(content))
        outcomes.append(main([str(tmp_path)], TODAY))

    assert outcomes == [1, 0, 0]
    assert "GHSA-1 affects fastmcp" in capsys.readouterr().out
    assert main([], TODAY) == 2
    assert "To get such a folder" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["json", "yaml", "zip"])
def test_k5_gate_reads_a_folder_as_it_is_published(
    tmp_path: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """JSON in folders, the YAML of the Python Packaging Authority, and the archive of OSV: each has the planted one."""
    folder = tmp_path / "vulns" / "fastmcp"
    folder.mkdir(parents=True)
    name = f"GHSA-1.{'yaml' if form == 'yaml' else 'json'}"
    (folder / name).write_text(yaml.safe_dump(planted()) if form == "yaml" else json.dumps(planted()))
    (folder / "README.md").write_text("No advisory.")
    given = tmp_path / "vulns"
    if form == "zip":
        given = tmp_path / "all.zip"
        with zipfile.ZipFile(given, "w") as archive:
            archive.write(folder / name, name)

    assert main([str(given)], TODAY) == 1
    assert "1 advisories, the newest of 2026-11-26" in capsys.readouterr().out


def test_k5_version_in_yaml_is_a_text(tmp_path: Path) -> None:
    """1.10 without quotes is the version 1.10 and not the number 1.1."""
    file = tmp_path / "advisory.yaml"
    file.write_text(
        "id: A\nmodified: 2026-11-26\naffected:\n- package: {ecosystem: PyPI, name: sample}\n  versions: [1.10]\n"
    )
    [found] = read_advisories([file])

    assert affects(found, Pin("sample", "1.10", "run.txt"))
    assert not affects(found, Pin("sample", "1.1", "run.txt"))


@pytest.mark.parametrize(("day", "code"), [("2026-10-28", 0), ("2026-10-26", 2), (None, 2)])
def test_k5_old_copy_of_the_advisories_does_not_pass(tmp_path: Path, day: str | None, code: int) -> None:
    """A folder whose newest advisory is more than thirty days old finds nothing because it knows nothing."""
    file = tmp_path / "advisory.json"
    file.write_text(json.dumps({"id": "GHSA-1", "modified": day}))

    assert main([str(tmp_path)], TODAY) == code


@pytest.mark.parametrize(
    "content", ['{"message": "not found"}', "<html>", "[7]", '{"id": "A"}'], ids=["error", "page", "number", "empty"]
)
def test_k5_file_that_is_no_advisory_is_refused(
    tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error page in the place of an advisory does not pass as one without findings."""
    file = tmp_path / "advisory.json"
    file.write_text(content)

    assert main([str(file)], TODAY) == 2
    assert "advisory.json" in capsys.readouterr().err
    assert main([str(tmp_path / "missing")], TODAY) == 2
