"""Makes the bytes of the requests that callers send, once before the measurement and not in it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import count, cycle
from typing import Any
from urllib.parse import urlsplit

from benchmarks.contender import CURRENT, Call, Revision
from benchmarks.load import NextRequest, Request
from benchmarks.sign_ins import Tokens

META = {
    "io.modelcontextprotocol/protocolVersion": CURRENT,
    "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
NUMBER = "{number}"
DIGITS = 12  # so that every message of a row is equally long
_NUMBERS = count(1)  # of messages in this run, none of which may be a repeat of another
NOBODY = Tokens("", "")


def requests_of(
    call: Call, people: Sequence[Tokens], revision: Revision, url: str, *, own: bool = False
) -> NextRequest:
    """Return what callers send next: for the next person, or each for a person of its `own`."""
    made = [_parts(call, person, revision, url) for person in people or [NOBODY]]
    turns: Iterator[tuple[bytes, bytes, bytes]] = cycle(made)

    def next_request(caller: int) -> Request:
        before, after, expects = made[caller % len(made)] if own else next(turns)
        number = b"%0*d" % (DIGITS, next(_NUMBERS)) if after else b""
        return Request(before + number + after, expects)

    return next_request


def _parts(call: Call, person: Tokens, revision: Revision, url: str) -> tuple[bytes, bytes, bytes]:
    """Return the request before the number and after it, and what the response must hold."""
    body = json.dumps(_message(call, revision), separators=(",", ":"))
    before, separator, after = body.partition(NUMBER)
    length = len(before.encode()) + len(after.encode()) + (DIGITS if separator else 0)
    head = _head(call, person, revision, url, length)
    return head + before.encode(), after.encode(), call.expects.replace("{person}", person.person).encode()


def _message(call: Call, revision: Revision) -> dict[str, Any]:
    params = dict(call.params)
    if revision == CURRENT:
        params["_meta"] = META
    return {"jsonrpc": "2.0", "id": 1, "method": call.method, "params": params}


def _head(call: Call, person: Tokens, revision: Revision, url: str, length: int) -> bytes:
    headers = {
        "Host": urlsplit(url).netloc,
        "Accept": "application/json, text/event-stream",
        "Content-Type": "application/json",
        "Content-Length": str(length),
        "MCP-Protocol-Version": revision,
    }
    if revision == CURRENT:
        headers["Mcp-Method"] = call.method
        if "name" in call.params:
            headers["Mcp-Name"] = call.params["name"]
    if person.access:
        headers["Authorization"] = f"Bearer {person.access}"
    if person.session:
        headers["Mcp-Session-Id"] = person.session
    lines = [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([f"POST {urlsplit(url).path} HTTP/1.1", *lines, "", ""]).encode()
