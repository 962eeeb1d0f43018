"""Makes requests that are nearly right: a good one, with a few changes. The same seed gives the same case."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import quote_from_bytes

Fields = list[tuple[bytes, bytes]]
JSON, FORM = b"application/json", b"application/x-www-form-urlencoded"
VERSIONS = (
    "2024-11-05",
    "2025-03-26",
    "2025-06-18",
    "2025-11-25",
    "2026-07-28",
    "1999-01-01",
    "",
    "\xff",
    "2026-07-28, x",
)
METHODS = ("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "get", "M-SEARCH")
BYTES = (
    *(b"", b"\0", b"%", b"%00", b"%ff", b"%u0041", b"+", b"&", b"=", b";", b"\r\nX: y", b"\xff\xfe", b"\xed\xa0\x80"),
    *("é".encode(), "\u202e".encode(), "\U0001f600".encode(), b"a" * 5_000, b"[]", b"null", b"-1", b"9" * 400),
    *(b"1e999", b"http://localhost:1/cb", b"javascript:alert(1)", b"https://127.0.0.1/x", b"../..", b"' or 1=1--"),
    *(b"https://127.0.0.1/x", b"//[", b"http://[::1", b"\\\\", b"<script>", b"none", b"S256", b"plain"),
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1.5, 10**30, "", "\0", "\u202e", "é", "a" * 5_000, [], {}, [[]], {"": {}}, ["a"] * 200),
    *({"a": {"a": {"a": {}}}}, "2026-07-28", "tools/call", "notifications/cancelled", [None], {"$ref": "#"}, "\x7f"),
)
SPOILT = (
    b"[" * 900,
    b'{"a":' * 300,
    b"NaN",
    b"1e999",
    b"{",
    b"",
    b"\0",
    b"\xff\xfe\0",
    b'"\\ud800"',
    b"[1,2]",
    b"{}{}",
)


@dataclass
class Case:
    """One request.

    Attributes:
        query: fields of the address.
        fields: fields of a form.
        document: a JSON body, if it has one.
        body: what replaces the encoded body.
    """

    method: str
    path: str
    query: Fields = field(default_factory=list)
    fields: Fields = field(default_factory=list)
    document: Any = None
    headers: Fields = field(default_factory=list)
    body: bytes | None = None

    def target(self) -> str:
        """Return path and query; every byte that an address cannot have is escaped, as every client does."""
        query = "&".join(f"{quote_from_bytes(name)}={quote_from_bytes(value)}" for name, value in self.query)
        return f"{self.path}?{query}" if query else self.path

    def content(self) -> bytes:
        if self.body is not None:
            return self.body
        if self.document is not None:
            return json.dumps(self.document).encode()
        return b"&".join(name + b"=" + value for name, value in self.fields)


def change_fields(chance: Random, fields: Fields) -> Fields:
    """Drop a field, repeat it, or give it another name or value."""
    changed = [*fields]
    place = chance.randrange(len(changed) + 1)
    if place == len(changed):
        return [*changed, (chance.choice(BYTES), chance.choice(BYTES))]
    name, value = changed[place]
    cut = chance.randrange(len(value) + 1)
    odd = chance.choice(BYTES)
    replacements: tuple[Fields, ...] = (
        [],
        [(name, value), (name, odd)],
        [(name, odd)],
        [(odd, value)],
        [(name, value[:cut] + odd + value[cut:])],
        [(name, value[:cut])],
    )
    changed[place : place + 1] = chance.choice(replacements)
    return changed


def change_document(chance: Random, document: Any) -> Any:
    """Change one value somewhere in a JSON document, or drop or add a member."""
    changed = deepcopy(document)
    inner = changed
    while isinstance(inner, dict) and inner:
        name = chance.choice([*inner])
        if chance.random() < 0.5 and isinstance(inner[name], dict):
            inner = inner[name]
            continue
        how = chance.randrange(3)
        if how == 0:
            del inner[name]
        inner[name if how == 1 else f"{name}x" if how == 2 else "more"] = deepcopy(chance.choice(VALUES))
        return changed
    return deepcopy(chance.choice(VALUES))


def change_body(chance: Random, content: bytes) -> bytes:
    """Cut a body, put bytes into it, or replace it."""
    cut = chance.randrange(len(content) + 1)
    return chance.choice((content[:cut], content[:cut] + chance.choice(BYTES) + content[cut:], chance.choice(SPOILT)))


def change_headers(chance: Random, headers: Fields) -> Fields:
    """Drop, repeat or replace a header, as far as HTTP allows its bytes."""
    changed = change_fields(chance, headers)
    lines = ((name, b" ".join(value.split()).replace(b"\0", b"")[:3_000]) for name, value in changed)
    return [(name, value) for name, value in lines if name.replace(b"-", b"").isalnum()]


def spoil(chance: Random, good: Case) -> Case:
    """Return the case with one to three changes."""
    case = deepcopy(good)
    for _ in range(chance.randint(1, 3)):
        ways: list[Callable[[], None]] = [lambda: _set(case, "headers", change_headers(chance, case.headers))]
        if case.query:
            ways += 3 * [lambda: _set(case, "query", change_fields(chance, case.query))]
        if case.fields:
            ways += 3 * [lambda: _set(case, "fields", change_fields(chance, case.fields))]
        if case.document is not None:
            ways += 4 * [lambda: _set(case, "document", change_document(chance, case.document))]
        if case.method == "POST":
            ways += [lambda: _set(case, "body", change_body(chance, case.content()))]
        chance.choice(ways)()
    if chance.random() < 0.03:
        case.method = chance.choice(METHODS)
    return case


def _set(case: Case, name: str, value: object) -> None:
    setattr(case, name, value)
