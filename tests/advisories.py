"""K5: compare the pinned packages with published vulnerabilities: `python -m tests.advisories FILES OR FOLDERS…`.

It reads advisories in the OSV format (https://ossf.github.io/osv-schema/) from files, and asks no server. Exceptions
are in requirements/advisories.toml; each ends on a day, and says why it is there.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

ROOT = Path(__file__).parents[1]
EXCEPTIONS = ROOT / "requirements" / "advisories.toml"
LOCKS = (*sorted((ROOT / "requirements").glob("*.txt")), ROOT / "simulator" / "requirements" / "run.txt")
USAGE = "Name the files or folders with advisories in the OSV format."


@dataclass(frozen=True)
class Pin:
    """A version of a package, and the lock that has it."""

    name: str
    version: str
    lock: str


@dataclass(frozen=True)
class Exemption:
    """An advisory that is accepted until a day, the last one included."""

    id: str
    until: date
    reason: str


def pins(lock: Path) -> Iterator[Pin]:
    """Return what a lock pins."""
    for name, version in re.findall(
        r"^([A-Za-z0-9][\w.-]*)(?:\[[^]]*\])?==([^\s;\\]+)", lock.read_text(), re.MULTILINE
    ):
        yield Pin(canonicalize_name(name), version, lock.name if lock.parents[1] == ROOT else f"simulator/{lock.name}")


def read_advisories(paths: Iterable[Path]) -> Iterator[Mapping[str, Any]]:
    """Return the advisories in JSON files, one or a list in each, and in the folders below.

    Raises:
        ValueError: a file is not JSON, or has no advisories.
    """
    for path in paths:
        for file in sorted(path.rglob("*.json")) if path.is_dir() else (path,):
            found = json.loads(file.read_text())
            for advisory in found if isinstance(found, list) else (found,):
                if not isinstance(advisory, dict) or "id" not in advisory or "affected" not in advisory:
                    raise ValueError(f"{file.name} has no advisory in the OSV format")
                yield advisory


def read_exemptions(text: str) -> list[Exemption]:
    """Return the exceptions of a TOML text.

    Raises:
        KeyError: one lacks a part.
        TypeError: a part has another form.
    """
    found = [Exemption(one["id"], one["until"], one["reason"]) for one in tomllib.loads(text).get("exception", [])]
    for one in found:
        if type(one.until) is not date or not str(one.reason).strip():
            raise TypeError(f"{one.id}: `until` is a day without quotes, such as 2027-01-31, and `reason` a sentence")
    return found


def affects(advisory: Mapping[str, Any], pin: Pin) -> bool:
    """Return whether an advisory is about this version; one that was withdrawn is about none."""
    return "withdrawn" not in advisory and any(
        affected.get("package", {}).get("ecosystem") == "PyPI"
        and canonicalize_name(affected["package"]["name"]) == pin.name
        and (
            pin.version in affected.get("versions", ()) or any(_within(one, pin) for one in affected.get("ranges", ()))
        )
        for affected in advisory["affected"]
    )


def _within(versions: Mapping[str, Any], pin: Pin) -> bool:
    """Whether a version is in a range: the algorithm of the OSV format, "Evaluation"."""
    if versions.get("type") not in ("ECOSYSTEM", "SEMVER"):
        return False  # commits
    events = [
        (kind, at) for event in versions["events"] for kind, text in event.items() if (at := _version(kind, text))
    ]
    version, inside = Version(pin.version), False
    for kind, at in sorted(events, key=lambda event: event[1]):
        if kind == "introduced" and version >= at:
            inside = True
        elif (kind == "fixed" and version >= at) or (kind == "last_affected" and version > at):
            inside = False
    return inside


def _version(kind: str, text: str) -> Version | None:
    """The version of an event. What cannot be read leaves a version affected: it begins at 0, and ends nothing."""
    try:
        return Version(text)
    except InvalidVersion:
        return Version("0") if kind == "introduced" else None


def findings(
    advisories: Iterable[Mapping[str, Any]], locked: Iterable[Pin], exemptions: Iterable[Exemption], today: date
) -> list[str]:
    """Return one sentence for each vulnerability that no exception accepts, and for each exception that has ended."""
    known, locked = list(exemptions), list(locked)
    accepted = {one.id for one in known if one.until >= today}
    sentences = [f"The exception for {one.id} ended on {one.until}." for one in known if one.until < today]
    for advisory in advisories:
        if accepted.isdisjoint({advisory["id"], *advisory.get("aliases", ())}):
            hit = [pin for pin in locked if affects(advisory, pin)]
            sentences += [f"{advisory['id']} affects {pin.name} {pin.version} in {pin.lock}." for pin in hit]
    return sentences


def main(arguments: list[str], today: date) -> int:
    """Print what was found; return 1 if there is anything, and 2 without advisories."""
    advisories = list(read_advisories(map(Path, arguments)))
    if not advisories:
        sys.stderr.write(f"{USAGE}\n")
        return 2
    locked = [pin for lock in LOCKS for pin in pins(lock)]
    found = findings(advisories, locked, read_exemptions(EXCEPTIONS.read_text()), today)
    sys.stdout.writelines(f"{sentence}\n" for sentence in found)
    sys.stdout.write(f"{len(advisories)} advisories, {len(locked)} pinned versions, {len(found)} findings\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], datetime.now(UTC).date()))
