"""What an operator does with sessions: see whose there are, and end them on all replicas at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from m365_mcp.app import build_container
from m365_mcp.auth.session import Session
from m365_mcp.auth.sessions import Sessions
from m365_mcp.errors import InvalidArgument
from m365_mcp.settings import Settings


async def show(settings: Settings, console: Console, person: str | None) -> None:
    """Print one line a session. Raises M365Error."""
    table = Table("Person", "Object id", "MCP client", "Signed in", "Last refresh", title="Sessions")
    count = 0
    async with _opened(settings) as sessions:
        with console.status("Reading the store…"):
            async for session in sessions.all():
                if _is_of(session, person):
                    table.add_row(*_row(session))
                    count += 1
    console.print(table)
    console.print(f"{count} session(s)")


async def end(settings: Settings, console: Console, person: str | None, *, everybody: bool) -> None:
    """End the sessions of one person, or all, and print how many. Raises M365Error."""
    if everybody == (person is not None):
        raise InvalidArgument("Name one person, or say --all.", advice="m365-mcp sessions end --help shows examples.")
    ended = 0
    async with _opened(settings) as sessions:
        with console.status("Ending sessions…"):
            # Collected first, because a store need not go on listing in order while records go.
            found = [session.id async for session in sessions.all() if _is_of(session, person)]
            for session_id in found:
                ended += await sessions.end(session_id, "by_operator")
    console.print(f"{ended} session(s) ended")


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Sessions]:
    container = build_container(settings)
    try:
        if container.storage.kind == "memory":
            raise InvalidArgument(
                "Sessions in memory can be reached by the server process only.",
                advice="Set REDIS_URL or MCP_DATA_DIR; a restart of the server ends all sessions in memory.",
            )
        yield container.sign_ins.sessions
    finally:
        await container.close()


def _is_of(session: Session, person: str | None) -> bool:
    names = (session.object_id, session.sign_in_name.casefold(), session.subject)
    return person is None or person.casefold() in names or person in names


def _row(session: Session) -> tuple[str, str, str, str, str]:
    names = _shown(session.sign_in_name), session.object_id, _shown(session.client_name or session.client_id)
    return *names, _moment(session.started_at), _moment(session.current.at)


def _shown(text: str) -> str:
    """Return a name that somebody else has chosen, without what would steer a terminal."""
    return escape("".join(character for character in text if character.isprintable())[:60])


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
