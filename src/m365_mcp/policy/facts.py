"""What the policies are told of a message, a person and a call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from m365_mcp.mail import Recipient, extensions_of
from m365_mcp.mail.text import words
from m365_mcp.person import PersonId
from m365_mcp.policy.memberships import UNKNOWN, Memberships

FIRST_TIME = "firstTimeCount"  # the attribute that is looked up only where a policy names it
# Where anybody can have an address: nobody is a colleague because of such a domain.
FREE_MAIL = words(
    "163.com 126.com aol.com gmail.com gmx.de gmx.net googlemail.com hotmail.com icloud.com live.com mail.com mail.ru "
    "me.com msn.com naver.com outlook.com proton.me protonmail.com qq.com web.de yahoo.co.jp yahoo.com yandex.com "
    "yandex.ru zoho.com"
)
_GUEST = "#ext#"  # in the sign-in name of a guest (Microsoft Entra B2B)


@dataclass(frozen=True)
class AttachedFile:
    """An attachment: its name and its size in bytes."""

    name: str
    size: int


@dataclass(frozen=True)
class InternalDomains:
    """Which domains are the company's own.

    Attributes:
        written: M365_INTERNAL_DOMAINS; an entry `*.example.com` is every domain below. None: the person's own domains.
    """

    written: tuple[str, ...] | None = None

    def external(self, domains: Iterable[str], own: Iterable[str]) -> frozenset[str]:
        """Return the domains that are not internal.

        Args:
            domains: domains as `Recipient.domain`.
            own: the addresses of the person, as `Recipient.key`.
        """
        internal = self.written if self.written is not None else _domains_of(own)
        return frozenset(domain for domain in domains if not any(_is_in(domain, entry) for entry in internal))


def unasked_free_mail(allowed: Iterable[str] | None, approval: str, internal: InternalDomains) -> tuple[str, ...]:
    """Return the allowed domains at which anybody can have an address and to which mail leaves without approval.

    Args:
        allowed: M365_SEND_ALLOWED_DOMAINS.
        approval: M365_SEND_APPROVAL.
    """
    free = FREE_MAIL.intersection(allowed or ())
    asked = {"off": frozenset[str](), "external": internal.external(free, ()), "all": free}[approval]
    return tuple(sorted(free - asked))


def _is_in(domain: str, entry: str) -> bool:
    return domain.endswith(entry[1:]) if entry.startswith("*.") else domain == entry


def _domains_of(own: Iterable[str]) -> set[str]:
    """Return the domains of a person's addresses; none for a guest, and none that are free for everybody."""
    addresses = tuple(own)
    if any(_GUEST in address for address in addresses):
        return set()
    return {address.rpartition("@")[2] for address in addresses} - FREE_MAIL - {""}


@dataclass(frozen=True)
class MessageFacts:
    """What the policies are told of one message.

    Attributes:
        receivers: to, cc and bcc.
        own: the addresses of the person, as `Recipient.key`.
        link_domains: the domains that the text links to.
        first_time: recipients whom the person has never written to, as `Recipient.key`, if a policy needs to know.
        unknown: the names of attributes that nobody looked up, because no policy reads them.
    """

    receivers: tuple[Recipient, ...]
    reply_to: tuple[Recipient, ...] = ()
    has_bcc: bool = False
    own: frozenset[str] = frozenset()
    internal: InternalDomains = field(default_factory=InternalDomains)
    attachments: tuple[AttachedFile, ...] = ()
    link_domains: frozenset[str] = frozenset()
    first_time: frozenset[str] = frozenset()
    content_type: str = "HTML"
    is_reply: bool = False
    is_forward: bool = False
    is_shared: bool = False
    unknown: frozenset[str] = frozenset()

    @property
    def keys(self) -> frozenset[str]:
        """Every address of to, cc, bcc and reply_to, as `Recipient.key`."""
        return frozenset(recipient.key for recipient in (*self.receivers, *self.reply_to))

    def as_cedar(self) -> dict[str, Any]:
        """Return the attributes of the entity `Message`, in Cedar's JSON."""
        addressed = (*self.receivers, *self.reply_to)
        domains = {domain for recipient in addressed for domain in recipient.domains}
        external = self.internal.external(domains, self.own)
        keys = self.keys
        return {
            "recipients": sorted(keys),
            "domains": sorted(domains),
            "externalDomains": sorted(external),
            "subdomainsOf": sorted(parents_of(domains)),
            "attachmentExtensions": sorted({one for file in self.attachments for one in extensions_of(file.name)}),
            "linkDomains": sorted(self.link_domains),
            "recipientCount": len(addressed),
            "externalCount": sum(bool(recipient.domains & external) for recipient in addressed),
            FIRST_TIME: sum(recipient.key in self.first_time for recipient in addressed),
            "attachmentCount": len(self.attachments),
            "attachmentBytes": sum(file.size for file in self.attachments),
            "isReply": self.is_reply,
            "isForward": self.is_forward,
            "hasOtherReplyTo": any(recipient.key not in self.own for recipient in self.reply_to),
            "toSelfOnly": bool(keys) and keys <= self.own,
            "hasBcc": self.has_bcc,
            "isShared": self.is_shared,
            "contentType": self.content_type,
        }


