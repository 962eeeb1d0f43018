"""Asks the policies about one person's messages: those that are composed now, and drafts as they are in the mailbox."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from m365_mcp.errors import PolicyUnavailable, StorageUnavailable
from m365_mcp.graph.attachments import Attached
from m365_mcp.graph.drafts import Drafts
from m365_mcp.graph.items import Item
from m365_mcp.mail import Message, Recipient
from m365_mcp.person import PersonId
from m365_mcp.policy.decision_point import PolicyDecisionPoint
from m365_mcp.policy.facts import COUNT_NAMES, FIRST_TIME, NO_COUNTS, AttachedFile, MessageFacts, SendCounts
from m365_mcp.policy.links import link_domains
from m365_mcp.policy.memberships import UNKNOWN, Memberships
from m365_mcp.policy.named_memberships import NamedMemberships
from m365_mcp.sending.held_mail import ApprovalNeeded
from m365_mcp.sending.send_events import note_told
from m365_mcp.sending.send_limits import SendLimits

# What the person's own addresses decide, always and where the operator has not named the company's domains.
_ABOUT_OWN = ("toSelfOnly", "hasOtherReplyTo")
_ABOUT_INTERNAL = ("externalDomains", "externalCount")
_ABOUT_BODY = ("linkDomains", "contentType")


class Run(Protocol):
    """Runs work off the event loop and returns its result."""

    async def __call__(self, work: Callable[[], frozenset[str]]) -> frozenset[str]: ...  # noqa: D102


# Returns what is known of the person's groups and roles, after it has found out about those that policies name.
MembershipSource = Callable[[NamedMemberships], Awaitable[Memberships]]


async def unknown_memberships(_: NamedMemberships) -> Memberships:
    """Say that nothing is known of the person's groups and roles: where nobody is signed in."""
    return UNKNOWN


@dataclass(frozen=True)
class PolicyCheck:
    """Asks the policies about one person's messages.

    Attributes:
        decision_point: the policies in force.
        person: who sends.
        sign_in_name: the person's sign-in name, or an empty text.
        client: the client id of the MCP client.
        drafts: the person's drafts.
        limits: knows how much has left.
        run: runs work that takes processor time off the event loop; see `Composer.run`.
        is_approved: whether the person has approved the message, so that no policy has it wait.
        memberships: knows the person's groups and roles.
        is_counted: whether the message itself is among what has left, so that the counts decide nothing.
    """

    decision_point: PolicyDecisionPoint
    person: PersonId
    sign_in_name: str
    client: str
    drafts: Drafts
    limits: SendLimits
    run: Run
    is_approved: bool = False
    memberships: MembershipSource = unknown_memberships
    is_counted: bool = False

    async def message(self, message: Message, *actions: str) -> None:
        """Return if the policies permit `actions` on a composed message.

        Raises:
            PolicyDenied, PolicyFailed: see `PolicyDecisionPoint.require`.
            PolicyUnavailable: what a policy needs to know cannot be looked up.
            ApprovalNeeded: the message may leave, and the person is to be asked first.
        """
        now = self._of_now()
        own, unknown = await now._own(message.from_)
        facts = MessageFacts(
            (*message.to, *message.cc, *message.bcc),
            reply_to=message.reply_to,
            has_bcc=bool(message.bcc),
            own=own,
            internal=now.decision_point.internal,
            attachments=tuple(AttachedFile(file.name, file.size) for file in message.attachments),
            link_domains=await now._links(message.body),
            content_type=message.content_type,
            is_shared=_is_shared(message.from_, own),
            unknown=unknown,
        )
        await now._require(actions, facts)

    async def draft(
        self,
        item: Item,
        attached: Sequence[Attached],
        *actions: str,
        is_reply: bool = False,
        is_forward: bool = False,
        body: tuple[str, str] | None = None,
    ) -> None:
        """Return if the policies permit `actions` on a draft in the mailbox. Raises as `message` does.

        Args:
            attached: its attachments.
            body: its content type and content, if they are not those in the mailbox.
        """
        now = self._of_now()
        own, unknown = await now._own(item.from_)
        is_read = body is not None or now.decision_point.policies.mentions(*_ABOUT_BODY)
        content_type, content = body or await now._body(item)
        facts = MessageFacts(
            (*item.to, *item.cc, *item.bcc),
            reply_to=item.reply_to,
            has_bcc=bool(item.bcc),
            own=own,
            internal=now.decision_point.internal,
            # An attached message has its subject for a name.
            attachments=tuple(AttachedFile(one.name if one.is_file else "", one.size) for one in attached),
            link_domains=await now._links(content),
            content_type="Text" if content_type.lower() == "text" else "HTML",
            is_reply=is_reply,
            is_forward=is_forward,
            is_shared=_is_shared(item.from_, own),
            unknown=unknown if is_read else unknown | {"contentType"},
        )
        await now._require(actions, facts)

    async def reading(self, tool: str) -> None:
        """Return if the policies permit a tool to read; costs nothing where no policy can forbid it.

        Raises:
            PolicyDenied, PolicyFailed: see `PolicyDecisionPoint.require`.
            PolicyUnavailable: what a policy needs to know cannot be looked up.
        """
        now = self._of_now()
        policies = now.decision_point.policies
        if policies.concerns("Read"):
            counts = await now._read_counts() if policies.reads("Read", *COUNT_NAMES) else NO_COUNTS
            memberships = await now._memberships("Read")
            now.decision_point.require_read(now.person, tool, now.client, counts, memberships)

    def _of_now(self) -> PolicyCheck:
        """Return a check by the policies of now: a reload may come between the facts and the decision."""
        return replace(self, decision_point=replace(self.decision_point))

    async def _require(self, actions: tuple[str, ...], facts: MessageFacts) -> None:
        facts = replace(facts, first_time=await self.first_time(facts.keys), unknown=facts.unknown | self._unread())
        counts = await self._counts()
        note_told(self.decision_point.tell(actions, facts, self.client, counts))
        asks = "Send" in actions and not self.is_approved
        memberships = await self._memberships(*actions, *(("SendUnasked",) if asks else ()))
        self.decision_point.require(self.person, actions, facts, self.client, counts, memberships)
        if asks:
            policy = self.decision_point.who_asks(self.person, facts, self.client, counts, memberships)
            if policy is not None:
                raise ApprovalNeeded(policy.id)

    async def _memberships(self, *actions: str) -> Memberships:
        """Return the person's groups and roles, if a policy about these actions names any. Raises PolicyUnavailable."""
        policies = self.decision_point.policies
        named = policies.named_for(*actions)
        if named.groups:  # one request tells about all groups, also for the other actions
            named = NamedMemberships(policies.named.groups, named.roles)
        return await self.memberships(named) if named.groups or named.roles else UNKNOWN

    async def first_time(self, addresses: frozenset[str]) -> frozenset[str]:
        """Return those addresses to which the person has never sent, if a policy needs it. Raises PolicyUnavailable."""
        if not self.decision_point.policies.counts_first_time:
            return frozenset()
        if self.limits.contacts is None:
            raise PolicyUnavailable
        try:
            return await self.limits.contacts.first_time(self.person, addresses)
        except StorageUnavailable as error:
            raise PolicyUnavailable(
                "A policy needs to know who gets mail for the first time, and this cannot be looked up.",
                retry_after=error.retry_after,
            ) from error

    async def _counts(self) -> SendCounts:
        """Return what has left before this message, if a policy needs it. Raises PolicyUnavailable."""
        if self.is_counted or not self.decision_point.policies.mentions(*COUNT_NAMES):
            return NO_COUNTS
        return await self._read_counts()

    async def _read_counts(self) -> SendCounts:
        try:
            return await self.limits.before_this(self.person)
        except StorageUnavailable as error:
            raise PolicyUnavailable(
                "A policy needs to know how much was sent, and the counts cannot be read.",
                retry_after=error.retry_after,
            ) from error

    async def _body(self, item: Item) -> tuple[str, str]:
        """Return the content type and the content of a draft, if a policy needs them; Graph is asked for them."""
        if not self.decision_point.policies.mentions(*_ABOUT_BODY):
            return "", ""
        return await self.drafts.body(item.id)

    async def _links(self, body: str) -> frozenset[str]:
        if not self.decision_point.policies.mentions("linkDomains"):
            return frozenset()
        return await self.run(partial(link_domains, body))

    def _unread(self) -> frozenset[str]:
        """Return the names of attributes that are not looked up, because no policy reads them."""
        policies = self.decision_point.policies
        unread = [] if policies.mentions("linkDomains") else ["linkDomains"]
        unread += [] if policies.counts_first_time else [FIRST_TIME]
        unread += [] if policies.mentions(*COUNT_NAMES) else COUNT_NAMES
        return frozenset(unread)

    async def _own(self, sender: Recipient | None) -> tuple[frozenset[str], frozenset[str]]:
        """Return the person's addresses as `Recipient.key`; those that only Graph knows, if a policy may need them.

        Besides, the names of the attributes that are then not known.
        """
        known = _keys([self.sign_in_name] if self.sign_in_name else [])
        names = _ABOUT_OWN if self.decision_point.internal.written is not None else (*_ABOUT_OWN, *_ABOUT_INTERNAL)
        if not self.decision_point.policies.mentions(*names) and (sender is None or sender.key in known):
            return known, frozenset(names)
        profile = await self.drafts.mailbox.profile()
        return known | _keys(profile.addresses), frozenset()


def _keys(addresses: Iterable[str]) -> frozenset[str]:
    return frozenset(Recipient(address).key for address in addresses)


def _is_shared(sender: Recipient | None, own: frozenset[str]) -> bool:
    return sender is not None and sender.key not in own
