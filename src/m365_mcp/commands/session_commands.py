"""The command line of `sessions`: who is signed in, and what mail is scheduled."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Console

from m365_mcp.commands.running import run_quietly

sessions = App(name="sessions", help="See who is signed in and what mail is scheduled; end sessions, cancel mail.")


@sessions.command(name="list")
def list_sessions(person: str | None = None) -> None:
    """List the sessions in the store, one line per session.

    Example: `m365-mcp sessions list`

    Example: `m365-mcp sessions list ada@contoso.example`

    Args:
        person: list only this person's sessions; object id or sign-in name.
    """
    from m365_mcp import settings

    chosen = settings.load()
    from m365_mcp.commands.sessions import show

    run_quietly(chosen, show(chosen, Console(), person))


@sessions.command(name="end")
def end_sessions(
    person: str | None = None, *, everybody: Annotated[bool, Parameter(name="--all", negative=())] = False
) -> None:
    """End the sessions of one person, or all sessions, on every replica at once; these people must sign in again.

    Example: `m365-mcp sessions end ada@contoso.example`

    Example: `m365-mcp sessions end --all`

    Args:
        person: whose sessions to end; object id or sign-in name.
        everybody: end the sessions of all people.
    """
    from m365_mcp import settings

    chosen = settings.load()
    from m365_mcp.commands.sessions import end

    run_quietly(chosen, end(chosen, Console(), person, everybody=everybody))


@sessions.command(name="scheduled")
def list_scheduled(person: str | None = None) -> None:
    """List the scheduled mails that have not left yet: time, message id and domains of the recipients.

    Example: `m365-mcp sessions scheduled`

    Example: `m365-mcp sessions scheduled ada@contoso.example`

    Args:
        person: list only this person's mails; object id or sign-in name.
    """
    from m365_mcp import settings

    chosen = settings.load()
    from m365_mcp.commands.scheduled import show

    run_quietly(chosen, show(chosen, Console(), person))


@sessions.command(name="cancel")
def cancel_scheduled(person: str, *message_ids: str) -> None:
    """Cancel scheduled mails of one person, who keeps each as a draft; the person must have a session.

    What Microsoft does not cancel now, a running server tries again until the time of the mail.

    Example: `m365-mcp sessions cancel ada@contoso.example`

    Example: `m365-mcp sessions cancel ada@contoso.example 0f8fad5bd9cb469fa16570867728950e`

    Args:
        person: whose mails to cancel; object id or sign-in name.
        message_ids: cancel only these; `m365-mcp sessions scheduled` shows them.
    """
    from m365_mcp import settings

    chosen = settings.load()
    from m365_mcp.commands.scheduled import cancel

    run_quietly(chosen, cancel(chosen, Console(), person, message_ids))
