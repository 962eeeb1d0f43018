"""A server that is told of a collector exports its spans over OTLP: one tree for a call, and nothing personal."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from mcp import MCPError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.e2e.person import Assistant, PersonAtBrowser
from tests.e2e.programs import Server, Simulator, make_server

CANARY = "c4n4ry-subject"
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
MAIL: dict[str, Any] = {"to": ["Grace <grace@contoso.example>"], "subject": CANARY, "body": f"<p>{CANARY}</p>"}


@dataclass
class Collector:
    """Receives OTLP over HTTP, in protobuf."""

    port: int = 0
    raw: list[bytes] = field(default_factory=list)
    services: set[str] = field(default_factory=set)

    def spans(self) -> list[Span]:
        """Return all spans that have arrived."""
        found = []
        for body in self.raw:
            for part in ExportTraceServiceRequest.FromString(body).resource_spans:
                names = (one.value.string_value for one in part.resource.attributes if one.key == "service.name")
                self.services.update(names)
                found += [span for scope in part.scope_spans for span in scope.spans]
        return found

    @property
    def variables(self) -> dict[str, str]:
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.port}", "OTEL_BSP_SCHEDULE_DELAY": "100"}


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.headers.get("Content-Encoding") in (None, "identity")
            if self.path == "/v1/traces":
                collector.raw.append(body)
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()


def attributes(span: Span) -> dict[str, Any]:
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


def tree(spans: list[Span]) -> list[Span]:
    """Return the spans of the client's trace; each has its parent there, or in the client."""
    ours = [span for span in spans if span.trace_id.hex() == TRACE]
    known = {span.span_id for span in ours} | {bytes.fromhex(PARENT)}
    assert all(span.parent_span_id in known for span in ours)
    return ours


async def traced(simulator: Simulator, folder: Path, **more: str) -> tuple[Server, Assistant]:
    """Start a server and connect an assistant that sends a `traceparent` with each request."""
    server = make_server(folder, simulator, REDIS_URL="memory://", **more)
    server.start()
    person = PersonAtBrowser(simulator.ready["ca_file"])
    return server, Assistant(server.url, person, headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})


async def test_spans_of_a_send_are_one_tree_below_the_span_of_the_client(simulator: Simulator, tmp_path: Path) -> None:
    """The call is a SERVER span below the client's; Entra, Graph and the store are CLIENT spans below the call."""
    with collecting() as collector:
        server, ada = await traced(simulator, tmp_path, **collector.variables)
        assert not (await ada.call("send_mail", MAIL)).is_error
        server.program.end()

    ours = tree(collector.spans())
    [call] = [span for span in ours if span.name == "tools/call send_mail"]
    assert (call.kind, call.parent_span_id.hex()) == (Span.SPAN_KIND_SERVER, PARENT)
    found = attributes(call)
    assert (found["mcp.method.name"], found["gen_ai.tool.name"]) == ("tools/call", "send_mail")
    assert len(found["enduser.pseudo.id"]) == 32
    below = {span.name for span in ours if span.parent_span_id == call.span_id}
    assert {"entra on_behalf_of", "graph sendMail", "store write"} <= below
    assert {span.kind for span in ours if span.name in below} == {Span.SPAN_KIND_CLIENT}
    assert collector.services == {"m365-mcp"}


async def test_failed_tool_is_an_error_span_with_our_code(simulator: Simulator, tmp_path: Path) -> None:
    """`error.type` is the code of docs/errors.md, on the span of the call."""
    with collecting() as collector:
        server, ada = await traced(simulator, tmp_path, **collector.variables)
        assert (await ada.call("send_mail", {**MAIL, "to": [f"{CANARY}@"]})).is_error
        server.program.end()

    [call] = [span for span in tree(collector.spans()) if span.name == "tools/call send_mail"]
    assert (call.status.code, call.status.message) == (Status.STATUS_CODE_ERROR, "")
    assert attributes(call)["error.type"] == "invalid_argument"


async def test_nothing_personal_is_exported(simulator: Simulator, tmp_path: Path) -> None:
    """A sign-in, a mail, a refusal by Graph and a tool that a client made up: no id, address, subject, token or URL."""
    with collecting() as collector:
        server, ada = await traced(simulator, tmp_path, **collector.variables)
        assert not (await ada.call("send_mail", MAIL)).is_error
        what = {"status": 400, "body": {"error": {"code": "ErrorInvalidRecipients", "message": CANARY}}}
        simulator.control("POST", "faults", where={"path": "/v1.0/me/sendMail"}, what=what)
        assert (await ada.call("send_mail", {**MAIL, "allow_duplicate": True})).is_error
        with suppress(MCPError):
            assert (await ada.call(f"{CANARY}_tool")).is_error
        token = await ada.token()
        server.program.end()

    everything = b"".join(collector.raw)
    assert {"POST /token", "GET /auth/callback"} <= {span.name for span in collector.spans()}
    secrets = (CANARY, "contoso", "Grace", token, "eyJ", "code=", "state=", "http://", "https://", "aaaaaaaa-")
    assert [secret for secret in secrets if secret.encode() in everything] == []


async def test_without_the_variable_nothing_is_exported(simulator: Simulator, tmp_path: Path) -> None:
    """OTEL_SDK_DISABLED, or no address of a collector, and no span leaves."""
    with collecting() as collector:
        server, ada = await traced(simulator, tmp_path, **collector.variables, OTEL_SDK_DISABLED="true")
        assert not (await ada.call("get_my_profile")).is_error
        server.program.end()

    assert collector.raw == []
