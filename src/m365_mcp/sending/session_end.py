"""Discards the mail that waits for approval when the session that wrote it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from m365_mcp import logs
from m365_mcp.auth.sessions import SessionEnd
from m365_mcp.errors import StorageUnavailable
from m365_mcp.person import PersonId
from m365_mcp.sending.delivery import Delivery
from m365_mcp.sending.held_mail import COLLECTION, CONTENTS, HeldMail, HeldMails
from m365_mcp.sending.send_events import event_of
from m365_mcp.storage.records import Write

_log = logs.get(__name__)


async def discard_held_mail(delivery: Delivery, ended: SessionEnd) -> None:
    """Erase the mail that a session has written and that waits; a repeat of such a call asks the person anew.

    It raises nothing. While the store is away, the mail stays until its time is over; nobody can send it, because its
    session has ended.
    """
    if ended.session is None:
        return
    person, held = ended.session.person, delivery.held
    try:
        mails = [mail for mail in await held.of(person) if mail.session_id == ended.session_id]
        if mails:
            await erase(held, person, mails)
            await asyncio.gather(*(_expire(delivery, mail) for mail in mails))
    except StorageUnavailable:
        _log.warning("held_mail_not_erased", object_id=person.object_id)


async def erase(held: HeldMails, person: PersonId, mails: Sequence[HeldMail]) -> None:
    """Remove the contents of held messages of one person in one round trip; what is left tells their outcome.

    Raises:
        StorageUnavailable: some may still be there, until their time is over.
    """
    ids, now = [mail.id for mail in mails], held.clock()
    left = [Write(COLLECTION, one.id, one.decided().model_dump(), max(1.0, one.expires_at - now)) for one in mails]
    await held.records.overwrite(*(Write(CONTENTS, mail_id, None) for mail_id in ids), *left)
    await held.unlist(person, ids)


async def _expire(delivery: Delivery, mail: HeldMail) -> None:
    seconds = min(mail.window_seconds, delivery.ledger.windows.message)
    if await delivery.ledger.expire(mail.names, mail.id, seconds):
        delivery.metrics.sends.labels("expired").inc()
        delivery.observer.end(event_of(mail, None, "expired"))
