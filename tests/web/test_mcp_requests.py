"""Which requests to /mcp are refused before the SDK sees them, and in which words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.authentication import SimpleUser, UnauthenticatedUser
from starlette.types import Message, Receive, Scope, Send

from m365_mcp.web.mcp_requests import McpRequests

VERSION = "io.modelcontextprotocol/protocolVersion"
SERVED = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"]


class Exchange:
    """One POST through the middleware: what arrived behind it, or what it answered itself."""

    def __init__(self, body: Any, *versions: str, user: Any = None, **headers: str) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.arrived: bytes | None = None
        self.versions: list[str] = []
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.answer: Any = None
        self._body = raw
        sent = {"content-type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
        lines = [(name.encode(), value.encode()) for name, value in sent.items() if value]
        lines += [(b"mcp-protocol-version", version.encode()) for version in versions]
        self._scope = {
            "type": "http",
            "method": "POST",
            "path": "/mcp",
            "headers": lines,
            "user": user or SimpleUser("client"),
        }

    async def run(self) -> Exchange:
        await McpRequests(self._app, "/mcp", 1_000_000)(self._scope, self._receive, self._send)
        return self

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.arrived = (await receive())["body"]
        self.versions = [value.decode() for name, value in scope["headers"] if name == b"mcp-protocol-version"]

    async def _receive(self) -> Message:
        return {"type": "http.request", "body": self._body, "more_body": False}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], dict(message["headers"])
        else:
            self.answer = json.loads(message["body"])


def call(request_id: Any, method: str = "ping", **more: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": request_id, "method": method, **more}


@pytest.mark.parametrize(
    "body",
    [
        *map(call, [None, True, False, 1.5, [1], {}, [], {"id": 1}]),
        b'{"jsonrpc":"2.0","id":1e400,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":NaN,"method":"ping"}',
        b'{"jsonrpc":"2.0","\\u0069d":null,"method":"ping"}',
        {"jsonrpc": "2.0", "id": None, "result": {}},
        {"jsonrpc": "2.0", "id": {}, "error": {"code": 1, "message": "x"}},
        {"id": True},
    ],
)
async def test_f10_id_that_is_no_string_and_no_integer_is_refused(body: Any) -> None:
    """The client is told (-32600) instead of waiting for ever, and the SDK does not see the request."""
    exchange = await Exchange(body).run()

    assert (exchange.status, exchange.arrived) == (400, None)
    assert (exchange.answer["error"]["code"], exchange.answer["id"]) == (-32600, None)
    assert "integer" in exchange.answer["error"]["message"]


@pytest.mark.parametrize(
    "body",
    [
        *map(call, [1, 0, -7, "a", "", 10**30]),
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "x"}},
        {"jsonrpc": "2.0", "id": 1.0, "result": {}},
        call(1, params=None),
        b"",
        b'{"id":',
        b"\x1f\x8b",
        b"[" * 100_000,
    ],
)
async def test_f10_everything_else_passes_unchanged(body: Any) -> None:
    """Good messages and what is no JSON are the SDK's, to the byte."""
    exchange = await Exchange(body).run()

    expected = json.dumps(body).replace("1.0,", "1,") if not isinstance(body, bytes) else body.decode("latin-1")
    assert exchange.arrived == expected.encode("latin-1")


@pytest.mark.parametrize("request_id", [7, "a", 7.0, 0, ""])
@pytest.mark.parametrize(
    "change",
    [
        {"params": []},
        {"params": "x"},
        {"method": 5},
        {"method": None},
        {"jsonrpc": "1.0"},
        {"jsonrpc": None},
        {"method": None, "result": 5},
        {"method": None, "error": "x"},
    ],
)
async def test_f10_message_of_another_form_is_refused_with_its_id(change: dict[str, Any], request_id: Any) -> None:
    """The client reads -32600 under the id of its request, in words that say what a message has."""
    body = {name: value for name, value in {**call(request_id), **change}.items() if value is not None}

    exchange = await Exchange(body).run()

    assert (exchange.status, exchange.arrived) == (400, None)
    assert (exchange.answer["error"]["code"], exchange.answer["id"]) == (-32600, request_id)
    assert "params" in exchange.answer["error"]["message"]
    assert "pydantic" not in str(exchange.answer)


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ([call(1)], "batches"),
        ([], "batches"),
        ("text", "object"),
        (5, "object"),
        (None, "object"),
        ({}, "object"),
        (call("\ud800", params=[]), "object"),
        (call(10**4000, params=[]), "object"),
        ({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": []}, "object"),
    ],
)
async def test_f10_what_has_no_id_to_answer_is_refused_with_null(body: Any, word: str) -> None:
    """A batch, a value that is no object, and a notification of another form get -32600 and the id null."""
    exchange = await Exchange(body).run()

    assert (exchange.status, exchange.arrived) == (400, None)
    assert (exchange.answer["error"]["code"], exchange.answer["id"]) == (-32600, None)
    assert word in exchange.answer["error"]["message"]


