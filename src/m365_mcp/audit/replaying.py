"""What other policies would have decided on the decisions that an audit trail has; the work of `policy replay`.

A record has only what the policies were told at the time, and of that only what it may have (`audit.told`). Where a
policy needs more, the decision is not known, and the name of what is missing says why.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any, Literal

from m365_mcp.policy.facts import NO_MESSAGE, Circumstances, InternalDomains, parents_of
from m365_mcp.policy.policy_set import ACTIONS, PolicySet, Verdict

Word = Literal["permitted", "approval_needed", "denied"]
Change = Literal["same", "newly_denied", "newly_asked", "newly_permitted", "cannot_tell"]
_CHANGES: dict[Word, Change] = {
    "denied": "newly_denied",
    "approval_needed": "newly_asked",
    "permitted": "newly_permitted",
}
_EMAIL, _API = 4009, 6003
_POLICY_CODES = ("policy_denied", "policy_error")
_LATEST = 4_102_444_800_000  # the year 2100, in epoch milliseconds
_MOST = 2**53  # of a number in JSON
_APPROVED = "approved by the person"
# An example of each attribute, for its type.
_EXAMPLES = {**NO_MESSAGE.as_cedar(), **Circumstances("", datetime(1970, 1, 1, tzinfo=UTC)).as_cedar()}
_OF_CONTEXT = frozenset(Circumstances("", datetime(1970, 1, 1, tzinfo=UTC)).as_cedar())


class NoRecord(ValueError):
    """Something is no record as this server writes one."""


@dataclass(frozen=True)
class Recorded:
    """One decision in an audit trail.

    Attributes:
        record: the id of the record.
        message_id: our id of the message; None of a draft and of a call that reads.
        at: when, in epoch milliseconds.
        word: what was decided.
        rule: the id of the policy that denied it or had it wait.
        actions: what was asked for.
        principal: Cedar's id of the person.
        known: the attributes that the record has, by their names in the policies.
        domains: how many recipients each domain has.
    """

    record: str
    message_id: str | None
    at: int
    word: Word
    rule: str | None
    actions: tuple[str, ...]
    principal: str
    known: Mapping[str, Any]
    domains: Mapping[str, int]


@dataclass(frozen=True)
class Replayed:
    """One decision, and what the other policies say.

    Attributes:
        word: what they decide; None: the record does not have what they need.
        rule: the id of the policy that denies it or has it wait.
        missing: the names of what the record lacks, if it cannot be told.
    """

    recorded: Recorded
    word: Word | None
    rule: str | None = None
    missing: frozenset[str] = frozenset()

    @property
    def change(self) -> Change:
        """How the decision differs from the recorded one."""
        if self.word is None:
            return "cannot_tell"
        return "same" if self.word == self.recorded.word else _CHANGES[self.word]


@dataclass
class Replay:
    """Decides the records of an audit trail anew, and counts.

    Attributes:
        policies: the policies that decide.
        internal: the company's domains, where a record does not say what was external.
        time_zone: in which the policies tell hours and weekdays.
        changes: how many decisions changed how.
        missing: how many decisions cannot be told for want of each attribute.
        skipped: how many records are of something else than a decision that can be decided anew.
    """

    policies: PolicySet
    internal: InternalDomains = field(default_factory=InternalDomains)
    time_zone: tzinfo = UTC
    changes: Counter[Change] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    skipped: int = 0

    def add(self, record: object) -> Replayed | None:
        """Decide a record anew; None: it has no decision to decide anew. Raises NoRecord."""
        recorded = read_decision(record)
        if recorded is None:
            self.skipped += 1
            return None
        replayed = self._decide(recorded)
        self.changes[replayed.change] += 1
        self.missing.update(replayed.missing)
        return replayed

    def _decide(self, recorded: Recorded) -> Replayed:
        missing: frozenset[str] = frozenset()
        for action in recorded.actions:
            verdict, needed = self._ask(recorded, action)
            if not verdict.is_permitted:
                return Replayed(recorded, "denied", (*verdict.failed, *verdict.forbidden_by)[0].id)
            missing |= needed
        if missing:
            return Replayed(recorded, None, missing=missing)
        return self._ask_for_approval(recorded) if "Send" in recorded.actions else Replayed(recorded, "permitted")

    def _ask_for_approval(self, recorded: Recorded) -> Replayed:
        verdict, missing = self._ask(recorded, "SendUnasked")
        if verdict.failed:
            return Replayed(recorded, "denied", verdict.failed[0].id)
        if verdict.forbidden_by:
            return Replayed(recorded, "approval_needed", verdict.forbidden_by[0].id)
        return Replayed(recorded, None, missing=missing) if missing else Replayed(recorded, "permitted")

    def _ask(self, recorded: Recorded, action: str) -> tuple[Verdict, frozenset[str]]:
        principal, resource = {"type": "Person", "id": recorded.principal}, {"type": "Message", "id": "this"}
        at = datetime.fromtimestamp(recorded.at / 1000, self.time_zone)
        known = {**recorded.known, **self._external(recorded), "hour": at.hour, "weekday": at.isoweekday()}
        message = {name: value for name, value in known.items() if name not in _OF_CONTEXT}
        context = {name: value for name, value in known.items() if name in _OF_CONTEXT}
        request = {
            "principal": principal,
            "action": {"type": "Action", "id": action},
            "resource": resource,
            "context": context,
        }
        entities = [{"uid": principal, "attrs": {}, "parents": []}, {"uid": resource, "attrs": message, "parents": []}]
        return self.policies.decide_partly(request, entities)

    def _external(self, recorded: Recorded) -> dict[str, Any]:
        """Return what is external by the domains of the settings, where the record does not say it."""
        if not recorded.domains or self.internal.written is None or "externalDomains" in recorded.known:
            return {}
        external = self.internal.external(recorded.domains, ())
        found: dict[str, Any] = {"externalDomains": sorted(external)}
        # An address with two domains is counted under both.
        if sum(recorded.domains.values()) == recorded.known.get("recipientCount"):
            found["externalCount"] = sum(recorded.domains[domain] for domain in external)
        return found


def read_decision(record: object) -> Recorded | None:
    """Return the decision in a record; None: it has none that can be decided anew. Raises NoRecord."""
    try:
        if not isinstance(record, dict):
            raise NoRecord
        kind, at, record_id = record["class_uid"], record["time"], record["metadata"]["uid"]
        if not (isinstance(kind, int) and isinstance(at, int) and isinstance(record_id, str) and 0 <= at < _LATEST):
            raise NoRecord
        return _of_send(record) if kind == _EMAIL else _of_denial(record) if kind == _API else None
    except (KeyError, TypeError, AttributeError) as error:
        raise NoRecord from error


def _of_send(record: Mapping[str, Any]) -> Recorded | None:
    status, code = record["status"], record.get("status_code")
    if record.get("status_detail") == _APPROVED:
        return None  # the record of the mail that waited has the decision
    words: dict[str, Word] = {"sent": "permitted", "unknown": "permitted", "held": "approval_needed"}
    word = "denied" if status == "not_sent" and code in _POLICY_CODES else words.get(status)
    return None if word is None else _recorded(record, word, record["email"].get("message_uid"), ["Send"])


def _of_denial(record: Mapping[str, Any]) -> Recorded | None:
    """Return the decision on a draft or a call that reads; of a message there is a record of its own."""
    if record["api"]["operation"] != "policy.decide":
        return None
    actions = record["unmapped"]["actions"]
    return None if {"Send", "SendUnasked"} & set(actions) else _recorded(record, "denied", None, actions)


def _recorded(record: Mapping[str, Any], word: Word, message_id: object, actions: list[str]) -> Recorded:
    unmapped, user = record["unmapped"], record["actor"]["user"]
    told = unmapped.get("told", {})
    domains = _read_domains(told.get("domains", {}))
    rule = None if word == "permitted" else record["policy"]["uid"]
    asked = tuple(action for action in unmapped.get("actions", actions) if action in ACTIONS)
    if not asked:
        raise NoRecord
    return Recorded(
        record["metadata"]["uid"],
        message_id if isinstance(message_id, str) else None,
        record["time"],
        word,
        str(rule) if rule is not None else None,
        asked,
        f"{user.get('org', {}).get('uid', '')}:{user.get('uid', '')}",
        _known(told, domains) | _known_of_call(record, told),
        domains,
    )


def _read_domains(found: Any) -> dict[str, int]:
    if not all(isinstance(count, int) and 0 <= count < _MOST for count in found.values()):
        raise NoRecord
    return dict(found)


def _known(told: Mapping[str, Any], domains: Mapping[str, int]) -> dict[str, Any]:
    """Return the attributes in a record that have the type of the schema."""
    if not told:
        return {}
    known = {name: told[name] for name in _EXAMPLES.keys() & told.keys() - {"domains"}}
    if any(type(value) is not type(_EXAMPLES[name]) for name, value in known.items()):
        raise NoRecord
    if any(abs(value) >= _MOST for value in known.values() if isinstance(value, int)):
        raise NoRecord
    if any(not isinstance(one, str) for value in known.values() if isinstance(value, list) for one in value):
        raise NoRecord
    return known | {"domains": sorted(domains), "subdomainsOf": sorted(parents_of(domains))}


def _known_of_call(record: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """Return client and tool; of a client with a metadata document the record has only the host."""
    known = {"tool": str(record["unmapped"].get("tool", ""))}
    if told.get("clientVerified") is False:
        known["client"] = str(record["actor"].get("app_uid", ""))
    return known
