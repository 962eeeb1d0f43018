"""The events that no other package has a type for: a refused call, an operator's command, and lost records."""

from __future__ import annotations

from dataclasses import dataclass

from m365_mcp.person import PersonId


@dataclass(frozen=True)
class RefusedCall:
    """A call of a tool that was refused because of whom the message was for, before any policy was asked.

    Attributes:
        tool: the name of the tool.
        code: the code of the error.
        person: who called.
        client: the client id of the MCP client.
        session: the id of its session.
        addresses: the addresses that are not allowed.
    """

    tool: str
    code: str
    person: PersonId
    client: str
    session: str
    addresses: tuple[str, ...]


@dataclass(frozen=True)
class OperatorCommand:
    """A command of an operator that changed something.

    Attributes:
        operation: the command.
        operator: the name of the operating system's user who ran it.
        changed: how many objects it changed.
        everybody: whether it was for all people.
    """

    operation: str
    operator: str
    changed: int
    everybody: bool


@dataclass(frozen=True)
class RecordsLost:
    """Records that could not be written before this one, because the output was away and no room was left."""

    count: int
