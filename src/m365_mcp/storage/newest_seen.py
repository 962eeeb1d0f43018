"""Remembers the newest state of some records that this process has seen, in case somebody takes the store back to an
older one.

Who can write to the store and has no key cannot make a record, but can delete one, or put an older text of it back. So
a record that must not go back has a number inside what is encrypted. Each change gives it a higher one, about the time
in milliseconds. A record with a lower number than this process has seen is older; the newest known state counts then,
and goes back into the store, where the other replicas find it. A store that loses its last writes in a failover gets
them back in the same way.

What was seen is in the memory of this process, and ends with it. Records without a number are those of v0.1.0, and
count as the oldest.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from cachetools import TLRUCache

from m365_mcp import logs

FIELD = "revision"  # of the record: its number, and until when the store keeps it, in epoch seconds
DAY_SECONDS = 24 * 3600.0
SKEW_SECONDS = 60.0  # what clocks of replicas may differ by
_DELETED = sys.maxsize
_log = logs.get(__name__)


@dataclass(frozen=True)
class Rule:
    """What of a collection must not go back.

    Attributes:
        fields: the fields that must not go back; None: the whole record, which then outlives its deletion, too.
        states: only records with one of these in the field `state`; None: all.
        ended_seconds: how long a deleted record stays deleted; None: this server deletes none before it expires.
        brief: states whose successors may expire sooner: if such a record is missing, it has ended elsewhere.
        most: how many records are remembered; the least recently used are forgotten first.
    """

    fields: tuple[str, ...] | None = None
    states: tuple[str, ...] | None = None
    ended_seconds: float | None = None
    brief: tuple[str, ...] = ()
    most: int = 5_000

    def holds(self, value: Mapping[str, Any]) -> bool:
        """Return whether a record with this content must not go back."""
        return self.states is None or value.get("state") in self.states

    def kept(self, value: Mapping[str, Any]) -> bytes:
        """Return what is remembered of a record, small."""
        kept = value if self.fields is None else {name: value[name] for name in self.fields if name in value}
        return json.dumps(kept, separators=(",", ":")).encode()


RULES: Mapping[str, Rule] = {
    # A deleted session has ended. Its tokens of Entra may go back, because Entra's old refresh tokens stay valid.
    "m365-sessions": Rule(fields=("issued",), ended_seconds=90 * DAY_SECONDS, most=40_000),
    # A send that failed may be tried again, so nothing is lost when its record goes back.
    "m365-sends": Rule(states=("sending", "sent", "unknown", "held", "declined"), brief=("held",), most=10_000),
    "m365-upload-tickets": Rule(states=("done",)),
    "m365-redeemed-codes": Rule(),
    "m365-client-assertions": Rule(),
}


@dataclass(frozen=True)
class StoreRolledBack:
    """The store has an older state of a record than this process has seen.

    Attributes:
        collection: the collection of the record.
        key: the key of the record: an id or a digest.
        found: what the store has.
    """

    collection: str
    key: str
    found: Literal["older", "missing", "unreadable", "lower"]


@dataclass
class RollbackReports:
    """Logs that the store was taken back, and tells it to whoever observes it."""

    observers: list[Callable[[StoreRolledBack], None]] = field(default_factory=list)

    def report(self, event: StoreRolledBack) -> None:
        """Log an event and tell it to the observers."""
        _log.warning("store_rolled_back", collection=event.collection, key=event.key, found=event.found)
        for observer in self.observers:
            observer(event)


@dataclass(slots=True)
class Seen:
    """The newest state of a record that was seen.

    Attributes:
        number: its number.
        until: when it is forgotten, in epoch seconds.
        kept: what is remembered of its content; None: the record was deleted.
        is_reported: whether an older state was found and reported.
    """

    number: int
    until: float
    kept: bytes | None
    is_reported: bool = False


@dataclass(frozen=True)
class Numbered:
    """A record as the store has it: the content without the number, None if it is missing or cannot be read."""

    value: dict[str, Any] | None
    number: int = 0
    until: float | None = None


class NewestSeen:
    """The newest states that this process has seen.

    Args:
        reports: gets a report when the store has an older state, once for each state.
        clock: returns epoch seconds; for tests.
    """

    def __init__(self, reports: RollbackReports | None = None, clock: Callable[[], float] = time.time) -> None:
        self.reports = reports or RollbackReports()
        self._clock = clock
        self._seen: dict[str, TLRUCache[str, Seen]] = {
            collection: TLRUCache(rule.most, ttu=lambda _key, seen, _now: seen.until, timer=clock)
            for collection, rule in RULES.items()
        }

    def find(self, collection: str, key: str) -> Seen | None:
        """Return what was seen of a record. Ask before the store is asked, because other calls see more meanwhile."""
        return self._seen[collection].get(key) if collection in RULES else None

    def numbered(self, value: Mapping[str, Any], number: int, seconds: float) -> Numbered:
        """Return a record that takes the place of the one with this number, with a higher one."""
        now = self._clock()
        return Numbered(dict(value), max(number + 1, int(now * 1000)), now + seconds)

    def note_read(self, collection: str, key: str, found: Numbered) -> None:
        """Remember a record that the store has. It is forgotten a little early, because clocks differ."""
        self.note(collection, key, found if found.until is None else replace(found, until=found.until - SKEW_SECONDS))

    def note(self, collection: str, key: str, new: Numbered) -> None:
        """Remember a record that this process has written."""
        rule, seen = RULES[collection], self.find(collection, key)
        if new.value is None or (seen is not None and seen.number >= new.number):
            return
        until = new.until if rule.ended_seconds is None else self._clock() + rule.ended_seconds
        if rule.holds(new.value) and until is not None:
            self._seen[collection][key] = Seen(new.number, until, rule.kept(new.value))
        elif seen is not None:
            self._seen[collection].pop(key, None)

    def note_deletion(self, collection: str, key: str) -> None:
        """Remember that this server has deleted a record; forget it, if records of its collection may come back."""
        seconds = RULES[collection].ended_seconds
        if seconds is None:
            self._seen[collection].pop(key, None)
        else:
            self._seen[collection][key] = Seen(_DELETED, self._clock() + seconds, None)

    def newest(self, collection: str, key: str, found: Numbered, seen: Seen, *, is_missing: bool) -> Numbered | None:
        """Return the newest known state of a record, where the store has an older one; None where it has not.

        Args:
            collection: the collection of the record.
            key: the key of the record.
            found: the record as the store has it.
            seen: what was seen of it before the store was asked.
            is_missing: whether the store has nothing under this key.
        """
        rule = RULES[collection]
        if found.value is not None and (found.number >= seen.number or _is_of_old_release(found, rule)):
            return None
        if is_missing and rule.brief and seen.kept is not None and json.loads(seen.kept).get("state") in rule.brief:
            self._seen[collection].pop(key, None)
            return None
        if rule.ended_seconds is not None and is_missing:
            self.note_deletion(collection, key)
            return None
        if rule.fields is not None and found.value is None and seen.kept is not None:
            return None  # there is nothing to put the fields into
        self._report(StoreRolledBack(collection, key, _kind(found, is_missing)), seen)
        if seen.kept is None:
            return Numbered(None, seen.number)
        return Numbered({**(found.value or {}), **json.loads(seen.kept)}, seen.number, seen.until)

    def _report(self, event: StoreRolledBack, seen: Seen) -> None:
        if not seen.is_reported:
            seen.is_reported = True
            self.reports.report(event)

    def seconds_left(self, until: float | None) -> float:
        """Return for how long the store has to keep a record."""
        return max(1.0, (until or 0.0) - self._clock())


def _is_of_old_release(found: Numbered, rule: Rule) -> bool:
    """Return whether v0.1.0, running beside this version, may have written this record, which permits nothing."""
    return found.number == 0 and rule.states is not None and found.value is not None and rule.holds(found.value)


def _kind(found: Numbered, is_missing: bool) -> Literal["older", "missing", "unreadable"]:
    if is_missing:
        return "missing"
    return "unreadable" if found.value is None else "older"


def with_number(numbered: Numbered) -> dict[str, Any] | None:
    """Return the content that is encrypted; None if there is none."""
    if numbered.value is None:
        return None
    return {**numbered.value, FIELD: {"number": numbered.number, "until": numbered.until}}


def without_number(value: dict[str, Any] | None) -> Numbered:
    """Return a decrypted record with its number, if it has one."""
    revision = None if value is None else value.pop(FIELD, None)
    if not isinstance(revision, dict):
        return Numbered(value)
    return Numbered(value, int(revision["number"]), float(revision["until"]))
