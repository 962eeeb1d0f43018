"""The commands `sessions scheduled` and `sessions cancel`: show the mail that Exchange sends later, and cancel it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.console import Console
from rich.table import Table

from m365_mcp.audit.events import OperatorCommand
from m365_mcp.commands.sessions import format_time, open_container, operator_name, printable
from m365_mcp.container import Container
from m365_mcp.errors import InvalidArgument
from m365_mcp.mail import Recipient
from m365_mcp.person import PersonId
from m365_mcp.sending.cancelling import Result
from m365_mcp.sending.scheduled_mail import ScheduledMail
from m365_mcp.settings import Settings

MAX_DOMAINS = 5  # in one line of the list
_TOLD: Mapping[Result, str] = {
    "cancelled": "cancelled, and kept as a draft",
    "gone": "the person had cancelled it before",
    "sent": "it has left already",
    "later": "not yet: a running server tries again until its time",
    "no_session": "not possible: the person has no session; it leaves unless they sign in before its time",
}


async def show(settings: Settings, console: Console, person: str | None) -> None:
    """Print one line per scheduled mail, without subject and text. Raises M365Error."""
    table = Table("Person", "Object id", "Leaves (UTC)", "Message id", "Recipients", "State", title="Scheduled mail")
    async with open_container(settings) as container:
        found = await _scheduled(container, person)
    for owner, mails in found:
        for mail in mails:
            table.add_row(*_row(owner, mail))
    console.print(table)
    console.print(f"{table.row_count} scheduled mail(s)")


async def cancel(settings: Settings, console: Console, person: str, ids: tuple[str, ...]) -> None:
    """Cancel scheduled mail of one person, and print what became of it. Raises M365Error."""
    async with open_container(settings) as container:
        found = await _scheduled(container, person)
        unknown = set(ids) - {mail.id for _, mails in found for mail in mails}
        if unknown:
            raise InvalidArgument(
                f"This person has no scheduled mail with {len(unknown)} of these message ids.",
                advice="m365-mcp sessions scheduled lists the message ids.",
            )
        results: dict[str, Result] = {}
        for owner, _ in found:
            results |= await container.scheduled_review.cancel(owner, set(ids) or None)
        done = sum(result == "cancelled" for result in results.values())
        container.audit.record(OperatorCommand("sessions cancel", operator_name(), done, everybody=False))
    for mail_id, result in results.items():
        console.print(f"{mail_id}: {_TOLD.get(result, result)}", highlight=False, soft_wrap=True)
    console.print(f"{done} scheduled mail(s) cancelled")


async def _scheduled(container: Container, person: str | None) -> list[tuple[PersonId, list[ScheduledMail]]]:
    """Return the mail of these people that has not left yet."""
    scheduled = container.services.outgoing.scheduled
    return [
        (owner, waiting)
        async for owner, mails in scheduled.all()
        if (waiting := [mail for mail in mails if _is_of(owner, mail, person) and mail.due_at > scheduled.clock()])
    ]


def _is_of(owner: PersonId, mail: ScheduledMail, person: str | None) -> bool:
    return person is None or person.casefold() in (owner.object_id, mail.sign_in_name.casefold())


def _row(owner: PersonId, mail: ScheduledMail) -> tuple[str, str, str, str, str, str]:
    state = "leaves" if mail.cancelled_by is None else f"to be cancelled ({mail.rule or mail.cancelled_by})"
    waits = f", {mail.problem}" if mail.problem else ""
    names = printable(mail.sign_in_name), owner.object_id, format_time(mail.due_at), mail.id
    return *names, printable(_domains(mail.addresses)), printable(f"{state}{waits}")


def _domains(addresses: Iterable[str]) -> str:
    domains = sorted({Recipient(address).domain for address in addresses})
    more = f" and {len(domains) - MAX_DOMAINS} more" if len(domains) > MAX_DOMAINS else ""
    return ", ".join(domains[:MAX_DOMAINS]) + more
