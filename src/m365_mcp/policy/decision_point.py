"""The policy decision point (RFC 2753): says whether a message may leave, and whether a tool may read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from pathlib import Path

from m365_mcp import logs
from m365_mcp.errors import PolicyDenied, PolicyFailed, PolicyUnavailable, SettingsMistake
from m365_mcp.mail import MailRules
from m365_mcp.metrics import Decision
from m365_mcp.person import PersonId
from m365_mcp.policy.facts import (
    NO_COUNTS,
    NO_MESSAGE,
    Circumstances,
    InternalDomains,
    MessageFacts,
    SendCounts,
    Told,
    requests_of,
)
from m365_mcp.policy.memberships import UNKNOWN, Memberships
from m365_mcp.policy.policy_set import Policy, PolicyMistake, PolicySet, Verdict
from m365_mcp.policy.setting_rules import policies_of

VARIABLE = "M365_POLICY_FILE"
READ = ("Read",)
_log = logs.get(__name__)


@dataclass(frozen=True)
class PolicyRefusal:
    """One decision that denies.

    Attributes:
        person: who wanted to send.
        client: the client id of the MCP client.
        policies: the ids of the policies that forbid it, or of those that could not be evaluated.
        code: the code of the error.
        told: what was asked for, and what the policies were told of message and call.
    """

    person: PersonId
    client: str
    policies: tuple[str, ...]
    code: str
    told: Told


def _ignore(_: PolicyRefusal) -> None:
    return


def _count_nothing(_: str, __: Decision) -> None:
    return


@dataclass
class PolicyDecisionPoint:
    """The policies in force.

    Attributes:
        policies: ours, those of the settings and the company's own; `watching` replaces them.
        internal: the company's domains.
        time_zone: in which the policies tell hours and weekdays.
        now: returns the time; for tests.
        observe: is told of every decision that denies.
        count: is told of every decision: the action, and what was decided.
    """

    policies: PolicySet
    internal: InternalDomains = field(default_factory=InternalDomains)
    time_zone: tzinfo = UTC
    now: Callable[[tzinfo], datetime] = datetime.now
    observe: Callable[[PolicyRefusal], None] = _ignore
    count: Callable[[str, Decision], None] = _count_nothing

    @property
    def edition(self) -> str:
        """A short digest of what decides: the policies, and which domains are the company's own."""
        return hashlib.sha256(repr((self.policies.digest, self.internal.written)).encode()).hexdigest()[:12]

    def at(self, moment: float) -> PolicyDecisionPoint:
        """Return one with the policies of now that decides as at this moment, in epoch seconds."""
        return replace(self, now=lambda time_zone: datetime.fromtimestamp(moment, time_zone))

    def require(
        self,
        person: PersonId,
        actions: tuple[str, ...],
        message: MessageFacts,
        client: str,
        counts: SendCounts = NO_COUNTS,
        memberships: Memberships = UNKNOWN,
    ) -> None:
        """Return if the policies permit each of `actions` on the message.

        Args:
            counts: what has left before, if a policy mentions one of `COUNT_NAMES`.
            memberships: what is known of the person's groups and roles; all that `PolicySet.named_for` returns.

        Raises:
            PolicyDenied: a policy forbids it.
            PolicyFailed: a policy could not be evaluated.
            PolicyUnavailable: a policy names a group or role of which it is not known if the person has it.
        """
        told = self.tell(actions, message, client, counts)
        verdict = self._decide(person, told, memberships)
        if not verdict.is_permitted:
            raise self._refusal(verdict, person, told)

    def require_read(
        self,
        person: PersonId,
        tool: str,
        client: str,
        counts: SendCounts = NO_COUNTS,
        memberships: Memberships = UNKNOWN,
    ) -> None:
        """Return if the policies permit a tool to read. Raises as `require`."""
        told = self.tell(READ, NO_MESSAGE, client, counts, tool)
        verdict = self._decide(person, told, memberships)
        if not verdict.is_permitted:
            raise self._refusal(verdict, person, told)

    def who_asks(
        self,
        person: PersonId,
        message: MessageFacts,
        client: str,
        counts: SendCounts = NO_COUNTS,
        memberships: Memberships = UNKNOWN,
    ) -> Policy | None:
        """Return the policy that has a permitted message wait for the person's approval; None: it may leave unasked.

        Raises:
            PolicyFailed, PolicyUnavailable: see `require`.
        """
        if not self.policies.concerns("SendUnasked"):
            return None
        told = self.tell(("SendUnasked",), message, client, counts)
        verdict = self._decide(person, told, memberships)
        if verdict.failed:
            raise self._refusal(verdict, person, told)
        return verdict.forbidden_by[0] if verdict.forbidden_by else None

    def _refusal(self, verdict: Verdict, person: PersonId, told: Told) -> PolicyDenied | PolicyFailed:
        """Return the error of a verdict that denies, and tell of it."""
        policies = tuple(policy.id for policy in (*verdict.failed, *verdict.forbidden_by))
        error = error_of(verdict, is_reading=told.actions == READ)
        _log.info("policy_denied", policies=list(policies))
        self.observe(PolicyRefusal(person, told.circumstances.client, policies, error.code, told))
        return error

    def tell(
        self,
        actions: tuple[str, ...],
        message: MessageFacts,
        client: str,
        counts: SendCounts = NO_COUNTS,
        tool: str = "",
    ) -> Told:
        """Return what the policies are told of a call that is made now."""
        return Told(actions, message, Circumstances(client, self.now(self.time_zone), counts, tool))

    def _decide(self, person: PersonId, told: Told, memberships: Memberships) -> Verdict:
        decision: Decision = "error"
        try:
            verdict = self._evaluate(person, told, memberships)
            decision = "permit" if verdict.is_permitted else "error" if verdict.failed else "forbid"
        finally:
            for action in told.actions:
                self.count(action, decision)
        return verdict

    def _evaluate(self, person: PersonId, told: Told, memberships: Memberships) -> Verdict:
        if not self.policies.named_for(*told.actions).are_known(person, memberships):
            # Without it a policy that forbids something to a group would let its members through.
            raise PolicyUnavailable("A policy names groups or roles, and it is not known which of them the person has.")
        return self.policies.decide(*requests_of(person, told.actions, told.message, told.circumstances, memberships))


