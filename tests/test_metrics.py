"""The metrics of a scrape are those of the table in docs/deploy.md: names, types, labels and values of labels."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase

from m365_mcp.errors import StorageUnavailable
from m365_mcp.graph.observed import observing
from m365_mcp.metrics import Metrics
from m365_mcp.storage.guard import Guard
from tests.inprocess import running

DEPLOY = Path(__file__).parents[1] / "docs" / "deploy.md"
ROW = re.compile(r"^\| `(m365_mcp_\w+)` \| (\w+) \| (.*)\|$", re.MULTILINE)
LABEL = re.compile(r"`(\w+)`(?: \(([^)]*)\))?")


def documented() -> dict[str, tuple[str, dict[str, set[str]]]]:
    """Return type and labels of each metric in the table; a label without listed values has an empty set."""
    table = {}
    for name, kind, labels in ROW.findall(DEPLOY.read_text("utf-8")):
        text = labels.partition(" of a record")[0]
        values = {label: set(re.findall(r"`([^`]+)`", listed)) for label, listed in LABEL.findall(text)}
        table[name.removesuffix("_total")] = (kind, values)
    return table


def defined() -> Iterator[tuple[str, str, set[str]]]:
    """Iterate over name, type and labels of each metric of the server."""
    for metric in vars(Metrics()).values():
        if isinstance(metric, MetricWrapperBase):
            yield metric._name, str(metric._type), set(metric._labelnames)


def test_every_metric_is_in_the_table() -> None:
    """A metric that is renamed, or gets another type or label, breaks dashboards: the table says what they stand on."""
    table = {(name, kind, frozenset(labels)) for name, (kind, labels) in documented().items()}

    assert {(name, kind, frozenset(labels)) for name, kind, labels in defined()} == table


async def test_values_of_labels_are_those_of_the_table() -> None:
    """A sign-in and a mail leave values of labels that the table lists, and times of all that they passed."""
    async with running() as world:
        outbox = await world.outbox(await world.sign_in())
        await outbox.mailbox.profile()
        shown = [sample for metric in world.container.metrics.registry.collect() for sample in metric.samples]

    table, seen = documented(), set()
    for sample in shown:
        name = re.sub(r"_(total|count|sum|bucket|created)$", "", sample.name)
        for label, value in sample.labels.items():
            listed = table.get(name, ("", {}))[1].get(label, set())
            assert not listed or value in listed or re.fullmatch("M365_SEND_[A-Z_]+", value), (name, label, value)
            seen.add((name, value))
    assert {("m365_mcp_entra_seconds", one) for one in ("authorization_code", "on_behalf_of", "keys")} <= seen
    assert {("m365_mcp_store_seconds", one) for one in ("read", "write")} <= seen
    assert ("m365_mcp_graph_requests", "ok") in seen
    assert any(sample.name == "process_resident_memory_bytes" for sample in shown)


async def test_failed_operation_of_the_store_is_counted_and_timed() -> None:
    """An outage has a count and a time, a good operation a time only."""
    metrics = Metrics()
    guard = Guard(watch=metrics.store_operation)

    async with guard.within_limits("read"):
        pass
    with pytest.raises(StorageUnavailable):
        async with guard.within_limits("read"):
            raise OSError

    value = metrics.registry.get_sample_value
    assert value("m365_mcp_store_failures_total", {"operation": "read"}) == 1
    assert value("m365_mcp_store_seconds_count", {"operation": "read"}) == 2


@pytest.mark.parametrize(
    ("status", "outcome"), [(202, "ok"), (429, "throttled"), (403, "refused"), (503, "failed"), (None, "unclear")]
)
def test_requests_to_graph_are_counted_by_outcome(status: int | None, outcome: str) -> None:
    """What became of a request is one of a few words."""
    metrics = Metrics()

    with observing(metrics, "sendMail") as seen:
        seen.status = status

    labels = {"operation": "sendMail", "outcome": outcome}
    assert metrics.registry.get_sample_value("m365_mcp_graph_requests_total", labels) == 1
