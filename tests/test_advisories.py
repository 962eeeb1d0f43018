"""K5: the gate for published vulnerabilities: which versions an advisory is about, and exceptions that end."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests import advisories
from tests.advisories import Exemption, Pin, affects, findings, main, pins, read_exemptions

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
    ],
)
def test_k5_range_of_an_advisory_is_read_as_the_format_says(events: list[dict[str, str]], is_affected: bool) -> None:
    """Versions are compared as Python compares them, and in doubt one is affected."""
    assert affects(advisory(*events), PIN) is is_affected


def test_k5_listed_version_is_affected_and_other_packages_are_not() -> None:
    """A version that is named counts without a range; other names, other registries and withdrawn advisories do not."""
    listed = advisory(affected=[{"package": {"ecosystem": "PyPI", "name": "sample.package"}, "versions": ["2.5"]}])
    elsewhere = advisory(affected=[{"package": {"ecosystem": "npm", "name": "sample-package"}, "versions": ["2.5"]}])

    assert affects(listed, PIN)
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


def test_k5_gate_fails_for_a_pinned_version_and_passes_without_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code is 1 for a finding, 0 for none, and 2 where no advisory was given."""
    affected = {"package": {"ecosystem": "PyPI", "name": "fastmcp"}, "ranges": []}
    file = tmp_path / "advisory.json"

    outcomes = []
    for events in ([{"introduced": "0"}], [{"introduced": "0"}, {"fixed": "1.0"}]):
        ranges = [{"type": "ECOSYSTEM", "events": events}]
        file.write_text(json.dumps([{"id": "GHSA-1", "affected": [{**affected, "ranges": ranges}]}]))
        outcomes.append(main([str(tmp_path)], TODAY))

    assert outcomes == [1, 0]
    assert "GHSA-1 affects fastmcp" in capsys.readouterr().out
    assert main([], TODAY) == 2


def test_k5_file_that_is_no_advisory_is_refused(tmp_path: Path) -> None:
    """An error page in the place of an advisory does not pass as one without findings."""
    file = tmp_path / "advisory.json"
    file.write_text('{"message": "not found"}')

    with pytest.raises(ValueError, match="no advisory in the OSV format"):
        main([str(file)], TODAY)
