"""The commands `sessions list` and `sessions end`: show sessions, and end them on all replicas at once."""

from __future__ import annotations

import getpass
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from m365_mcp.audit.events import OperatorCommand
from m365_mcp.auth.session import Session
from m365_mcp.container import Container, build_container
from m365_mcp.errors import InvalidArgument, StorageUnavailable
from m365_mcp.settings import Settings

_LEAVES = "it leaves at its time. m365-mcp sessions cancel needs a session of the person."


async def show(settings: Settings, console: Console, person: str | None) -> None:
    """Print one line per session. Raises M365Error."""
    table = _table()
    count = 0
    async with open_container(settings) as container:
        sessions = container.sign_ins.sessions
        with console.status("Reading the store…"):
            scheduled = await _scheduled(container)
            async for session in sessions.all():
                if belongs_to(session, person):
                    table.add_row(*_row(session), str(scheduled[session.id]))
                    count += 1
    console.print(table)
    console.print(_counted(count, "session"))


async def end(settings: Settings, console: Console, person: str | None, *, everybody: bool) -> None:
    """End the sessions of one person, or of all people, and print how many. Raises M365Error."""
    if everybody == (person is not None):
        raise InvalidArgument("Name one person, or use --all.", advice="m365-mcp sessions end --help shows examples.")
    ended, failed, is_complete = 0, 0, False
    async with open_container(settings) as container:
        sessions = container.sign_ins.sessions
        try:
            with console.status("Ending sessions…"):
                # Collect the ids first: a store may list records incompletely while they are deleted.
                found = [session.id async for session in sessions.all() if belongs_to(session, person)]
                ended, failed = await sessions.end_each(found, "by_operator")
            is_complete = failed == 0
        finally:
            container.audit.record(OperatorCommand("sessions end", operator_name(), ended, everybody, is_complete))
        scheduled = await _scheduled(container)
    if person is not None and not found:
        raise InvalidArgument("This person has no session.", advice="m365-mcp sessions list shows who has one.")
    console.print(f"{_counted(ended, 'session')} ended")
    left = sum(scheduled[session_id] for session_id in found)
    if left:
        stays = "stays" if left == 1 else "stay"
        mails = _counted(left, "scheduled mail")
        console.print(f"{mails} of these sessions {stays} with Exchange: {_LEAVES}", soft_wrap=True)
    if failed:
        raise StorageUnavailable(f"{_counted(failed, 'session')} could not be ended.", advice="Run the command again.")


def _table() -> Table:
    """Return a table without rows; in 80 columns, an object id stands whole in it, because people copy it."""
    table = Table(title="Sessions", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Person, object id", min_width=36, overflow="fold")
    table.add_column("MCP client", overflow="fold")
    for heading in ("Signed in", "Refreshed", "Mails"):
        table.add_column(heading)
    return table


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


async def _scheduled(container: Container) -> Counter[str]:
    """Return how many scheduled mails of each session have not left yet."""
    scheduled = container.services.outgoing.scheduled
    now = scheduled.clock()
    found: Counter[str] = Counter()
    async for _, mails in scheduled.all():
        found.update(mail.session_id for mail in mails if mail.due_at > now)
    return found


@asynccontextmanager
async def open_container(settings: Settings) -> AsyncIterator[Container]:
    """Yield the objects of a server, for a command on its store; raises InvalidArgument if only the server has it."""
    # Sessions can be ended wherever the store is reached, also where the file of policies is missing or has a mistake.
    container = build_container(settings.model_copy(update={"m365_policy_file": None}))
    try:
        if container.storage.kind == "memory":
            raise InvalidArgument(
                "Only the server process can reach sessions in memory.",
                advice="Set REDIS_URL or MCP_DATA_DIR; a restart of the server ends all sessions in memory.",
            )
        yield container
    finally:
        await container.close()


def operator_name() -> str:
    """Return the name of the operating system's user who runs this command."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as a number without a name
        return f"uid {os.getuid()}"


def belongs_to(session: Session, person: str | None) -> bool:
    """Return whether a session is one of a person, named by object id, subject or sign-in name; None: anybody."""
    names = (session.object_id, session.sign_in_name.casefold(), session.subject)
    return person is None or person.casefold() in names or person in names


def _row(session: Session) -> tuple[str, str, str, str]:
    person = f"{printable(session.sign_in_name)}\n{session.object_id}"
    return (
        person,
        printable(session.client_name or session.client_id),
        format_time(session.started_at),
        format_time(session.current.at),
    )


def printable(text: str) -> str:
    """Return a name from outside, without characters that control a terminal."""
    return escape("".join(character for character in text if character.isprintable())[:60])


def format_time(seconds: float) -> str:
    """Return epoch seconds as UTC, to the minute."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
