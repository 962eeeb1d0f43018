"""All counters and histograms of the server. The values of every label are a closed set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, start_http_server

from m365_mcp import __version__, tracing

# Why a session ended; `by_client` is RFC 7009.
EndReason = Literal[
    "by_client", "by_operator", "code_replayed", "refresh_token_reused", "ended_by_microsoft", "step_up"
]

StoreOperation = Literal["read", "write", "transaction", "scan", "memory"]
EntraOperation = Literal["authorization_code", "refresh_token", "on_behalf_of", "client_credentials", "keys"]
# What became of a request to Graph; `unclear`: it was sent, and no complete response came back.
GraphOutcome = Literal["ok", "throttled", "refused", "failed", "unreachable", "unclear"]
Decision = Literal["permit", "forbid", "error"]
# The answers of Redis come within a millisecond, the default buckets begin at five.
_STORE_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """The metrics of one server process, in their own registry.

    Args:
        shared: folder in which the workers of a server share their metrics. prometheus_client does so when
            PROMETHEUS_MULTIPROC_DIR names it before prometheus_client is imported. None: this process is alone.
    """

    def __init__(self, shared: Path | None = None) -> None:
        self._shared = shared
        self.registry = CollectorRegistry()
        self._add_calls()
        self._add_sign_ins()
        self._add_sends()
        self.build_info = self._gauge("build_info", "The version of this server; always 1.", "livemax", "version")
        self.build_info.labels(__version__).set(1)
        if shared is None:  # of several processes it would show the one that answers
            ProcessCollector(registry=self.registry)

    def _add_calls(self) -> None:
        """Add the metrics of calls, and what they ask of other systems."""
        count = self._counter
        self.tool_calls = count("tool_calls", "Tool calls by outcome code.", "tool", "outcome")
        self.token_requests = count("token_requests", "Requests to Entra's token endpoint.", "grant", "outcome")
        self.tool_seconds = self._histogram("tool_seconds", "Time of one tool call, in seconds.", "tool")
        self.in_flight = self._gauge("requests_in_flight", "HTTP requests that are being answered.", "livesum")
        self.graph_seconds = self._histogram("graph_seconds", "Time of one Graph request, in seconds.", "operation")
        self.graph_requests = count("graph_requests", "Requests to Graph by outcome.", "operation", "outcome")
        self.entra_seconds = self._histogram("entra_seconds", "Time of one request to Entra, in seconds.", "operation")
        self.store_seconds = self._histogram(
            "store_seconds", "Time of one operation of the store, in seconds.", "operation", buckets=_STORE_BUCKETS
        )
        self.store_failures = count("store_failures", "Operations of the store that failed.", "operation")
        self.limit_refusals = count("limit_refusals", "What was refused at a limit of this server.", "limit")
        self.policy_decisions = count(
            "policy_decisions", "Decisions of the policies: permit, forbid, error.", "action", "decision"
        )
        self.http_refusals = count("http_refusals", "HTTP responses with an error code of this server.", "code")
        self.rate_limited = count(
            "rate_limited", "Requests over a rate limit, by endpoint and by what the limit counts.", "endpoint", "limit"
        )

    def _add_sign_ins(self) -> None:
        """Add the metrics of sign-ins and sessions."""
        count = self._counter
        self.sign_ins = count(
            "sign_ins", "Sign-ins begun, completed and refused, with the code of a refusal.", "outcome", "code"
        )
        self.token_refusals = count(
            "token_refusals",
            "Tokens refused at /mcp, and requests refused at /token outside a sign-in.",
            "endpoint",
            "code",
        )
        self.sessions_begun = count("sessions_begun", "Sign-ins completed.")
        self.sessions_ended = count("sessions_ended", "Sessions that ended before they expired.", "reason")
        self.refreshes = count(
            "refreshes", "Responses to refresh tokens: a new pair, or the pair of the first use (replayed).", "answer"
        )
        self.graph_tokens = count("graph_tokens", "Where Graph tokens came from: memory, store, exchange.", "source")

    def _add_sends(self) -> None:
        """Add the metrics of mail, policies, audit trail and store."""
        count = self._counter
        self.sends = count(
            "sends",
            "Sends by outcome: sent, failed (not sent), unknown, repeat (sent before), held, approved, declined,"
            " expired, cancelled, not_cancelled.",
            "outcome",
        )
        self.settlements = count("settlements", "Unclear sends that were looked up: sent, not_sent, unclear.", "found")
        self.policy_changes = count(
            "policy_changes", "Changes of the file of policies: in_force, or refused for a mistake.", "outcome"
        )
        self.policies = self._gauge(
            "policies", "The policies in force, by their digest: in how many workers.", "livesum", "digest"
        )
        self.audit_records = count("audit_records", "Records of the audit trail: written, or lost.", "outcome")
        self.audit_spool_bytes = self._gauge(
            "audit_spool_bytes", "Records that the audit collector does not have yet.", "livemostrecent"
        )
        self.store_rollbacks = count("store_rollbacks", "Records that the store had in an older state.", "collection")
        self.uploads = count("uploads", "Uploads by link: done, failed, broken_off.", "outcome")

    @contextmanager
    def store_operation(self, operation: StoreOperation) -> Iterator[None]:
        """Measure one operation of the store, with its wait for a turn; what raises counts as a failure."""
        start = perf_counter()
        try:
            with tracing.client_span(f"store {operation}", {"db.operation.name": operation}):
                yield
        except Exception:
            self.store_failures.labels(operation).inc()
            raise
        finally:
            self.store_seconds.labels(operation).observe(perf_counter() - start)

    @contextmanager
    def entra_request(self, operation: EntraOperation) -> Iterator[None]:
        """Measure one request to Entra."""
        with (
            self.entra_seconds.labels(operation).time(),
            tracing.client_span(f"entra {operation}", {"m365.operation": operation}),
        ):
            yield

    def count_decision(self, action: str, decision: Decision) -> None:
        """Count one decision of the policies about one action."""
        self.policy_decisions.labels(action, decision).inc()

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"m365_mcp_{name}_total", meaning, labels, registry=self.registry)

    def _histogram(
        self, name: str, meaning: str, label: str, buckets: tuple[float, ...] = Histogram.DEFAULT_BUCKETS
    ) -> Histogram:
        return Histogram(f"m365_mcp_{name}", meaning, [label], registry=self.registry, buckets=buckets)

    def _gauge(
        self, name: str, meaning: str, among: Literal["livesum", "livemax", "livemostrecent"], *labels: str
    ) -> Gauge:
        """Return a gauge; `among` says what it shows of several workers."""
        return Gauge(f"m365_mcp_{name}", meaning, labels, registry=self.registry, multiprocess_mode=among)

    def show_policies(self, digest: str, before: str) -> None:
        """Show which policies are in force now, in place of those before."""
        self.policies.labels(before).set(0)
        if self._shared is None:  # what is shared keeps the digest, with 0: prometheus_client removes no label there
            self.policies.clear()
        self.policies.labels(digest).set(1)

    def listen(self, host: str, port: int) -> None:
        """Serve `/metrics` of all workers on `port` from its own thread. Raises OSError when the port is taken."""
        registry = self.registry
        if self._shared is not None:
            from prometheus_client.multiprocess import MultiProcessCollector  # one worker needs none

            registry = CollectorRegistry()
            MultiProcessCollector(registry, str(self._shared))  # type: ignore[no-untyped-call]  # prometheus_client 0.2x
        server, _ = start_http_server(port, addr=host, registry=registry)
        # socketserver prints a traceback to standard error when somebody breaks a connection off.
        server.handle_error = _ignore_broken_connection  # type: ignore[method-assign, assignment]


def _ignore_broken_connection(*_: object) -> None:
    return
