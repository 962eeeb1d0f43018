"""What a person sees of their held mail, and what happens when they send or discard it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

from m365_mcp.auth.graph_token_provider import GraphTokenProvider
from m365_mcp.errors import ApprovalOver, ApprovalUnknown, ApprovalVoid, M365Error, SignInNeeded
from m365_mcp.graph.attachments import list_attachments
from m365_mcp.graph.client import GraphClient
from m365_mcp.mail import Message, Recipient
from m365_mcp.person import PersonId
from m365_mcp.sending.draft_inspection import draft_digest, own_keys
from m365_mcp.sending.held_mail import HeldMail
from m365_mcp.sending.ledger_entry import Entry
from m365_mcp.sending.message_json import message_digest
from m365_mcp.sending.origin import Origin
from m365_mcp.sending.outbox import Outbox, Outgoing, mailbox_of
from m365_mcp.sending.scheduling import deferred_send
from m365_mcp.sending.send_events import tell_of_refusal
from m365_mcp.sending.send_strategy import SendStrategy
from m365_mcp.sending.shown_pictures import pictures_of, read_pictures, with_pictures
from m365_mcp.sending.strategies import DirectSend, DraftSend, ExistingDraftSend

PATH = "/approvals"


@dataclass(frozen=True)
class ShownMail:
    """A held mail as its sender sees it.

    Attributes:
        mail: the record.
        sender: the mailbox that sends it.
        people: the recipients by field, as for `reply_to`.
        outside: the recipients that are outside the company, as `Recipient.key`.
        first_time: the recipients to whom the person has never sent, where a policy makes this known.
        files: name and bytes of each attachment.
        content_type: HTML or Text.
        body: the text; images in it are data: addresses.
        send_at: when Exchange sends it, ISO 8601; None: at once.
        importance: low, normal or high.
        wants_read_receipt: see `Item`, as for `wants_delivery_receipt`.
        digest: of everything that the approval binds.
    """

    mail: HeldMail
    sender: Recipient
    subject: str
    people: Mapping[str, tuple[Recipient, ...]]
    outside: frozenset[str]
    files: tuple[tuple[str, int], ...]
    content_type: str
    body: str = field(repr=False)
    send_at: str | None = None
    importance: str = "normal"
    wants_read_receipt: bool = False
    wants_delivery_receipt: bool = False
    digest: str = ""
    first_time: frozenset[str] = frozenset()

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses of all that get it."""
        return tuple(person.address for field in ("to", "cc", "bcc") for person in self.people[field])


@dataclass(frozen=True)
class Approvals:
    """Shows, sends and discards the held mail of signed-in people.

    Attributes:
        outgoing: what all outboxes share.
        tokens: provides Graph tokens for the sessions that the mail comes from.
        graph: the client of Microsoft Graph.
    """

    outgoing: Outgoing
    tokens: GraphTokenProvider
    graph: GraphClient

    async def find(self, mail_id: str) -> HeldMail | None:
        """Return a held mail, whoever's it is; None if there is none. Raises StorageUnavailable."""
        return await self.outgoing.delivery.held.find(mail_id)

    async def of(self, person: PersonId) -> tuple[HeldMail, ...]:
        """Return what waits for a person. Raises StorageUnavailable."""
        return await self.outgoing.delivery.held.of(person)

    async def outcome(self, mail: HeldMail) -> Entry:
        """Return what the ledger has about a mail. Raises ApprovalUnknown if it has nothing, StorageUnavailable."""
        found = await self.outgoing.delivery.ledger.find(mail.names)
        if found is None or found.entry.message_id != mail.id:
            raise ApprovalUnknown
        return found.entry

    async def show(self, mail: HeldMail, *, with_body: bool = False) -> ShownMail:
        """Return what the person reads before they decide.

        Args:
            mail: the mail.
            with_body: whether to read a composed message's text, too, and the pictures inside the text.

        Raises:
            ApprovalOver: it does not wait any more, or the connection that it comes from has ended.
            M365Error: Graph does not tell now what is in the draft.
        """
        entry = await self.outcome(mail)
        if entry.state != "held" or entry.is_over(self.outgoing.delivery.ledger.clock()):
            raise ApprovalOver
        outbox = await self._outbox(mail)
        if mail.draft_id is not None:
            return await _with_first_times(await _shown_draft(mail, outbox, reads_pictures=with_body), outbox)
        message = await self._content(mail)
        shown = await _with_first_times(await _shown_message(mail, message, outbox), outbox)
        if not with_body:
            return shown
        return replace(shown, body=await _pictured(outbox, shown.content_type, message.body, pictures_of(message)))

    async def _content(self, mail: HeldMail) -> Message:
        message = await self.outgoing.delivery.held.content(mail)
        if message is None:
            raise ApprovalOver
        return message

    async def approve(self, mail: HeldMail, digest: str) -> HeldMail:
        """Send a mail that the person has read and approved, once; return it with the recipients that got it.

        Args:
            digest: what the page had shown.

        Raises:
            ApprovalOver: see `show`.
            ApprovalVoid: it is not what the page had shown: the draft has changed since.
            PolicyDenied, PolicyFailed: the policies of now do not permit it.
            OutcomeUnknown, M365Error: see `Delivery.send`.
        """
        delivery = self.outgoing.delivery
        try:
            mail, strategy = await self._approved(mail, digest)
        except ApprovalOver:
            raise  # somebody has decided it, which has a record of its own
        except M365Error as error:
            tell_of_refusal(delivery.observer, mail, error, delivery.approval.proof)
            raise
        await delivery.send_held(mail, strategy)
        return mail

    async def _approved(self, mail: HeldMail, digest: str) -> tuple[HeldMail, SendStrategy]:
        """Return the mail with the recipients of now, and what sends it, if it still is what the page had shown.

        Raises as `approve` does.
        """
        outbox = await self._outbox(mail)
        message = await self._content(mail) if mail.draft_id is None else None
        if message is None:
            shown = await _shown_draft(mail, outbox)
            now = shown.digest
            mail = mail.model_copy(update={"addresses": shown.addresses})
        else:
            now = await outbox.run(partial(message_digest, message))
        if digest != now:
            raise ApprovalVoid
        return mail, _strategy(mail, message, outbox, digest)

    async def decline(self, mail: HeldMail) -> None:
        """Discard a mail; a draft that a reply or forward had made goes to Deleted Items. Raises ApprovalOver."""
        await self.outgoing.delivery.decline(mail)
        if mail.way in ("reply", "forward") and mail.draft_id is not None:
            with suppress(M365Error):  # a draft that stays in the folder reaches no recipient
                await (await self._outbox(mail)).drafts.delete(mail.draft_id)

    async def _outbox(self, mail: HeldMail) -> Outbox:
        """Return the outgoing mail of the session that the mail comes from."""
        try:
            caller = await self.tokens.caller(mail.session_id)
        except SignInNeeded as error:
            raise ApprovalOver("The connection that this mail comes from has ended, so it was discarded.") from error
        origin = Origin(mail.session_id, mail.client, mail.sign_in_name)
        mailbox = mailbox_of(self.graph, self.tokens, caller)
        return Outbox(self.outgoing, mail.person, mailbox, caller, origin, is_approved=True)


