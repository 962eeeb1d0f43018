"""The office every outgoing message goes through: the operator's rules, the way to Graph, and the ledger.

May know `mail`, `graph.*` and `sending.*`.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from m365_mcp.graph.drafts import Drafts
from m365_mcp.graph.mailbox import Mailbox
from m365_mcp.mail import MailRules, Message, MessageWish, build_message
from m365_mcp.sending.delivery import Delivery, Dispatch, Progress, Receipt, in_silence
from m365_mcp.sending.ledger import Wish
from m365_mcp.sending.strategies import AtOnce, ByDraft


@dataclass(frozen=True)
class Office:
    """What is the same for everybody's messages.

    Attributes:
        rules: what may be sent.
        delivery: sends each message once.
        by_draft: whether messages go by way of a draft, so that what is unclear can be looked up.
        shows_previews: whether lists of messages show their first words.
    """

    rules: MailRules
    delivery: Delivery
    by_draft: bool
    shows_previews: bool = False

    def desk(self, person: tuple[str, str], mailbox: Mailbox) -> Desk:
        """Return one person's place in the office."""
        return Desk(self, person, mailbox)


@dataclass(frozen=True)
class Desk:
    """One person's outgoing mail.

    Attributes:
        office: the rules and the ledger.
        person: tenant and object id.
        mailbox: where it leaves from.
    """

    office: Office
    person: tuple[str, str]
    mailbox: Mailbox

    async def write(self, wish: MessageWish) -> Message:
        """Return the message a caller wishes for. Raises InvalidArgument, RecipientNotAllowed, MessageTooLarge."""
        # Cleaning a large body takes a moment of the processor, in which others should not have to wait.
        return await asyncio.to_thread(build_message, wish, self.office.rules)

    async def send(
        self, message: Message, *, key: str | None, second_copy: bool, progress: Progress = in_silence
    ) -> Receipt:
        """Send a message once; see `Delivery.send`."""
        wish = Wish(self.person, message.fingerprint(), key, second_copy)
        return await self.office.delivery.send(wish, message.addresses, self._way(message), progress)

    @property
    def drafts(self) -> Drafts:
        """The person's drafts."""
        return Drafts(self.mailbox)

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Hold a place at the mailbox for a request that sends nothing; see `MailboxPlaces.one`."""
        return self.office.delivery.places.one(self.person)

    def _way(self, message: Message) -> Dispatch:
        # Sending a draft always keeps a copy in Sent Items; whoever wants none is taken at their word.
        if self.office.by_draft and message.save_to_sent_items:
            return ByDraft(self.drafts, message)
        return AtOnce(self.mailbox, message)
