"""A set of Cedar policies: ours, those of the settings, and the company's own, which may only forbid.

One `permit` allows everything; every other policy is a `forbid`, and in Cedar a `forbid` always wins. Cedar skips a
policy whose condition cannot be evaluated, so an evaluation error counts as a denial here.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import cedarpy

from m365_mcp.policy.facts import FIRST_TIME
from m365_mcp.policy.named_memberships import NamedMemberships, mistake_in, named_by
from m365_mcp.policy.policy_json import attributes_of, entity_types_of, may_concern, tested_attributes_of

PERMIT = '@id("default")\npermit(principal, action, resource);\n'
_PERMIT = "policy0"  # Cedar numbers policies in the order of the text
ACTIONS = ("Send", "Schedule", "SendUnasked", "Draft", "Read")
SETTING = "setting:"  # how the ids of the settings' policies begin
_MISSING = re.compile(r"does not have the attribute `([^`]+)`")
_POLICY_IN_ERROR = re.compile(r"policy `(policy\d+)`")


class PolicyMistake(ValueError):
    """A policy is not valid; the text is one sentence and what to do."""


@cache
def schema() -> cedarpy.Schema:
    """Return the schema that policies are validated against."""
    return cedarpy.Schema.from_str(files("m365_mcp.policy").joinpath("policy.cedarschema").read_text("utf-8"))


@dataclass(frozen=True)
class Policy:
    """One policy of the set: the value of its annotation `@id`, and of `@advice` if it has one."""

    id: str
    advice: str | None

    @property
    def is_of_setting(self) -> bool:
        """Whether a setting of the server stands for it."""
        return self.id.startswith(SETTING)


@dataclass(frozen=True)
class Verdict:
    """What the policies say of one request.

    Attributes:
        forbidden_by: the policies that forbid it, those of settings last; empty: it is permitted.
        failed: policies whose condition could not be evaluated; if there is one, the request is denied.
    """

    forbidden_by: tuple[Policy, ...] = ()
    failed: tuple[Policy, ...] = ()

    @property
    def is_permitted(self) -> bool:
        """Whether every policy was evaluated, and none forbids the request."""
        return not self.forbidden_by and not self.failed


class PolicySet:
    """Policies that were checked and parsed once.

    Args:
        of_settings: policies written from the settings, in Cedar.
        of_company: the company's own policies, in Cedar.

    Attributes:
        text: all policies.
        digest: tells sets of policies apart.
        counts_first_time: whether a policy about mail reads `firstTimeCount`.
        named: the groups and roles that the policies name.

    Raises:
        PolicyMistake: a policy of the company is not valid, permits something, or has no id of its own.
    """

    def __init__(self, of_settings: str = "", of_company: str = "") -> None:
        _parse(of_company)  # alone, so that a position in an error is one in the file
        text = f"{PERMIT}{of_settings}\n{of_company}"
        found = dict(sorted(_as_json(text).items(), key=_position))
        self._policies = {name: _read(policy) for name, policy in found.items()}
        _check(of_company, self._policies.values())
        _validate(text, self._policies)
        self._set = cedarpy.PolicySet.from_str(text)
        self._forbidding = {name: policy for name, policy in found.items() if name != _PERMIT}
        self._silently_needed = {
            action: {name: _silently_needed(one) for name, one in self._forbidding.items() if may_concern(one, action)}
            for action in ACTIONS
        }
        self._read_by = {action: self._attributes_read(action) for action in ACTIONS}
        self.counts_first_time = any(self.reads(action, FIRST_TIME) for action in ACTIONS if action != "Read")
        self._mentioned: dict[tuple[str, ...], bool] = {}
        self.named = named_by(self._forbidding.values())
        self._named_for = {action: named_by(self._concerned(action)) for action in ACTIONS}
        self.text = text
        self.digest = hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def forbidding(self) -> tuple[Policy, ...]:
        """The policies that forbid something, those of settings first."""
        return tuple(policy for name, policy in self._policies.items() if name != _PERMIT)

    def _attributes_read(self, action: str) -> frozenset[str] | None:
        """Return the attributes that the policies read to decide an action; None: none can forbid it."""
        concerned = self._concerned(action)
        return frozenset().union(*map(attributes_of, concerned)) if concerned else None

    def _concerned(self, action: str) -> list[Mapping[str, Any]]:
        return [policy for policy in self._forbidding.values() if may_concern(policy, action)]

    def concerns(self, action: str) -> bool:
        """Return whether a policy can forbid an action; if none can, nobody needs to ask."""
        return self._read_by[action] is not None

    def reads(self, action: str, *names: str) -> bool:
        """Return whether a policy that can forbid an action reads one of these attributes."""
        return not (self._read_by[action] or frozenset()).isdisjoint(names)

    def mentions(self, *names: str) -> bool:
        """Return whether a policy may need one of these attributes or entity types; true in doubt.

        Args:
            names: written in the code, so that few different ones are asked for; each answer is searched for once.
        """
        if names not in self._mentioned:
            # An escape in a text of Cedar's may spell a name.
            found = "\\" in self.text or any(re.search(rf"\b{name}\b", self.text) for name in names)
            self._mentioned[names] = found
        return self._mentioned[names]

    def named_for(self, *actions: str) -> NamedMemberships:
        """Return the groups and roles that the policies about one of these actions name."""
        return NamedMemberships.of_all(self._named_for[action] for action in actions)

    def decide(self, requests: Sequence[Mapping[str, Any]], entities: Sequence[Mapping[str, Any]]) -> Verdict:
        """Return what the policies say of requests, all of which must be permitted.

        Cedar is not asked about an action that no policy can forbid.

        Args:
            requests: Cedar's requests: principal, action, resource, context.
            entities: the entities that the requests name, in Cedar's JSON.
        """
        asked = [dict(one) for one in requests if self.concerns(one["action"]["id"])]
        if not asked:
            return Verdict()
        results = cedarpy.is_authorized_batch(asked, self._set, [dict(one) for one in entities], schema())
        forbidden: dict[str, Policy] = {}
        failed: dict[str, Policy] = {}
        for result in results:
            failed |= {name: self._policies[name] for name in _failed(result.diagnostics.errors)}
            if not result.allowed:
                forbidden |= {name: self._policies[name] for name in result.diagnostics.reasons}
            if not result.allowed and not result.diagnostics.reasons and not failed:
                failed["?"] = Policy("default", None)  # a request that Cedar did not evaluate is no permission
        return Verdict(tuple(forbidden[name] for name in self._ordered(forbidden)), tuple(failed.values()))

    def decide_partly(
        self, request: Mapping[str, Any], entities: Sequence[Mapping[str, Any]]
    ) -> tuple[Verdict, frozenset[str]]:
        """Return what is certain of a request whose message or context lacks attributes, and what would be needed.

        Cedar evaluates only as much of a condition as it needs, so that a policy that never reaches a missing attribute
        is certain. Who is in which group or role is never known.

        Args:
            request: one of Cedar's requests.
            entities: see `decide`.

        Returns:
            The certain denials and failures; and the names of the missing attributes, or `groups`, on which other
            policies depend.
        """
        [result] = cedarpy.is_authorized_batch([dict(request)], self._set, [dict(one) for one in entities])
        missing = {found[1] for error in result.diagnostics.errors if (found := _MISSING.search(error))}
        others = [error for error in result.diagnostics.errors if not _MISSING.search(error)]
        known = {*request["context"], *(name for entity in entities for name in entity["attrs"])}
        unsure = {name: needed - known for name, needed in self._silently_needed[request["action"]["id"]].items()}
        missing = missing.union(*unsure.values())
        forbidden = [] if result.allowed else [name for name in result.diagnostics.reasons if not unsure.get(name)]
        failed = tuple(self._policies[name] for name in _failed(others))
        return Verdict(tuple(self._policies[name] for name in self._ordered(forbidden)), failed), frozenset(missing)

    def _ordered(self, names: Iterable[str]) -> list[str]:
        """Return the names of policies in the order in which a caller is told of them, which is always the same."""
        return sorted(names, key=lambda name: (self._policies[name].is_of_setting, int(name[len("policy") :])))


def _silently_needed(policy: Mapping[str, Any]) -> frozenset[str]:
    """Return what a policy cannot be decided without, and does not fail without."""
    groups = {"groups"} if entity_types_of(policy) & {"Group", "Role"} else set()
    return tested_attributes_of(policy) | groups


def _position(item: tuple[str, Any]) -> int:
    return int(item[0].removeprefix("policy"))


def _failed(errors: Sequence[str]) -> list[str]:
    """Return the names of the policies in Cedar's errors; an error that names none counts for the whole set."""
    return [match[1] if (match := _POLICY_IN_ERROR.search(error)) else _PERMIT for error in errors]


