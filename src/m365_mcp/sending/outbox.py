"""One person's outgoing mail: composes a message by the operator's rules and delivers it once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from m365_mcp.auth.graph_token_provider import GraphTokenProvider
from m365_mcp.entra.on_behalf_of import Caller, RejectedTokens
from m365_mcp.errors import ApprovalUnknown, SignInNeeded
from m365_mcp.graph.client import GraphClient
from m365_mcp.graph.drafts import Drafts
from m365_mcp.graph.mailbox import Mailbox, TokenSource
from m365_mcp.mail import MailRules, Message, MessageRequest, Reply, ReplyRequest, compose_message, compose_reply
from m365_mcp.person import PersonId
from m365_mcp.policy.decision_point import PolicyDecisionPoint
from m365_mcp.policy.memberships import UNKNOWN, Memberships
from m365_mcp.policy.named_memberships import NamedMemberships
from m365_mcp.sending.composer import Composer
from m365_mcp.sending.delivery import Delivery
from m365_mcp.sending.draft_inspection import DraftInspection
from m365_mcp.sending.group_lookup import GroupLookup, roles_in
from m365_mcp.sending.ledger_entry import Entry
from m365_mcp.sending.origin import NOWHERE, Origin
from m365_mcp.sending.policy_check import PolicyCheck
from m365_mcp.sending.scheduled_mail import ScheduledMails
from m365_mcp.sending.send_events import content_of
from m365_mcp.sending.send_request import SendRequest
from m365_mcp.sending.send_strategy import Progress, SendReceipt, SendStrategy, no_progress
from m365_mcp.sending.strategies import DirectSend, DraftSend

Result = TypeVar("Result")


@dataclass(frozen=True)
class Outgoing:
    """What all outboxes share.

    Attributes:
        rules: what the operator and Microsoft allow in a mail.
        composer: composes messages in worker threads.
        delivery: sends each message once.
        by_draft: whether this server sends a message as a draft, so that it can reconcile an unknown outcome.
        policies: decides whether a message may leave.
        groups: looks up the groups that policies name.
        shows_previews: whether lists of messages show the first words of each message.
    """

    rules: MailRules
    composer: Composer
    delivery: Delivery
    by_draft: bool
    policies: PolicyDecisionPoint
    groups: GroupLookup
    shows_previews: bool = False

    @property
    def may_ask(self) -> bool:
        """Whether a message may wait for the person's approval."""
        return self.rules.approval != "off" or self.policies.policies.mentions("SendUnasked")

    @property
    def scheduled(self) -> ScheduledMails:
        """The mail that Exchange sends later."""
        return ScheduledMails(self.delivery.ledger.records, self.delivery.ledger.clock)

    def outbox(self, person: PersonId, mailbox: Mailbox, caller: Caller | None, origin: Origin = NOWHERE) -> Outbox:
        """Return the outgoing mail of one person, for a call of `caller` from `origin`."""
        return Outbox(self, person, mailbox, caller, origin)


