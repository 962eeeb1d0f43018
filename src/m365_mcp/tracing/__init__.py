"""Spans of OpenTelemetry: those of FastMCP, and ours of the requests to Entra, Graph and the store.

Off unless `start` was called, and then nothing of the SDK is imported. Nothing personal leaves: `_Cleaned` exports what
is on a list, and nothing that a client or a person wrote. Sources: OpenTelemetry "Semantic conventions for MCP",
"HTTP spans", "Database client spans"; W3C "Trace Context".
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from m365_mcp import __version__

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

ERROR_CODE = "m365.error.code"  # FastMCP 4.2 overwrites `error.type` with the name of an exception
PERSON = "enduser.pseudo.id"
_NOTHING = nullcontext()


@dataclass(frozen=True)
class _Tracing:
    provider: TracerProvider
    key: bytes


_running: _Tracing | None = None


def start(key: bytes, tools: frozenset[str]) -> None:
    """Export the spans of this process over OTLP, as the `OTEL_` variables say, which the SDK reads itself.

    Args:
        key: makes the digest that stands for a person.
        tools: the names of tools that may stand in a span.

    Raises:
        ImportError: the extra `otel` is not installed.
    """
    global _running
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from m365_mcp.tracing.export import cleaned, described

    provider = TracerProvider(resource=described(__version__), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(cleaned(OTLPSpanExporter(), tools)))
    trace.set_tracer_provider(provider)
    _running = _Tracing(provider, key)


def is_on() -> bool:
    """Return whether spans are exported."""
    return _running is not None


def stop() -> None:
    """Export what is left; blocks while the collector does not answer, as long as the SDK waits for it."""
    if _running is not None:
        _running.provider.shutdown()


def client_span(name: str, attributes: Mapping[str, str]) -> AbstractContextManager[Span | None]:
    """Make a span of a request to another system, if it belongs to a request to this server.

    Args:
        name: one of a closed set.
        attributes: likewise; no address, no id of a person, no query.
    """
    if _running is None:
        return _NOTHING
    return _client_span(name, attributes)


@contextmanager
def _client_span(name: str, attributes: Mapping[str, str]) -> Iterator[Span | None]:
    from opentelemetry.trace import SpanKind, Status, StatusCode, get_current_span, get_tracer

    if not get_current_span().get_span_context().is_valid:
        yield None  # the server's own work, which nobody has asked for
        return
    with get_tracer(__name__).start_as_current_span(
        name, kind=SpanKind.CLIENT, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield span
        except BaseException as error:
            span.set_attribute("error.type", str(getattr(error, "code", type(error).__name__)))
            span.set_status(Status(StatusCode.ERROR))
            raise


def note_status(span: Span | None, status: int) -> None:
    """Note the HTTP status of a response on its span; a span of a request that was refused is one of an error."""
    if span is not None:
        from opentelemetry.trace import Status, StatusCode

        span.set_attribute("http.response.status_code", status)
        if status >= 400:
            span.set_attribute("error.type", str(status))
            span.set_status(Status(StatusCode.ERROR))


def note_call(object_id: str | None, code: str | None) -> None:
    """Note on the span of a tool call who called, as a digest that only this server can make, and why it failed."""
    if _running is None:
        return
    from opentelemetry.trace import get_current_span

    span = get_current_span()
    if object_id is not None:
        span.set_attribute(PERSON, hmac.digest(_running.key, object_id.encode(), "sha256").hex()[:32])
    if code is not None:
        span.set_attribute(ERROR_CODE, code)


def pass_on(headers: MutableMapping[str, str]) -> None:
    """Add `traceparent` to the headers of a request; no baggage, which a client may fill with anything."""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    TraceContextTextMapPropagator().inject(headers)


@contextmanager
def continuing(headers: Mapping[str, str], name: str | None) -> Iterator[None]:
    """Let the spans of the block continue the trace that the headers of a request name.

    Args:
        headers: of the request, in lower case.
        name: of a span for the block; None: FastMCP makes it.
    """
    from opentelemetry import context, trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    token = context.attach(TraceContextTextMapPropagator().extract(headers, context.Context()))
    try:
        if name is None:
            yield
            return
        attributes: dict[str, Any] = {"http.request.method": name.partition(" ")[0]}
        with trace.get_tracer(__name__).start_as_current_span(
            name, kind=trace.SpanKind.SERVER, attributes=attributes, record_exception=False
        ):
            yield
    finally:
        context.detach(token)


def below(meta: Mapping[str, Any]) -> AbstractContextManager[None]:
    """Let the spans of the block continue the trace that the `_meta` of a message names, if it names one.

    It goes before that of the HTTP request. Source: OpenTelemetry, "Semantic conventions for MCP", context propagation.
    """
    return _NOTHING if _running is None or "traceparent" not in meta else _below(meta)


@contextmanager
def _below(meta: Mapping[str, Any]) -> Iterator[None]:
    from opentelemetry import context, trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier = {name: meta[name] for name in ("traceparent", "tracestate") if isinstance(meta.get(name), str)}
    found = TraceContextTextMapPropagator().extract(carrier, context.Context())
    if not trace.get_current_span(found).get_span_context().is_valid:
        yield
        return
    token = context.attach(found)
    try:
        yield
    finally:
        context.detach(token)