def _strategy(mail: HeldMail, message: Message | None, outbox: Outbox, digest: str) -> SendStrategy:
    if message is None:
        inspection = replace(outbox.inspection, way=mail.way, approved=digest)
        return ExistingDraftSend(outbox.drafts, str(mail.draft_id), mail.id, inspection, way=mail.way)
    if mail.way == "deferred":
        return deferred_send(outbox, message)
    permit = partial(outbox.policy.message, message, "Send")
    if mail.way == "direct":
        return DirectSend(outbox.mailbox, message, permit)
    return DraftSend(outbox.drafts, message, permit)


async def _shown_message(mail: HeldMail, message: Message, outbox: Outbox) -> ShownMail:
    people = {"to": message.to, "cc": message.cc, "bcc": message.bcc, "reply_to": message.reply_to}
    return ShownMail(
        mail,
        message.from_ or Recipient(mail.sign_in_name),
        message.subject,
        people,
        await _outside(people, outbox),
        tuple((file.name, file.size) for file in message.attachments),
        message.content_type,
        "",
        message.send_at.isoformat() if message.send_at else None,
        message.importance,
        message.request_read_receipt,
        digest=await outbox.run(partial(message_digest, message)),
    )


async def _pictured(outbox: Outbox, content_type: str, body: str, pictures: Mapping[str, bytes]) -> str:
    """Return the text as the page shows it; see `with_pictures`, which takes processor time."""
    return await outbox.run(partial(with_pictures, body, pictures)) if content_type == "HTML" and pictures else body


async def _shown_draft(mail: HeldMail, outbox: Outbox, *, reads_pictures: bool = False) -> ShownMail:
    item = await outbox.drafts.find(str(mail.draft_id))
    if not item.is_draft:
        raise ApprovalOver
    attached = await list_attachments(outbox.mailbox, item.id)
    body = await outbox.drafts.body(item.id)
    people = {"to": item.to, "cc": item.cc, "bcc": item.bcc, "reply_to": item.reply_to}
    content_type = "Text" if body[0].lower() == "text" else "HTML"
    pictures = await read_pictures(outbox.mailbox, item.id, attached, body[1]) if reads_pictures else {}
    return ShownMail(
        mail,
        item.from_ or Recipient(mail.sign_in_name),
        item.subject,
        people,
        await _outside(people, outbox),
        tuple((one.name, one.size) for one in attached),
        content_type,
        await _pictured(outbox, content_type, body[1], pictures),
        item.send_at,
        item.importance,
        item.wants_read_receipt,
        item.wants_delivery_receipt,
        draft_digest(item, attached, body),
    )


async def _with_first_times(shown: ShownMail, outbox: Outbox) -> ShownMail:
    keys = frozenset(one.key for group in shown.people.values() for one in group)
    return replace(shown, first_time=await outbox.policy.first_time(keys))


async def _outside(people: Mapping[str, tuple[Recipient, ...]], outbox: Outbox) -> frozenset[str]:
    """Return the addresses that the policies count as external."""
    addressed = [one for group in people.values() for one in group]
    internal = outbox.outgoing.policies.internal
    own = await own_keys(outbox.drafts) if internal.written is None else frozenset()
    external = internal.external({domain for one in addressed for domain in one.domains}, own)
    return frozenset(one.key for one in addressed if one.domains & external)