def error_of(verdict: Verdict, *, is_reading: bool = False) -> PolicyDenied | PolicyFailed:
    """Return the error for a verdict that permits nothing; it names the first policy."""
    error: PolicyDenied | PolicyFailed
    policy = (*verdict.failed, *verdict.forbidden_by)[0]
    if verdict.failed:
        done = "read" if is_reading else "sent"
        error = PolicyFailed(f"The policy {policy.id!r} could not be evaluated, so nothing was {done}.")
    else:
        error = PolicyDenied(_sentence(policy, "call" if is_reading else "message"), advice=policy.advice)
    error.rule = policy.id
    return error


def _sentence(policy: Policy, forbidden: str) -> str:
    if policy.is_of_setting:
        return f"The setting {policy.id.partition(':')[2]} of this server does not allow this {forbidden}."
    return f"The policy {policy.id!r} of this organization does not allow this {forbidden}."


def read_policies(rules: MailRules, file: Path | None) -> PolicySet:
    """Return the policies of the settings and of the company's file. Raises SettingsMistake as the next two."""
    return policies_from(rules, read_file(file) if file else "")


def read_file(file: Path) -> str:
    """Return the text of the company's policies. Raises SettingsMistake if the file is missing or cannot be read."""
    try:
        return file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise SettingsMistake(((VARIABLE, "must name a readable file of Cedar policies in UTF-8"),)) from None


def policies_from(rules: MailRules, text: str) -> PolicySet:
    """Return the policies of the settings and of `text`. Raises SettingsMistake if one of the text is not valid."""
    try:
        return PolicySet(policies_of(rules), text)
    except PolicyMistake as mistake:
        raise SettingsMistake(((VARIABLE, str(mistake)),)) from None