async def test_c16_f12_large_message_is_413_in_json() -> None:
    """The refusal of a large message is a JSON-RPC error like every other one."""
    exchange = await Exchange(b"x" * 1_000_001).run()

    assert (exchange.status, exchange.arrived) == (413, None)
    assert "1000000 bytes" in exchange.answer["error"]["message"]


@pytest.mark.parametrize(("spelled", "meant"), [(b"1.0", 1), (b"1e0", 1), (b"-0.0", 0), (b"2.50e1", 25)])
async def test_f10_number_without_a_fraction_counts_as_an_integer(spelled: bytes, meant: int) -> None:
    """JSON does not tell 1.0 from 1, and some languages write every number so."""
    exchange = await Exchange(
        b'{"jsonrpc":"2.0","id":' + spelled + b',"method":"ping","params":{"a":"\xc3\xa4"}}'
    ).run()

    assert exchange.arrived is not None
    assert json.loads(exchange.arrived) == call(meant, params={"a": "ä"})
    assert type(json.loads(exchange.arrived)["id"]) is int


@pytest.mark.parametrize("version", ["2099-01-01", "1999-01-01", "garbage", "", "2025-11-25, 2026-07-28", "é" * 5000])
async def test_f11_unknown_version_is_refused_with_the_versions_that_are_served(version: str) -> None:
    """Words and data name what is served, and the answer stays small."""
    exchange = await Exchange(call("a", "tools/list"), version).run()

    assert (exchange.status, exchange.arrived) == (400, None)
    error = exchange.answer["error"]
    assert (error["code"], exchange.answer["id"]) == (-32022, "a")
    assert all(served in error["message"] for served in SERVED)
    assert error["data"]["supported"] == SERVED
    assert len(json.dumps(exchange.answer)) < 3000


async def test_f11_long_id_is_not_repeated() -> None:
    """An answer is small however long the id is."""
    exchange = await Exchange(call("i" * 5000, "tools/list"), "garbage").run()

    assert (exchange.status, exchange.answer["id"]) == (400, None)


@pytest.mark.parametrize("versions", [("2099-01-01",), ("garbage",), ("",), ("2026-07-28",), ("2025-11-25", "x")])
async def test_f11_initialize_negotiates_whatever_the_header_says(versions: tuple[str, ...]) -> None:
    """The version of a handshake is in its body, so that a header that does not fit is taken off."""
    body = call(0, "initialize", params={"protocolVersion": "2025-11-25"})

    exchange = await Exchange(body, *versions).run()

    assert (exchange.arrived, exchange.versions) == (json.dumps(body).encode(), [])


@pytest.mark.parametrize("versions", [(), *((served,) for served in SERVED)])
async def test_f11_known_version_passes(versions: tuple[str, ...]) -> None:
    """A header that is missing or served stays as it is."""
    assert (await Exchange(call(1), *versions).run()).versions == [*versions]


async def test_f11_version_that_the_body_names_too_is_the_sdks_to_refuse() -> None:
    """A request that carries its version in `_meta` gets the SDK's own answer."""
    body = call(1, "tools/list", params={"_meta": {VERSION: "2027-01-01"}})

    assert (await Exchange(body, "2027-01-01").run()).versions == ["2027-01-01"]


@pytest.mark.parametrize("coding", ["gzip", "br", "GZIP", "identity, deflate", "x"])
async def test_compressed_body_is_415_and_says_so(coding: str) -> None:
    """A coding that is not served is named, and nothing is parsed."""
    exchange = await Exchange(b"\x1f\x8b", content_encoding=coding).run()

    assert (exchange.status, exchange.arrived) == (415, None)
    assert exchange.headers[b"accept-encoding"] == b"identity"
    assert "Content-Encoding" in exchange.answer["error"]["message"]


@pytest.mark.parametrize("media_type", ["text/plain", "", "application/jsonp", "application/x-www-form-urlencoded"])
async def test_other_media_type_is_415_in_json(media_type: str) -> None:
    """What is not declared as JSON is refused in JSON."""
    exchange = await Exchange(call(1), content_type=media_type).run()

    assert (exchange.status, exchange.arrived) == (415, None)
    assert exchange.headers[b"content-type"] == b"application/json"
    assert "application/json" in exchange.answer["error"]["message"]


@pytest.mark.parametrize(
    "headers", [{"content_type": "Application/JSON; charset=UTF-8"}, {"content_encoding": "identity"}]
)
async def test_usual_headers_pass(headers: dict[str, str]) -> None:
    """A media type has no case, and identity is no coding."""
    assert (await Exchange(call(1), **headers).run()).arrived is not None


async def test_request_without_a_good_token_is_not_looked_into() -> None:
    """A stranger is challenged, whatever is wrong with the request."""
    exchange = await Exchange(call(None), "garbage", user=UnauthenticatedUser(), content_encoding="gzip").run()

    assert exchange.arrived is not None