def parents_of(domains: Iterable[str]) -> set[str]:
    """Return every domain above each of `domains`: of a.b.example, b.example and example."""
    labels = (domain.split(".") for domain in domains)
    return {".".join(parts[start:]) for parts in labels for start in range(1, len(parts))}


@dataclass(frozen=True)
class SendCounts:
    """What has left in the past hour and day, without the message that is decided: of the person, and of all people."""

    person_messages_hour: int = 0
    person_messages_day: int = 0
    person_recipients_hour: int = 0
    person_recipients_day: int = 0
    company_messages_hour: int = 0
    company_messages_day: int = 0
    company_recipients_hour: int = 0
    company_recipients_day: int = 0

    def as_cedar(self) -> dict[str, int]:
        """Return the counts by their names in the policies."""
        return {_camel_case(one.name): getattr(self, one.name) for one in fields(self)}


def _camel_case(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


NO_MESSAGE = MessageFacts(())
"""Of a call that reads: no recipients, no attachments."""
NO_COUNTS = SendCounts()
COUNT_NAMES = tuple(NO_COUNTS.as_cedar())


@dataclass(frozen=True)
class Circumstances:
    """The call: its client, when it is made in the time zone of the policies, and what has left before.

    Attributes:
        tool: the name of the tool that reads; empty for the other actions.
    """

    client: str
    at: datetime
    counts: SendCounts = NO_COUNTS
    tool: str = ""

    def as_cedar(self) -> dict[str, Any]:
        """Return the context of a request, in Cedar's JSON."""
        return {
            "client": self.client,
            "clientVerified": self.client.startswith("https://"),  # only a metadata document has a URL for its id
            "hour": self.at.hour,
            "weekday": self.at.isoweekday(),
            "tool": self.tool,
            **self.counts.as_cedar(),
        }


@dataclass(frozen=True)
class Told:
    """What the policies were told to decide one call.

    Attributes:
        actions: what was asked for.
        message: the message.
        circumstances: the call.
    """

    actions: tuple[str, ...]
    message: MessageFacts
    circumstances: Circumstances

    def known(self) -> dict[str, Any]:
        """Return the attributes of message and context together, without those that nobody looked up."""
        told = {**self.message.as_cedar(), **self.circumstances.as_cedar()}
        return {name: value for name, value in told.items() if name not in self.message.unknown}

    def domain_counts(self) -> dict[str, int]:
        """Return how many recipients each domain has."""
        addressed = (*self.message.receivers, *self.message.reply_to)
        return dict(sorted(Counter(domain for one in addressed for domain in one.domains).items()))


def requests_of(
    person: PersonId,
    actions: Sequence[str],
    message: MessageFacts,
    circumstances: Circumstances,
    memberships: Memberships = UNKNOWN,
) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Return Cedar's requests, one for each action, and the entities that they name."""
    principal = {"type": "Person", "id": ":".join(person)}
    resource = {"type": "Message", "id": "this"}
    context = circumstances.as_cedar()
    requests: list[Mapping[str, Any]] = [
        {"principal": principal, "action": {"type": "Action", "id": action}, "resource": resource, "context": context}
        for action in actions
    ]
    return requests, [
        {"uid": principal, "attrs": {}, "parents": memberships.parents_of(person)},
        {"uid": resource, "attrs": message.as_cedar(), "parents": []},
    ]
