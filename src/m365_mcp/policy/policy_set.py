"""A set of Cedar policies: ours, those of the settings, and the company's own, which may only forbid.

One `permit` allows everything; every other policy is a `forbid`, and in Cedar a `forbid` always wins. Cedar skips a
policy whose condition cannot be evaluated, so an evaluation error counts as a denial here.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import cedarpy

from m365_mcp.policy.named_memberships import NamedMemberships, is_about, mistake_in, named_by

PERMIT = '@id("default")\npermit(principal, action, resource);\n'
_PERMIT = "policy0"  # Cedar numbers policies in the order of the text
SETTING = "setting:"  # how the ids of the settings' policies begin
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

    Raises:
        PolicyMistake: a policy of the company is not valid, permits something, or has no id of its own.

    Attributes:
        named: the groups and roles that the policies name.
    """

    def __init__(self, of_settings: str = "", of_company: str = "") -> None:
        _parse(of_company)  # alone, so that a position in an error is one in the file
        text = f"{PERMIT}{of_settings}\n{of_company}"
        written = dict(sorted(_as_json(text).items(), key=_position))
        self._policies = {name: _read(policy) for name, policy in written.items()}
        _check(of_company, self._policies.values())
        _validate(text, self._policies)
        self._set = cedarpy.PolicySet.from_str(text)
        self._written = tuple(written.values())
        self._named: dict[tuple[str, ...], NamedMemberships] = {}
        self.named = named_by(self._written)
        self.text = text
        self.digest = hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def forbidding(self) -> tuple[Policy, ...]:
        """The policies that forbid something, those of settings first."""
        return tuple(policy for name, policy in self._policies.items() if name != _PERMIT)

    def mentions(self, *names: str) -> bool:
        """Return whether a policy may need one of these attributes or entity types; true in doubt."""
        # An escape in a text of Cedar's may spell a name.
        return "\\" in self.text or any(re.search(rf"\b{name}\b", self.text) for name in names)

    def named_for(self, *actions: str) -> NamedMemberships:
        """Return the groups and roles that the policies about one of these actions name."""
        if actions not in self._named:
            self._named[actions] = named_by(policy for policy in self._written if is_about(policy, actions))
        return self._named[actions]

    def decide(self, requests: Sequence[Mapping[str, Any]], entities: Sequence[Mapping[str, Any]]) -> Verdict:
        """Return what the policies say of requests, all of which must be permitted.

        Args:
            requests: Cedar's requests: principal, action, resource, context.
            entities: the entities that the requests name, in Cedar's JSON.
        """
        results = cedarpy.is_authorized_batch(
            [dict(one) for one in requests], self._set, [dict(one) for one in entities], schema()
        )
        forbidden: dict[str, Policy] = {}
        failed: dict[str, Policy] = {}
        for result in results:
            failed |= {name: self._policies[name] for name in _failed(result.diagnostics.errors)}
            if not result.allowed:
                forbidden |= {name: self._policies[name] for name in result.diagnostics.reasons}
            if not result.allowed and not result.diagnostics.reasons and not failed:
                failed["?"] = Policy("default", None)  # a request that Cedar did not evaluate is no permission
        # Cedar names them in any order; the one that the caller is told is always the same.
        ordered = sorted(forbidden, key=lambda name: (self._policies[name].is_of_setting, int(name[len("policy") :])))
        return Verdict(tuple(forbidden[name] for name in ordered), tuple(failed.values()))


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
    found = json.loads(cedarpy.policies_to_json_str(text))
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
