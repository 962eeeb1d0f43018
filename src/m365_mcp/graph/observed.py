"""Measures one request to Graph, and counts it by what became of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from m365_mcp.errors import GraphUnavailable
from m365_mcp.metrics import GraphOutcome, Metrics


@dataclass
class Observation:
    """One request that is running; whoever makes it notes the status of the response."""

    status: int | None = None


@contextmanager
def observing(metrics: Metrics, operation: str) -> Iterator[Observation]:
    """Measure and count the request that the block makes.

    Args:
        metrics: record it.
        operation: the name of the request, because a path holds ids.
    """
    seen, outcome = Observation(), "unclear"
    try:
        with metrics.graph_seconds.labels(operation).time():
            yield seen
        outcome = _outcome_of(seen.status)
    except GraphUnavailable:
        outcome = "unreachable"  # no byte of the request was sent
        raise
    finally:
        metrics.graph_requests.labels(operation, outcome).inc()


def _outcome_of(status: int | None) -> GraphOutcome:
    """Return what a response of this status means; None: there was no complete response."""
    if status is None:
        return "unclear"
    if status == 429:
        return "throttled"
    return "ok" if status < 400 else "refused" if status < 500 else "failed"