def _parse(text: str) -> None:
    try:
        cedarpy.PolicySet.from_str(text)
    except ValueError as error:
        raise PolicyMistake(f"The policies cannot be read: {_first_line(error)}") from None


def _as_json(text: str) -> dict[str, dict[str, Any]]:
    try:
        found = json.loads(cedarpy.policies_to_json_str(text))
    except RecursionError:
        raise PolicyMistake("A policy is nested too deeply; write one set and containsAny for many ||") from None
    if found.get("templates"):
        raise PolicyMistake("A policy has a slot such as ?principal; write the policy without slots")
    policies: dict[str, dict[str, Any]] = found["staticPolicies"]
    return policies


def _read(policy: Mapping[str, Any]) -> Policy:
    annotations = policy.get("annotations") or {}
    return Policy(str(annotations.get("id") or ""), annotations.get("advice"))


def _check(of_company: str, every: Any) -> None:
    """Check that the company's policies only forbid, and that each can be named."""
    for policy in _as_json(of_company).values():
        read = _read(policy)
        if policy["effect"] != "forbid":
            raise PolicyMistake(
                f"The policy {read.id!r} permits something, but everything that is not forbidden is permitted; "
                "write forbid … unless { … } instead"
            )
        if not read.id or read.is_of_setting:
            raise PolicyMistake(
                f'A policy has no id of its own; write @id("a-name") before it ({SETTING!r} is for settings)'
            )
        if mistake := mistake_in(policy):
            raise PolicyMistake(f"The policy {read.id!r} {mistake}")
    ids = [policy.id for policy in every]
    repeated = sorted({id_ for id_ in ids if ids.count(id_) > 1})
    if repeated:
        raise PolicyMistake(f"Two policies have the id {repeated[0]!r}; give each its own")


def _validate(text: str, policies: Mapping[str, Policy]) -> None:
    errors = cedarpy.validate_policies(text, schema()).errors
    if errors:
        policy = policies.get(errors[0].policy_id)
        what = _first_line(errors[0].error).replace(f"for policy `{errors[0].policy_id}`, ", "")
        raise PolicyMistake(f"The policy {policy.id if policy else '?'!r} is not valid: {what}")


def _first_line(error: object) -> str:
    return str(error).partition("\n")[0].rstrip(".")
