"""All counters and histograms of the server. The values of every label are a closed set."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

# Why a session ended; `by_client` is RFC 7009.
EndReason = Literal[
    "by_client", "by_operator", "code_replayed", "refresh_token_reused", "ended_by_microsoft", "step_up"
]


class Metrics:
    """The metrics of one server process, in their own registry.

    Args:
        shared: folder in which the workers of a server share their metrics. prometheus_client does so when
            PROMETHEUS_MULTIPROC_DIR names it before prometheus_client is imported. None: this process is alone.
    """

    def __init__(self, shared: Path | None = None) -> None:
        self._shared = shared
        self.registry = CollectorRegistry()
        count = self._counter
        self.tool_calls = count("tool_calls", "Tool calls by outcome code.", "tool", "outcome")
        self.token_requests = count("token_requests", "Requests to Entra's token endpoint.", "grant", "outcome")
        self.graph_seconds = Histogram(
            "m365_mcp_graph_seconds", "Time of one Graph request, in seconds.", ["operation"], registry=self.registry
        )
        self.http_refusals = count("http_refusals", "HTTP responses with an error code of this server.", "code")
        self.rate_limited = count(
            "rate_limited", "Requests over a rate limit, by endpoint and by what the limit counts.", "endpoint", "limit"
        )
        self.sign_ins = count(
            "sign_ins", "Sign-ins begun, completed and refused, with the code of a refusal.", "outcome", "code"
        )
        self.sessions_begun = count("sessions_begun", "Sign-ins completed.")
        self.sessions_ended = count("sessions_ended", "Sessions that ended before they expired.", "reason")
        self.refreshes = count(
            "refreshes", "Responses to refresh tokens: a new pair, or the pair of the first use (replayed).", "answer"
        )
        self.graph_tokens = count("graph_tokens", "Where Graph tokens came from: memory, store, exchange.", "source")
        self.sends = count(
            "sends",
            "Sends by outcome: sent, failed (not sent), unknown, repeat (sent before), held, declined, expired.",
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

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"m365_mcp_{name}_total", meaning, labels, registry=self.registry)

    def _gauge(self, name: str, meaning: str, among: Literal["livesum", "livemostrecent"], *labels: str) -> Gauge:
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
        start_http_server(port, addr=host, registry=registry)
