"""What the benchmark has to know of a server in order to measure it; `docs/performance.md` says how to add one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Revision = Literal["2025-11-25", "2026-07-28"]
SignIn = Literal["oauth", "graph", "none"]
CURRENT: Revision = "2026-07-28"
HANDSHAKE: Revision = "2025-11-25"


@dataclass(frozen=True)
class Place:
    """Where a server runs, and what is around it.

    Attributes:
        port: where it listens, on 127.0.0.1.
        public_url: its address for clients; replicas share one.
        folder: for its files.
        authority: address of the simulator of Entra ID, https.
        graph: address of the stand-in for Microsoft Graph, https, without `/v1.0`.
        ca_file: PEM file with the authority that signed the certificates of both.
        tenant_id, client_id, client_secret: of the app registration.
        redis_url: the store.
        graph_token: a token for Graph that somebody signed in for.
        workers: how many processes it is to serve with, if it can.
    """

    port: int
    public_url: str
    folder: Path
    authority: str
    graph: str
    ca_file: str
    tenant_id: str
    client_id: str
    client_secret: str
    redis_url: str
    graph_token: str = ""
    workers: int = 1


@dataclass(frozen=True)
class Command:
    """A command line and the variables it is started with, in addition to PATH and the like."""

    arguments: list[str]
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """One request of a row.

    Attributes:
        method: of the protocol, such as `tools/call`.
        params: of the request; where a message is sent, `{number}` in a text becomes another number in each call.
        expects: what stands in every good response; `{person}` becomes the address of the caller.
    """

    method: str
    params: Mapping[str, Any] = field(default_factory=dict)
    expects: str = ""


def call_tool(name: str, arguments: Mapping[str, Any] | None = None, *, expects: str) -> Call:
    """Return the call of a tool."""
    return Call("tools/call", {"name": name, "arguments": arguments or {}}, expects)


@dataclass(frozen=True)
class Contender:
    """A server that is measured.

    Attributes:
        name: for the command line.
        title: for the tables.
        command: returns how to start it.
        calls: what it can do, by the name of the row's call: `profile`, `list` and `send`.
        sign_in: how its callers get their tokens: by its own OAuth flow; as tokens for Graph, which it passes on; or
            not at all.
        revisions: the revisions of the protocol that it speaks.
        obstacle: returns why it cannot run here, in a sentence, or nothing.
        has_workers: returns whether it can serve with several processes.
        compared: whether it is measured at all factors, not only at the rows; it needs a sign-in and a store for that.
    """

    name: str
    title: str
    command: Callable[[Place], Command]
    calls: Mapping[str, Call]
    sign_in: SignIn = "none"
    revisions: tuple[Revision, ...] = (CURRENT, HANDSHAKE)
    obstacle: Callable[[], str] = str
    has_workers: Callable[[], bool] = bool
    compared: bool = False

    @property
    def revision(self) -> Revision:
        """The newest revision that it speaks."""
        return self.revisions[0]
