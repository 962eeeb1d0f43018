"""Every panel and every alert, asked of a real Prometheus that watched a real run of the server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.deploy.observed import Observed, everything_happens, started
from tests.deploy.prometheus import INSTALL, IS_REQUIRED, PROMETHEUS, alerts, panels, queries
from tests.e2e.programs import end_all

pytestmark = [
    pytest.mark.deploy,
    pytest.mark.skipif(PROMETHEUS is None and not IS_REQUIRED, reason=INSTALL),
]
# Panels that have nothing to show in this run, and why.
EMPTY = {"Rollbacks": "the store is not taken back here; tests/test_rolled_back_store.py counts it"}
FIRING = {"M365McpStoreUnavailable", "M365McpSendUnclear", "M365McpPoliciesRefused"}


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observed]:
    """A run that has happened, and its Prometheus."""
    assert PROMETHEUS is not None, INSTALL
    try:
        with started(tmp_path_factory.mktemp("observed"), pause=2) as run:
            assert run.prometheus.firing <= {"M365McpAbsent"}
            asyncio.run(everything_happens(run))
            yield run
    finally:
        end_all(shared=True)


def test_no_panel_is_empty(observed: Observed) -> None:
    """Each query of each panel returns a series with a value, but for those that EMPTY names."""
    without = {
        panel["title"]
        for panel in panels()
        for expression, legend in queries(panel)
        if not observed.prometheus.over_the_run(expression, legend)
    }
    assert without == set(EMPTY)


def test_legends_are_complete(observed: Observed) -> None:
    """No legend names a label that the series do not have."""
    found = [observed.prometheus.over_the_run(*query) for panel in panels() for query in queries(panel)]
    assert [legend for series in found for legend in series if "{{" in legend] == []


def test_alerts_of_what_happened_fire_and_no_other(observed: Observed) -> None:
    """Redis was killed, sends were unclear, and a file of policies had a mistake: these three alerts fire."""
    asyncio.run(observed.until('ALERTS{alertname="M365McpPoliciesRefused", alertstate="firing"}'))
    for alert in alerts():
        observed.prometheus.instant(alert["expr"])
    assert observed.prometheus.firing == FIRING
