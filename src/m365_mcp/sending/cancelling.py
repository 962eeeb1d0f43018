"""Decides scheduled mail anew, and cancels what may not leave; what is cancelled is kept as a draft.

Graph has no request to cancel a deferred message. Deleting it before its time stops it, wherever it waits (Outbox or
Drafts), and leaves it in Deleted Items with its time of sending. So a new draft with its content is made, without that
time: it leaves when somebody sends it, by the rules of then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal

from m365_mcp import logs
from m365_mcp.auth.graph_token_provider import GraphTokenProvider
from m365_mcp.entra.on_behalf_of import Caller
from m365_mcp.errors import (
    AlreadySent,
    InvalidArgument,
    M365Error,
    MessageMissing,
    MessageTooLarge,
    PolicyDenied,
    PolicyFailed,
    SignInNeeded,
    StorageUnavailable,
)
from m365_mcp.graph.attachments import list_attachments
from m365_mcp.graph.client import GraphClient
from m365_mcp.person import PersonId
from m365_mcp.sending.held_mail import ApprovalNeeded
from m365_mcp.sending.outbox import Outbox, Outgoing, mailbox_of
from m365_mcp.sending.scheduled_mail import ScheduledMail, ScheduledMails
from m365_mcp.sending.scheduling import Schedule
from m365_mcp.sending.send_events import Outcome, cancellation

# What became of a message: `gone` by the person, `sent` by Exchange; `later` and `no_session`: there is work left.
Result = Literal["permitted", "cancelled", "gone", "sent", "later", "no_session"]
SessionsOf = Callable[[PersonId], Awaitable[Sequence[str]]]
_log = logs.get(__name__)


@dataclass(frozen=True)
class Cancelling:
    """Decides and cancels the scheduled mail of people who are not here, with their sessions.

    Attributes:
        outgoing: what all outboxes share.
        tokens: provides Graph tokens for the sessions.
        graph: the client of Microsoft Graph.
    """

    outgoing: Outgoing
    tokens: GraphTokenProvider
    graph: GraphClient

    @property
    def scheduled(self) -> ScheduledMails:
        """The records of scheduled mail."""
        return self.outgoing.scheduled

    async def handle(self, person: PersonId, mail: ScheduledMail, sessions: SessionsOf) -> Result:
        """Decide a message under the policies of now, if that was not done, and cancel it if it may not leave.

        Args:
            person: the sender.
            mail: the message; its time has not come.
            sessions: returns the ids of a person's sessions, of which one that lives is used.

        Raises:
            StorageUnavailable: a later call goes on.
        """
        try:
            outbox = await self._outbox(person, mail, sessions)
            edition = self.outgoing.policies.edition
            if mail.cancelled_by is None and edition not in mail.decided:
                mail = mail.after_decision(edition, await self._rule_against(outbox, mail))
                await self.scheduled.replace(person, mail)
            if mail.cancelled_by is None:
                return "permitted"
            await self._cancel(outbox, mail)
        except AlreadySent as error:
            await self.give_up(person, mail.model_copy(update={"problem": mail.cancelled_by and error.code}))
            return "sent"
        except StorageUnavailable:
            raise
        except M365Error as error:
            if _is_gone(error):
                await self.scheduled.remove(person, mail.id)
                return "gone"
            if error.code != mail.problem:
                _log.warning("scheduled_mail_waits", message_id=mail.id, code=error.code, rule=mail.rule)
                await self.scheduled.replace(person, mail.model_copy(update={"problem": error.code}))
            return "no_session" if isinstance(error, SignInNeeded) else "later"
        return "cancelled"

    async def give_up(self, person: PersonId, mail: ScheduledMail) -> None:
        """Forget a message whose time has come; tell if it had to be stopped or decided and was not."""
        await self.scheduled.remove(person, mail.id)
        if mail.is_stopped:
            self._tell(person, mail, "cancelled")  # the draft is still in Deleted Items only
        elif mail.cancelled_by is not None or mail.problem is not None:
            self._tell(person, mail, "not_cancelled")

    async def _outbox(self, person: PersonId, mail: ScheduledMail, sessions: SessionsOf) -> Outbox:
        """Return the outgoing mail of the session that scheduled the message; else of another one of the person.

        Raises:
            SignInNeeded: the person has no session.
            M365Error: no session can be used now.
        """
        try:
            caller = await self.tokens.caller(mail.session_id)
        except SignInNeeded as ended:
            caller = await self._caller_of_another(await sessions(person), ended)
        mailbox = mailbox_of(self.graph, self.tokens, caller)
        return Outbox(self.outgoing, person, mailbox, caller, mail.origin, is_approved=mail.is_approved)

    async def _caller_of_another(self, sessions: Sequence[str], ended: SignInNeeded) -> Caller:
        for session_id in sessions:
            with suppress(SignInNeeded):
                return await self.tokens.caller(session_id)
        raise ended

    async def _rule_against(self, outbox: Outbox, mail: ScheduledMail) -> str | None:
        """Return the id of the policy that forbids the message, or has it wait for an approval that nobody gave.

        It is decided as when it was handed over: at that hour, and without the counts, in which it is by now.

        Raises:
            AlreadySent: Exchange has sent it.
            M365Error: it cannot be decided now.
        """
        item = await outbox.drafts.find(mail.draft_id)
        if not item.is_draft:
            raise AlreadySent
        attached = await list_attachments(outbox.mailbox, item.id)
        decision_point = self.outgoing.policies.at(mail.handed_over_at)
        check = replace(outbox.policy, decision_point=decision_point, is_counted=True)
        try:
            await check.draft(item, attached, "Send", "Schedule")
        except ApprovalNeeded as needed:
            return needed.rule
        except (PolicyDenied, PolicyFailed) as denied:
            return denied.rule
        return None

    async def _cancel(self, outbox: Outbox, mail: ScheduledMail) -> None:
        """Stop a message, keep it as a draft, and forget it. Raises AlreadySent, MessageMissing, M365Error."""
        content = await outbox.drafts.content(mail.draft_id)
        if not mail.is_stopped:
            # First, so that a later round does not take our own deletion for the person's.
            was_begun, mail = mail.is_begun, mail.model_copy(update={"is_begun": True})
            await self.scheduled.replace(outbox.person, mail)
            try:
                await Schedule(outbox).call_back(mail.draft_id)
            except MessageMissing:
                if not was_begun:
                    raise
            mail = mail.model_copy(update={"is_stopped": True, "problem": None})
            await self.scheduled.replace(outbox.person, mail)
        await _keep(outbox, mail, content)
        await self.scheduled.remove(outbox.person, mail.id)
        self._tell(outbox.person, mail, "cancelled")

    def _tell(self, person: PersonId, mail: ScheduledMail, outcome: Outcome) -> None:
        log = _log.info if outcome == "cancelled" else _log.error
        told = {"message_id": mail.id, "by": mail.cancelled_by, "rule": mail.rule, "code": mail.problem}
        log(f"scheduled_mail_{outcome}", object_id=person.object_id, **told)
        event = cancellation(person, mail.origin, mail.id, mail.addresses, outcome)
        self.outgoing.delivery.metrics.sends.labels(outcome).inc()
        self.outgoing.delivery.observer.end(replace(event, code=mail.problem, policy=mail.rule))


def _is_gone(error: M365Error) -> bool:
    """Return whether the person has cancelled the message, or deleted it for good; one that is too large is there."""
    return isinstance(error, InvalidArgument) and not isinstance(error, MessageTooLarge)


async def _keep(outbox: Outbox, mail: ScheduledMail, content: dict[str, Any]) -> None:
    """Make a draft with this content, unless an earlier try has made it. Raises M365Error."""
    copy_id = hashlib.sha256(f"draft of {mail.id}".encode()).hexdigest()[:32]
    async with outbox.slot():
        if not await outbox.drafts.is_in("drafts", copy_id):
            await outbox.drafts.create(content, copy_id)
