"""A host of metadata documents: a real https server on loopback that answers as a test chooses."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trustme

from tests.e2e.programs import free_port


@dataclass(frozen=True)
class Answer:
    """What the host answers with.

    Attributes:
        status: the status.
        body: the body.
        headers: further headers.
        pause: seconds before each byte of the body; None sends it at once.
        silent: whether no answer comes at all.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    pause: float | None = None
    silent: bool = False


def document(client_id: str, **changes: Any) -> Answer:
    """Return an answer with a metadata document."""
    content = {
        "client_id": client_id,
        "client_name": "Document client",
        "redirect_uris": ["http://localhost/callback", "http://localhost:*/callback", "https://evil.example/callback"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        **changes,
    }
    return Answer(body=json.dumps(content, ensure_ascii=False).encode(), headers={"Content-Type": "application/json"})


class DocumentHost:
    """The host. `answer` is for every path that has no answer of its own in `answers`."""

    def __init__(self, authority: trustme.CA, name: str = "localhost") -> None:
        self.name = name
        self.port = free_port()
        self.answer = Answer(404)
        self.answers: dict[str, Answer] = {}
        self.requests: list[str] = []
        self.most_at_once = 0
        self._at_once = 0
        self._trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(self._trust)
        self._server: asyncio.Server | None = None
        self._answering: set[asyncio.Task[Any]] = set()

    @property
    def netloc(self) -> str:
        return f"{self.name}:{self.port}"

    def url(self, path: str = "/client.json") -> str:
        return f"https://{self.netloc}{path}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._handle, "127.0.0.1", self.port, ssl=self._trust)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for task in self._answering:
                task.cancel()
            self._server = None

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.requests.append(head)
            path = head.split(" ")[1]
            await _send(writer, self.answers.get(path, self.answer))
        except (asyncio.CancelledError, ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has hung up, or the host stops
        finally:
            self._at_once -= 1
            writer.close()


async def _send(writer: asyncio.StreamWriter, answer: Answer) -> None:
    if answer.silent:
        await asyncio.Event().wait()
    headers = {"Content-Length": str(len(answer.body)), **answer.headers}
    lines = [f"HTTP/1.1 {answer.status} Any", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    writer.write("\r\n".join(lines).encode())
    if answer.pause is None:
        writer.write(answer.body)
        await writer.drain()
        return
    for byte in answer.body:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(answer.pause)


@asynccontextmanager
async def running_host(authority: trustme.CA, name: str = "localhost") -> AsyncIterator[DocumentHost]:
    host = DocumentHost(authority, name)
    await host.start()
    try:
        yield host
    finally:
        await host.stop()


def write_authorities(path: Path, authority: trustme.CA, *more_files: str) -> Path:
    """Write a PEM file with this authority and those of other files."""
    more = b"".join(Path(file).read_bytes() for file in more_files)
    path.write_bytes(authority.cert_pem.bytes() + more)
    return path