@dataclass(frozen=True)
class Outbox:
    """One person's outgoing mail.

    Attributes:
        outgoing: what all outboxes share.
        person: the sender.
        mailbox: the mailbox of the sender.
        caller: the sender with the session of the call; None: nobody is signed in, and no groups and roles are known.
        origin: the call; most tenants make the sign-in name the mail address.
        is_approved: whether the person has approved what is sent, so that no policy has it wait.
    """

    outgoing: Outgoing
    person: PersonId
    mailbox: Mailbox
    caller: Caller | None
    origin: Origin = NOWHERE
    is_approved: bool = False

    @property
    def sign_in_name(self) -> str:
        """The sender's sign-in name."""
        return self.origin.sign_in_name

    @property
    def rules(self) -> MailRules:
        """What the operator and Microsoft allow in a mail."""
        return self.outgoing.rules

    @property
    def drafts(self) -> Drafts:
        """The person's drafts."""
        return Drafts(self.mailbox)

    @property
    def inspection(self) -> DraftInspection:
        """Inspects the person's drafts by the rules and the policies."""
        return DraftInspection(self.drafts, self.rules, self.policy)

    @property
    def policy(self) -> PolicyCheck:
        """Asks the policies about the person's messages."""
        return PolicyCheck(
            self.outgoing.policies,
            self.person,
            self.sign_in_name,
            self.origin.client,
            self.drafts,
            self.outgoing.delivery.limits,
            self.run,
            self.is_approved,
            self.memberships,
        )

    async def memberships(self, named: NamedMemberships) -> Memberships:
        """Return what is known of the person's groups and roles; raises as `GroupLookup.find` does.

        Args:
            named: what the policies name.
        """
        if self.caller is None:
            return UNKNOWN
        told = await self.outgoing.groups.find(self.caller, named.groups_in(self.person.tenant_id))
        return Memberships(told, roles_in(self.caller.assertion) if named.roles else None)

    def slot(self) -> AbstractAsyncContextManager[object]:
        """Hold a mailbox slot for a request that sends nothing; see `MailboxSlots.slot`."""
        return self.outgoing.delivery.slots.slot(self.person)

    async def compose(self, request: MessageRequest) -> Message:
        """Return the message that `request` describes.

        Raises:
            InvalidArgument, RecipientNotAllowed, MessageTooLarge, BodyTooComplex: see `compose_message`.
            ServerBusy: the composer is busy with other messages; composing did not start.
        """
        return await self.run(partial(compose_message, request, self.rules, self.sign_in_name))

    async def compose_reply(self, request: ReplyRequest) -> Reply:
        """Return the reply or forward that `request` describes.

        Raises:
            InvalidArgument, RecipientNotAllowed, MessageTooLarge, BodyTooComplex: see `mail.compose_reply`.
            ServerBusy: the composer is busy with other messages; composing did not start.
        """
        return await self.run(partial(compose_reply, request, self.rules, self.sign_in_name))

    async def run(self, work: Callable[[], Result]) -> Result:
        """Run `work`, which takes processor time, off the event loop; see `Composer.run`."""
        return await self.outgoing.composer.run(self.person, work)

    async def send(
        self,
        message: Message,
        *,
        idempotency_key: str | None,
        allow_duplicate: bool,
        progress: Progress = no_progress,
    ) -> SendReceipt:
        """Send a message once, by the strategy that the operator has chosen; see `Delivery.send`."""
        request = SendRequest(
            self.person,
            message.fingerprint,
            composed_fingerprint=message.composed_fingerprint(),
            idempotency_key=idempotency_key,
            allow_duplicate=allow_duplicate,
            save_to_sent=message.save_to_sent,
            content=partial(content_of, message),
        )
        return await self.deliver(request, message.addresses, self._strategy(message), progress)

    async def held_entry(self, message_id: str) -> Entry:
        """Return what the ledger has about a message of the person that waits for approval, or did.

        Raises:
            ApprovalUnknown: there is none, or it waited too long ago.
            StorageUnavailable: it is not known now.
        """
        delivery = self.outgoing.delivery
        mail = await delivery.held.find(message_id)
        found = None if mail is None or mail.person != self.person else await delivery.ledger.settled(mail.names)
        if found is None or found.entry.message_id != message_id:
            raise ApprovalUnknown
        return found.entry

    async def deliver(
        self, request: SendRequest, addresses: tuple[str, ...], strategy: SendStrategy, progress: Progress
    ) -> SendReceipt:
        """Send the message of `request` once, by `strategy`; see `Delivery.send`."""
        return await self.outgoing.delivery.send(replace(request, origin=self.origin), addresses, strategy, progress)

    def _strategy(self, message: Message) -> SendStrategy:
        permit = partial(self.policy.message, message, "Send")
        # Graph always saves a copy of a sent draft. A caller who wants no copy gets a direct send.
        if self.outgoing.by_draft and message.save_to_sent:
            return DraftSend(self.drafts, message, permit)
        return DirectSend(self.mailbox, message, permit)


def mailbox_of(graph: GraphClient, tokens: GraphTokenProvider, caller: Caller) -> Mailbox:
    """Return the mailbox of `caller`; sends no request."""

    async def get() -> str:
        return (await tokens.token(caller)).value

    async def renew(rejected: tuple[str, ...], claims: str | None) -> tuple[str, float]:
        token = await tokens.token(caller, RejectedTokens(rejected, claims))
        return token.value, token.exchanged_at

    async def end_sign_in() -> None:
        await tokens.end_sign_in(caller, SignInNeeded())

    return Mailbox(graph, TokenSource(get=get, renew=renew, end_sign_in=end_sign_in))
