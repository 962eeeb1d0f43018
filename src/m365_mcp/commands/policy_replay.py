"""The command `policy replay`: what other policies would have decided on the decisions of an audit trail."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from m365_mcp.audit.replaying import Change, NoRecord, Replay, Replayed
from m365_mcp.container import mail_rules
from m365_mcp.errors import InvalidArgument, SettingsMistake
from m365_mcp.policy.decision_point import read_policies
from m365_mcp.policy.facts import InternalDomains
from m365_mcp.policy.policy_set import PolicySet
from m365_mcp.settings import Settings

MAX_LINE_BYTES = 64_000_000
_KEPT_IDS = 10_000
_TITLES: dict[Change, str] = {
    "same": "Same decision",
    "newly_denied": "Newly denied",
    "newly_asked": "Newly waiting for approval",
    "newly_permitted": "Newly permitted",
    "cannot_tell": "Cannot tell",
}


def replay(settings: Settings, console: Console, policy: Path, files: Sequence[Path], *, as_json: bool) -> int:
    """Print each changed decision and how many there are; return 1 if a line was no record, else 0.

    Args:
        policy: the file of the policies that decide, together with those of the settings.
        files: files of the audit trail.
        as_json: whether each line of the output is JSON, the last one with the numbers.

    Raises:
        InvalidArgument: the policies have a mistake, no file is named, or one cannot be read.
    """
    if not files:
        raise InvalidArgument("No file is named.", advice="m365-mcp policy replay --help shows examples.")
    work = Replay(
        _policies(settings, policy),
        InternalDomains(settings.m365_internal_domains),
        ZoneInfo(settings.m365_policy_timezone),
    )
    output, broken = _Json(console) if as_json else _Text(console), 0
    for where, record in _records(files):
        try:
            replayed = work.add(record)
        except NoRecord:
            broken += 1
            output.broken(where)
            continue
        if replayed is not None and replayed.change not in ("same", "cannot_tell"):
            output.changed(replayed)
    output.finish(work, broken)
    return 1 if broken else 0


def _policies(settings: Settings, file: Path) -> PolicySet:
    try:
        return read_policies(mail_rules(settings), file)
    except SettingsMistake as mistake:
        raise InvalidArgument(f"--policy {file}: {mistake.mistakes[0][1]}.", advice="Correct the file.") from mistake


def _records(files: Sequence[Path]) -> Iterator[tuple[str, object]]:
    """Iterate over the lines of the files, one in memory at a time; a line that is not JSON is None.

    A collector may have a record twice, and soon after another; the second is passed over.
    """
    seen: dict[str, None] = {}
    for path in files:
        try:
            with path.open("rb") as file:
                for number, line in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES), b""), start=1):
                    record = _parse(line)
                    if _is_new(record, seen):
                        yield f"{path}, line {number}", record
        except OSError:
            raise InvalidArgument(f"{path} cannot be read.", advice="Check the names and permissions.") from None


def _parse(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _is_new(record: Any, seen: dict[str, None]) -> bool:
    metadata = record.get("metadata") if isinstance(record, dict) else None
    record_id = metadata.get("uid") if isinstance(metadata, dict) else None
    if not isinstance(record_id, str):
        return True
    if record_id in seen:
        return False
    seen[record_id] = None
    if len(seen) > _KEPT_IDS:
        del seen[next(iter(seen))]
    return True


@dataclass(frozen=True)
class _Text:
    """Prints for people."""

    console: Console

    def broken(self, where: str) -> None:
        self.console.print(f"[red]{escape(where)}: this is no record as the server writes one.[/]", soft_wrap=True)

    def changed(self, one: Replayed) -> None:
        recorded = one.recorded
        what = recorded.message_id or f"{' and '.join(recorded.actions)} (record {recorded.record})"
        was = " by ".join(filter(None, (recorded.word, recorded.rule)))
        now = " by ".join(filter(None, (one.word, one.rule)))
        line = f"{_time(recorded.at)} {_printable(what)}: was {_printable(was)}, now {now}"
        self.console.print(escape(line), soft_wrap=True, highlight=False)

    def finish(self, work: Replay, broken: int) -> None:
        table = Table("Decision", "Number", title=f"Policies {work.policies.digest}")
        for change, title in _TITLES.items():
            table.add_row(title, str(work.changes[change]))
        self.console.print(table)
        for name, number in sorted(work.missing.items(), key=lambda item: (-item[1], item[0])):
            self.console.print(f"{number} cannot be told without {name}, which their records do not have.")
        self.console.print(f"{work.skipped} records have no decision to decide anew; {broken} lines are no records.")


@dataclass(frozen=True)
class _Json:
    """Prints for programs: one object a line."""

    console: Console

    def _print(self, **values: object) -> None:
        self.console.print(json.dumps(values), soft_wrap=True, highlight=False, markup=False)

    def broken(self, where: str) -> None:
        self._print(kind="broken", where=where)

    def changed(self, one: Replayed) -> None:
        recorded = one.recorded
        self._print(
            kind=one.change,
            time=recorded.at,
            record=recorded.record,
            message_id=recorded.message_id,
            actions=recorded.actions,
            was=recorded.word,
            was_rule=recorded.rule,
            now=one.word,
            rule=one.rule,
        )

    def finish(self, work: Replay, broken: int) -> None:
        numbers = {change: work.changes[change] for change in _TITLES}
        self._print(
            kind="summary",
            policies=work.policies.digest,
            **numbers,
            missing=dict(work.missing),
            skipped=work.skipped,
            broken=broken,
        )


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def _printable(text: str) -> str:
    """Return a text of a record, without characters that control a terminal."""
    return "".join(character for character in text if character.isprintable())[:120]
