"""What tracing does where nothing is exported, and what it passes on to other servers."""

import subprocess
import sys
from contextlib import nullcontext

import pytest
from opentelemetry.semconv._incubating.attributes import (
    db_attributes,
    enduser_attributes,
    gen_ai_attributes,
    http_attributes,
    mcp_attributes,
)
from opentelemetry.semconv.attributes import error_attributes
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, get_current_span, use_span

from m365_mcp import tracing
from m365_mcp.settings import foreign_environment
from m365_mcp.tracing.export import _KEPT


def test_nothing_happens_while_it_is_off() -> None:
    """A request makes no span, and no object either."""
    first, second = tracing.client_span("graph sendMail", {}), tracing.client_span("store read", {})

    assert first is second
    assert isinstance(first, nullcontext)
    assert not tracing.is_on()


def test_trace_is_passed_on_without_baggage() -> None:
    """A request to Microsoft has `traceparent` of the current span, and nothing else."""
    headers: dict[str, str] = {}
    context = SpanContext(0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7, False, TraceFlags(1))

    with use_span(NonRecordingSpan(context)):
        tracing.pass_on(headers)

    assert headers == {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}


def test_server_without_the_extra_says_what_to_install() -> None:
    """Who names a collector and has no SDK reads it in the log, and the server goes on."""
    program = (
        "import sys\n"
        "sys.modules['opentelemetry.sdk'] = None\n"
        "sys.modules['opentelemetry.exporter'] = None\n"
        "from m365_mcp import settings\n"
        "from m365_mcp.commands import serve\n"
        "from tests.ids import IDS\n"
        "serve._start_traces(settings.load(**IDS))\n"
    )
    environment = {**foreign_environment(), "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    ran = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)

    assert "traces_not_exported" in ran.stdout + ran.stderr


def test_attributes_have_the_names_of_the_conventions() -> None:
    """Each attribute of an exported span is in OpenTelemetry's registry, but those that begin with `m365.`."""
    modules = (mcp_attributes, gen_ai_attributes, enduser_attributes, db_attributes, http_attributes, error_attributes)
    known = {value for module in modules for value in vars(module).values() if isinstance(value, str)}

    assert {name for name in _KEPT if not name.startswith("m365.")} <= known
    assert {"mcp.method.name", "gen_ai.tool.name", "gen_ai.operation.name", "error.type"} <= _KEPT
    assert (
        not {"mcp.session.id", "jsonrpc.request.id", "enduser.id", "url.full"} & _KEPT
    )  # ids that people can be found by


@pytest.mark.parametrize(
    "traceparent", [5, None, [], {}, "", "x" * 10_000, "00-0-0-01", f"00-{'0' * 32}-{'0' * 16}-01"]
)
def test_context_of_a_message_that_is_none_changes_nothing(
    traceparent: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client may write anything into `_meta`; the trace of the HTTP request then stays."""
    monkeypatch.setattr(tracing, "_running", object())
    context = SpanContext(0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7, False, TraceFlags(1))

    with use_span(NonRecordingSpan(context)), tracing.below({"traceparent": traceparent, "tracestate": 7}):
        assert get_current_span().get_span_context() == context
