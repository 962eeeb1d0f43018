"""The dashboard and the alerts of `deploy/observability`, checked by promtool, a schema and the documents."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from prometheus_client import Metric

from m365_mcp.commands.reference import every_error
from m365_mcp.metrics import Metrics
from m365_mcp.settings import foreign_environment
from tests.deploy.prometheus import FOLDER, INSTALL, IS_REQUIRED, PROMTOOL, alerts, panels
from tests.deploy.tools import ROOT, build, parse, run
from tests.test_metrics import documented

pytestmark = pytest.mark.deploy
needs_promtool = pytest.mark.skipif(PROMTOOL is None and not IS_REQUIRED, reason=INSTALL)
SCHEMA = json.loads((Path(__file__).parent / "dashboard.schema.json").read_text())
OPERATE = (ROOT / "docs" / "operate.md").read_text()
SCHEMAS = foreign_environment().get("GRAFANA_SCHEMAS")
OF_PROMETHEUS = {"up", "ALERTS"}


@needs_promtool
@pytest.mark.parametrize(
    "arguments",
    [("check", "config", "prometheus.yml"), ("check", "rules", "rules.yaml"), ("test", "rules", "rules_test.yaml")],
)
def test_promtool_accepts(arguments: tuple[str, ...]) -> None:
    """promtool finds no mistake in the configuration and the alerts, and each alert fires when it should."""
    assert PROMTOOL is not None, INSTALL
    done = run(PROMTOOL, *arguments, cwd=FOLDER)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_tested() -> None:
    """rules_test.yaml expects each alert to fire once at least."""
    cases = yaml.safe_load((FOLDER / "rules_test.yaml").read_text())["tests"]
    asked = [asked for case in cases for asked in case.get("promql_expr_test", [])]
    fired = {
        label for one in asked for sample in one["exp_samples"] for label in re.findall(r'"(\w+)"', sample["labels"])
    }
    assert fired == {alert["alert"] for alert in alerts()}


def test_each_alert_has_its_section() -> None:
    """docs/operate.md has a section for each alert and no other, and the alert points there."""
    sections = re.findall(r"^### (M365Mcp\w+)$", OPERATE, re.MULTILINE)
    assert sections == [alert["alert"] for alert in alerts()]
    for alert in alerts():
        text = OPERATE.partition(f"### {alert['alert']}\n")[2].partition("\n#")[0]
        assert all(f"**{word}.**" in text for word in ("Meaning", "Check", "Mend")), alert["alert"]
        assert alert["annotations"]["runbook_url"] == f"docs/operate.md#{alert['alert'].lower()}"
        assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
        assert alert["labels"]["severity"] in {"critical", "warning"}


def test_cluster_gets_the_same_alerts_and_dashboard() -> None:
    """What kustomize makes has the groups of rules.yaml, the dashboard, and a monitor for a port that the pods have."""
    built = {document["kind"]: document for document in parse(build("deploy/observability"))}
    [deployment] = [
        one for one in parse(build("k8s")) if one["kind"] == "Deployment" and one["metadata"]["name"] == "mcp-server"
    ]
    pod = deployment["spec"]["template"]
    monitor = built["PodMonitor"]["spec"]
    assert built["PrometheusRule"]["spec"] == yaml.safe_load((FOLDER / "rules.yaml").read_text())
    assert json.loads(built["ConfigMap"]["data"]["dashboard.json"]) == json.loads(
        (FOLDER / "dashboard.json").read_text()
    )
    assert monitor["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    ports = [port["name"] for port in pod["spec"]["containers"][0]["ports"]]
    assert [endpoint["port"] in ports for endpoint in monitor["podMetricsEndpoints"]] == [True]


def test_metrics_that_are_asked_for_exist() -> None:
    """Alerts, panels and docs/operate.md name only metrics and labels that the server has."""
    expressions = [alert["expr"] for alert in alerts()] + [t["expr"] for panel in panels() for t in panel["targets"]]
    known = {name for family in Metrics().registry.collect() for name in _names(family)} | OF_PROMETHEUS
    asked = {name for text in [*expressions, OPERATE] for name in re.findall(r"\b(?:m365_mcp|process)_[a-z_]+\b", text)}
    assert asked - known == set()
    assert {name for name in known if name.startswith("m365_mcp_")} >= asked - OF_PROMETHEUS - {
        n for n in asked if n[0] == "p"
    }


def test_labels_that_are_asked_for_exist() -> None:
    """A selector names a label that the metric has, and a value that the table in docs/deploy.md or docs/errors.md has.

    A value that no series has is an alert that never fires.
    """
    texts = [alert["expr"] for alert in alerts()] + [t["expr"] for panel in panels() for t in panel["targets"]]
    table, wrong = documented(), set()
    codes = {kind.code for kind in every_error()} | {"ok", "cancelled", "unknown_tool"}
    for name, selector in re.findall(r"(m365_mcp_\w+)\{([^}]*)\}", " ".join(texts)):
        labels = table[re.sub(r"_(total|bucket|count|sum)$", "", name)][1]
        for label, operator, value in re.findall(r'(\w+)(=~|!=|=)"([^"]*)"', selector):
            if label in ("namespace", "job"):
                continue
            known = codes if labels.get(label) == set() else labels.get(label, set())
            values = value.split("|") if operator == "=~" else [re.escape(value)]
            wrong |= {(name, label, one) for one in values if not any(re.fullmatch(one, code) for code in known)}
    assert wrong == set()


def _names(family: Metric) -> set[str]:
    kinds = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum", "")}
    return {family.name + suffix for suffix in kinds.get(family.type, ("",))}


def test_dashboard_is_valid_and_portable() -> None:
    """The dashboard has the form that Grafana reads, unique ids, no overlaps, and its variables in every query."""
    dashboard = json.loads((FOLDER / "dashboard.json").read_text())
    jsonschema.Draft202012Validator(SCHEMA).validate(dashboard)
    ids = [panel["id"] for panel in dashboard["panels"]]
    cells = [cell for panel in dashboard["panels"] for cell in _cells(panel["gridPos"])]
    assert len(set(ids)) == len(ids)
    assert len(set(cells)) == len(cells)
    for target in [target for panel in panels() for target in panel["targets"]]:
        assert target["datasource"]["uid"] == "${datasource}"
        assert target["expr"].count('{namespace=~"$namespace", job=~"$job"') == len(
            re.findall(r"\b(?:m365_mcp|process)_\w+", target["expr"])
        )


def _cells(grid: dict[str, int]) -> list[tuple[int, int]]:
    return [(grid["x"] + x, grid["y"] + y) for x in range(grid["w"]) for y in range(grid["h"])]


@pytest.mark.skipif(SCHEMAS is None, reason="GRAFANA_SCHEMAS names no folder; see docs/operate.md")
def test_dashboard_keeps_the_schemas_of_grafana() -> None:
    """The schemas that Grafana publishes accept the dashboard, and the options of each panel."""

    def schema(name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((Path(str(SCHEMAS)) / f"{name}.jsonschema.json").read_text())
        return found

    dashboard = json.loads((FOLDER / "dashboard.json").read_text())
    jsonschema.Draft7Validator(schema("dashboard")).validate(dashboard)
    for panel in panels():
        own = schema(panel["type"])
        jsonschema.Draft7Validator({**own, "$ref": "#/definitions/Options"}).validate(panel["options"])
        custom = panel["fieldConfig"]["defaults"].get("custom")
        if custom is not None:
            jsonschema.Draft7Validator({**own, "$ref": "#/definitions/FieldConfig"}).validate(custom)
        for target in panel["targets"]:
            jsonschema.Draft7Validator(schema("prometheus")).validate(target)
