"""Where a send comes from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Origin:
    """Where a send comes from.

    Attributes:
        session_id: the session of the call; the message is sent with its sign-in.
        client: the client id of the MCP client.
        sign_in_name: the person's sign-in name.
    """

    session_id: str = ""
    client: str = ""
    sign_in_name: str = ""


NOWHERE = Origin()
"""Of a call that nobody is signed in for, and of tests."""
