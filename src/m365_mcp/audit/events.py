"""The events that no other package has a type for: a refused call, an operator's command, and lost records."""

from __future__ import annotations

from dataclasses import dataclass

from m365_mcp.person import PersonId

MAX_RECIPIENTS = 1_000  # of one refused call; its recipients are read again for the record


@dataclass(frozen=True)
class RefusedCall:
    """A call of a tool that writes, refused before any policy was asked and before anything was to be sent.

    Attributes:
        tool: the name of the tool.
        code: the code of the error.
        person: who called.
        client: the client id of the MCP client.
        session: the id of its session.
        addresses: the addresses that are not allowed, if that is why.
        recipients: what the call had for recipients, as it was written; at most `MAX_RECIPIENTS` of them.
        recipient_count: how many there were.
        attachments: how many attachments the call had.
        is_dry_run: whether the call asked what would become of the message.
    """

    tool: str
    code: str
    person: PersonId
    client: str
    session: str
    addresses: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()
    recipient_count: int = 0
    attachments: int = 0
    is_dry_run: bool = False


@dataclass(frozen=True)
class OperatorCommand:
    """A command of an operator that changed something.

    Attributes:
        operation: the command.
        operator: the name of the operating system's user who ran it.
        changed: how many objects it changed.
        everybody: whether it was for all people.
        is_complete: whether it has done all that it was to do.
    """

    operation: str
    operator: str
    changed: int
    everybody: bool
    is_complete: bool = True


@dataclass(frozen=True)
class RecordsLost:
    """Records that could not be written before this one, because the output was away and no room was left."""

    count: int
