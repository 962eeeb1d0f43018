"""What of a span leaves this server. Imported only where spans are exported: it needs the SDK of OpenTelemetry.

FastMCP 4.2 writes the subject of the token, the scopes, session ids and the texts of exceptions into its spans, and the
client chooses the ids of its requests. So a span is exported with the attributes on a list, without events, and without
the text of its status.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Status, StatusCode

from m365_mcp.tracing import ERROR_CODE, PERSON

_KEPT = frozenset(
    {
        "db.operation.name",
        "db.system.name",
        "error.type",
        "gen_ai.operation.name",
        "gen_ai.tool.name",
        "http.request.method",
        "http.response.status_code",
        "m365.operation",
        "mcp.method.name",
        "mcp.protocol.version",
        PERSON,
    }
)
_METHODS = frozenset({"initialize", "ping", "tools/list", "tools/call", "server/discover", "notifications/initialized"})


def described(version: str) -> Resource:
    """Return the resource of this process; `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` go first."""
    found = Resource.create({"service.version": version})
    if str(found.attributes["service.name"]).startswith("unknown_service"):
        return found.merge(Resource({"service.name": "m365-mcp"}))
    return found


def cleaned(exporter: SpanExporter, tools: frozenset[str]) -> SpanExporter:
    """Return an exporter that passes on what may leave.

    Args:
        exporter: gets the cleaned spans.
        tools: the names of tools; another one was made up by a client.
    """
    return _Cleaned(exporter, tools)


class _Cleaned(SpanExporter):
    def __init__(self, exporter: SpanExporter, tools: frozenset[str]) -> None:
        self._exporter = exporter
        self._tools = tools

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._exporter.export([self._clean(span) for span in spans])

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)

    def _clean(self, span: ReadableSpan) -> ReadableSpan:
        found: dict[str, Any] = dict(span.attributes or {})
        code = found.get(ERROR_CODE)
        method = found.get("mcp.method.name")
        kept = {name: value for name, value in found.items() if name in _KEPT}
        if code is not None:
            kept["error.type"] = code
        if kept.get("gen_ai.tool.name", "") not in self._tools:
            kept.pop("gen_ai.tool.name", None)
        if method is not None and method not in _METHODS:
            kept["mcp.method.name"] = method = "other"
        tool = kept.get("gen_ai.tool.name")
        return ReadableSpan(
            name=span.name if method is None else f"{method} {tool}" if tool else method,
            context=span.context,
            parent=span.parent,
            resource=span.resource,
            attributes=kept,
            kind=span.kind,
            status=Status(StatusCode.ERROR if code is not None else span.status.status_code),
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )
