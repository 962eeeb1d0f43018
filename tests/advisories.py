"""K5: compare the pinned packages with published vulnerabilities: `python -m tests.advisories FILES OR FOLDERS…`.

It reads advisories in the OSV format (https://ossf.github.io/osv-schema/) from files, in JSON or YAML, and asks no
server. Exceptions are in requirements/advisories.toml; each ends on a day, and says why it is there.

Versions are compared by `packaging`. Its specifiers do not fit: by PEP 440 `<1.0` leaves out 1.0rc1, which an advisory
that was fixed in 1.0 is about.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import yaml
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

ROOT = Path(__file__).parents[1]
EXCEPTIONS = ROOT / "requirements" / "advisories.toml"
LOCKS = (*sorted((ROOT / "requirements").glob("*.txt")), ROOT / "simulator" / "requirements" / "run.txt")
USAGE = """Name the files or folders with advisories in the OSV format: make advisories ARGS=FOLDER
To get such a folder, fetch one of these and update it before each use:
  https://osv-vulnerabilities.storage.googleapis.com/PyPI/all.zip   (all that are known of Python packages: that file)
  https://github.com/pypa/advisory-database                         (those of the Python Packaging Authority: vulns/)
"""
MAX_AGE_DAYS = 30  # of the newest advisory; every week has some, so an older folder is an old copy
REQUIRED = {"id", "modified"}  # of the OSV schema
ENDINGS = (".json", ".yaml", ".yml")
_FIRST = Version("0.dev0")  # in an advisory, "introduced" in "0" is before every version, also before 0.0a1
_LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # every scalar a text: 1.10 is a version and no number


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
    """Return the advisories in files, one or a list in each, in zip archives of such files, and in the folders below.

    Raises:
        OSError: a file is missing or cannot be read.
        ValueError: a file is neither JSON nor YAML, or has no advisories.
    """
    for name, text in _texts(paths):
        found = _parse(name, text)
        for advisory in found if isinstance(found, list) else (found,):
            if not isinstance(advisory, dict) or not REQUIRED.issubset(advisory):
                raise ValueError(f"{name} has no advisory in the OSV format")
            yield advisory


def _texts(paths: Iterable[Path]) -> Iterator[tuple[str, bytes]]:
    for path in paths:
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                yield from ((name, archive.read(name)) for name in archive.namelist() if name.endswith(ENDINGS))
        elif path.is_dir():
            yield from ((str(file), file.read_bytes()) for file in sorted(path.rglob("*")) if file.suffix in ENDINGS)
        else:
            yield str(path), path.read_bytes()


def _parse(name: str, text: bytes) -> Any:
    try:
        return json.loads(text) if name.endswith(".json") else yaml.load(text, _LOADER)  # noqa: S506 it makes texts only
    except (ValueError, yaml.YAMLError) as error:
        raise ValueError(f"{name} cannot be read: {type(error).__name__}") from error


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
    return not advisory.get("withdrawn") and any(
        affected.get("package", {}).get("ecosystem") == "PyPI"
        and canonicalize_name(affected["package"]["name"]) == pin.name
        and (
            _is_listed(affected.get("versions", ()), pin)
            or any(_within(one, pin) for one in affected.get("ranges", ()))
        )
        for affected in advisory.get("affected", ())
    )


def _is_listed(versions: Iterable[str], pin: Pin) -> bool:
    """Whether a version is listed, in whatever spelling: 2.5 is 2.5.0."""
    return any(_version("listed", text) == Version(pin.version) for text in versions)


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
    """The version of an event. What cannot be read leaves a version affected: it begins at once, and ends nothing."""
    try:
        return _FIRST if (kind, text) == ("introduced", "0") else Version(text)
    except InvalidVersion:
        return _FIRST if kind == "introduced" else None


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


def newest(advisories: Iterable[Mapping[str, Any]]) -> date | None:
    """Return the day on which the newest advisory was written or changed; None if none has a date."""
    days = [str(advisory.get("modified") or "")[:10] for advisory in advisories]
    return max((date.fromisoformat(day) for day in days if re.fullmatch(r"\d{4}-\d\d-\d\d", day)), default=None)


def main(arguments: list[str], today: date) -> int:
    """Print what was found; return 1 if there is anything, and 2 without advisories, or with old ones only."""
    try:
        advisories = list(read_advisories(map(Path, arguments)))
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        sys.stderr.write(f"The advisories cannot be read. {error}\n{USAGE}")
        return 2
    if not advisories:
        sys.stderr.write(USAGE)
        return 2
    locked = [pin for lock in LOCKS for pin in pins(lock)]
    found = findings(advisories, locked, read_exemptions(EXCEPTIONS.read_text()), today)
    last = newest(advisories)
    is_old = last is None or (today - last).days > MAX_AGE_DAYS
    sys.stdout.writelines(f"{sentence}\n" for sentence in found)
    sys.stdout.write(
        f"{len(advisories)} advisories, the newest of {last}; {len(locked)} pinned versions, {len(found)} findings\n"
    )
    if is_old:
        sys.stderr.write(f"The newest advisory is older than {MAX_AGE_DAYS} days, so newer ones are missing.\n{USAGE}")
    return 1 if found else 2 if is_old else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], datetime.now(UTC).date()))
