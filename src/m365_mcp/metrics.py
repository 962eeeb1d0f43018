"""Every counter and histogram there is; nothing else may invent one. Labels come from closed sets only.

May know nothing of the rest of the project.
"""

from __future__ import annotations

from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server

# Why a session ended; `by_client` is RFC 7009.
EndReason = Literal[
    "by_client", "by_operator", "code_replayed", "refresh_token_reused", "ended_by_microsoft", "step_up"
]


class Metrics:
    """The measurements of one server process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.tool_calls = Counter(
            "m365_mcp_tool_calls_total", "Tool calls by outcome code.", ["tool", "outcome"], registry=self.registry
        )
        self.token_requests = Counter(
            "m365_mcp_token_requests_total",
            "Requests to Entra's token endpoint.",
            ["grant", "outcome"],
            registry=self.registry,
        )
        self.graph_seconds = Histogram(
            "m365_mcp_graph_seconds", "Time of one Graph request, in seconds.", ["operation"], registry=self.registry
        )
        self.http_refusals = Counter(
            "m365_mcp_http_refusals_total",
            "HTTP requests answered with an explained error.",
            ["code"],
            registry=self.registry,
        )
        self.sessions_begun = Counter("m365_mcp_sessions_begun_total", "Sign-ins completed.", registry=self.registry)
        self.sessions_ended = Counter(
            "m365_mcp_sessions_ended_total",
            "Sessions that ended before their time.",
            ["reason"],
            registry=self.registry,
        )
        self.refreshes = Counter(
            "m365_mcp_refreshes_total",
            "Refresh tokens answered: with new tokens, or once more with the ones of a moment ago.",
            ["answer"],
            registry=self.registry,
        )
        self.graph_tokens = Counter(
            "m365_mcp_graph_tokens_total",
            "Where a call's Graph token came from: memory, store or exchange.",
            ["source"],
            registry=self.registry,
        )

    def listen(self, host: str, port: int) -> None:
        """Serve `/metrics` on `port` from a thread of its own. Raises OSError when the port is taken."""
        start_http_server(port, addr=host, registry=self.registry)
