"""Messages that an operator writes down, to see what the policies decide of them: one, or the cases of a test.

A file is YAML or JSON. What it does not say has a default, so that a case is a few lines.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, Field, ValidationError, model_validator

from m365_mcp.errors import InvalidArgument, M365Error
from m365_mcp.mail import Recipient
from m365_mcp.mail.addresses import comparable_domain
from m365_mcp.mail.recipient import read_recipient
from m365_mcp.policy.decision_point import error_of
from m365_mcp.policy.facts import (
    COUNT_NAMES,
    AttachedFile,
    Circumstances,
    InternalDomains,
    MessageFacts,
    SendCounts,
    requests_of,
)
from m365_mcp.policy.links import link_domains
from m365_mcp.policy.memberships import UNKNOWN, Memberships
from m365_mcp.policy.policy_set import PolicySet, Verdict
from m365_mcp.policy.written_person import Written, WrittenPerson

_MONDAY = datetime(2026, 11, 23)  # noqa: DTZ001 - the policies see hour and weekday only
Model = TypeVar("Model", bound=BaseModel)
Action = Literal["Send", "Schedule", "Draft", "Read"]
_COUNTS = dict(zip(COUNT_NAMES, (one.name for one in fields(SendCounts)), strict=True))


def _check_count(name: str) -> str:
    if name not in _COUNTS:
        raise ValueError(f"must be one of {', '.join(_COUNTS)}")
    return name


CountName = Annotated[str, AfterValidator(_check_count)]
Word = Literal["permitted", "approval_needed", "denied"]


class WrittenFile(Written):
    """An attachment: its name and its size in bytes."""

    name: str
    size: int = Field(0, ge=0)


class WrittenMessage(Written):
    """A message as an operator writes it; the fields are those of the tools.

    Attributes:
        links: domains that it links to, besides those in `body`.
        first_time: those of its addresses that the person has never sent to.
    """

    to: tuple[str, ...] = ()
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    reply_to: tuple[str, ...] = ()
    from_: str | None = Field(None, alias="from")
    body: str = ""
    links: tuple[str, ...] = ()
    first_time: tuple[str, ...] = ()
    content_type: Literal["HTML", "Text"] = "HTML"
    attachments: tuple[WrittenFile, ...] = ()
    is_reply: bool = False
    is_forward: bool = False


class WrittenCall(Written):
    """A message, who sends it, with which client, and when.

    Attributes:
        counts: what has left before, by the names of the policies (`personMessagesHour`); the rest is 0.
        tool: of `Read`, the tool that reads.
    """

    message: WrittenMessage
    person: WrittenPerson = WrittenPerson()
    client: str = ""
    hour: int = Field(10, ge=0, le=23)
    weekday: int = Field(3, ge=1, le=7)
    counts: dict[CountName, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)
    action: Action = "Send"
    tool: str = ""

    @model_validator(mode="before")
    @classmethod
    def _add_no_message(cls, data: Any) -> Any:
        """Give a call that reads its message, which is empty."""
        return {"message": {}, **data} if isinstance(data, dict) and data.get("action") == "Read" else data

    def decide(self, policies: PolicySet, internal: InternalDomains) -> Decision:
        """Return what the policies say. Raises InvalidArgument if an address cannot be read."""
        at = _MONDAY + timedelta(days=self.weekday - 1, hours=self.hour)
        person, memberships = self.person.person_id, self.person.memberships
        facts = self._facts(internal)
        counts = SendCounts(**{_COUNTS[name]: number for name, number in self.counts.items()})
        circumstances = Circumstances(self.client, at, counts, self.tool if self.action == "Read" else "")

        def asked(*actions: str) -> Verdict:
            return policies.decide(*requests_of(person, actions, facts, circumstances, memberships))

        verdict = asked("Send", "Schedule") if self.action == "Schedule" else asked(self.action)
        if not verdict.is_permitted or self.action in ("Draft", "Read"):
            return Decision(facts, circumstances, verdict, memberships, is_read=self.action == "Read")
        unasked = asked("SendUnasked")
        return Decision(facts, circumstances, unasked, memberships, is_asked=not unasked.failed)

    def changed(
        self, *, person: str | None, client: str | None, groups: tuple[str, ...], roles: tuple[str, ...]
    ) -> WrittenCall:
        """Return the call with what the command line says in place of what the file says. Raises InvalidArgument.

        Args:
            person: the address of another person, of whom the file says nothing.
        """
        described = {"addresses": (person,)} if person else self.person.model_dump(exclude_unset=True)
        described |= {name: value for name, value in (("groups", groups), ("roles", roles)) if value}
        try:
            who = WrittenPerson.model_validate(described)
        except ValidationError as error:
            raise InvalidArgument(f"The person has a mistake: {_problems(error)}.", advice="Correct it.") from error
        return self.model_copy(update={"person": who, "client": self.client if client is None else client})

    def _facts(self, internal: InternalDomains) -> MessageFacts:
        message = self.message
        own = frozenset(one.key for one in _people("addresses", self.person.addresses))
        sender = read_recipient("'from'", message.from_) if message.from_ else None
        return MessageFacts(
            tuple(one for field in ("to", "cc", "bcc") for one in _people(field, getattr(message, field))),
            reply_to=_people("reply_to", message.reply_to),
            has_bcc=bool(message.bcc),
            own=own,
            internal=internal,
            attachments=tuple(AttachedFile(file.name, file.size) for file in message.attachments),
            link_domains=link_domains(message.body) | {comparable_domain(domain) for domain in message.links},
            first_time=frozenset(one.key for one in _people("first_time", message.first_time)),
            content_type=message.content_type,
            is_reply=message.is_reply,
            is_forward=message.is_forward,
            is_shared=sender is not None and sender.key not in own,
        )


class Case(WrittenCall):
    """A call, and what the policies are expected to decide.

    Attributes:
        rule: the id of a policy that forbids the message, or has it wait for approval; None: any.
    """

    name: str
    expect: Word
    rule: str | None = None


class CaseFile(Written):
    """The cases of one file."""

    cases: tuple[Case, ...] = Field(min_length=1)


@dataclass(frozen=True)
class Decision:
    """What the policies say of a written message, and what they were told of it.

    Attributes:
        verdict: what decides: about the action, or, where it is permitted, about sending without asking.
        is_asked: whether the verdict only has the message wait for the person's approval.
        is_read: whether the call only reads.
    """

    facts: MessageFacts
    circumstances: Circumstances
    verdict: Verdict
    memberships: Memberships = UNKNOWN
    is_asked: bool = False
    is_read: bool = False

    @property
    def word(self) -> Word:
        """The decision in a word."""
        if self.verdict.is_permitted:
            return "permitted"
        return "approval_needed" if self.is_asked else "denied"

    @property
    def rules(self) -> tuple[str, ...]:
        """The ids of the policies that deny the message or have it wait, the one that the caller is told first."""
        return tuple(policy.id for policy in (*self.verdict.failed, *self.verdict.forbidden_by))

    @property
    def refusal(self) -> M365Error | None:
        """The error that the caller of a tool gets; None: the message may leave, at least after approval."""
        return error_of(self.verdict, is_reading=self.is_read) if self.word == "denied" else None

    def meets(self, case: Case) -> bool:
        """Return whether this is what the case expects."""
        return self.word == case.expect and (case.rule is None or case.rule in self.rules)


def read_call(file: Path) -> WrittenCall:
    """Return the call that a file describes. Raises InvalidArgument."""
    return _read(WrittenCall, file)


def read_cases(file: Path) -> tuple[Case, ...]:
    """Return the cases of a file. Raises InvalidArgument."""
    return _read(CaseFile, file).cases


def _read(model: type[Model], file: Path) -> Model:
    try:
        return model.model_validate(yaml.safe_load(file.read_text("utf-8-sig")))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidArgument(f"{file} cannot be read.", advice="Name a file in YAML or JSON, in UTF-8.") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" from line {mark.line + 1} on" if mark else ""
        raise InvalidArgument(f"{file} is neither YAML nor JSON{where}.", advice="Correct the file.") from error
    except ValidationError as error:
        said = _problems(error)
        raise InvalidArgument(f"{file} has a mistake: {said}.", advice="docs/policy.md has an example.") from error


def _problems(error: ValidationError) -> str:
    details = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(f"{_place(detail['loc'])}: {_problem(detail)}" for detail in details[:5])


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(f"{part + 1}" if isinstance(part, int) else part for part in location) or "the whole"


def _problem(detail: Any) -> str:
    if detail["type"] == "extra_forbidden":
        return "is not known"
    return {"missing": "is missing"}.get(detail["type"], str(detail["msg"]).removeprefix("Value error, "))


def _people(field: str, addresses: tuple[str, ...]) -> tuple[Recipient, ...]:
    return tuple(read_recipient(f"'{field}' entry {number}", text) for number, text in enumerate(addresses, start=1))
