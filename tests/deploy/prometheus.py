"""A real Prometheus on this machine, with the configuration and the alerts of `deploy/observability`."""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import yaml

from m365_mcp.settings import foreign_environment
from tests.e2e.programs import Program, free_port
from tests.trust import NO_AUTHORITY

FOLDER = Path(__file__).parents[2] / "deploy" / "observability"
PROMTOOL, PROMETHEUS = shutil.which("promtool"), shutil.which("prometheus")

# In CI, root on Debian can install them; there a check that was left out is a failure, not a skip.
IS_REQUIRED = foreign_environment().get("CI") == "true" and os.geteuid() == 0 and Path("/etc/debian_version").exists()
INSTALL = "no Prometheus on this machine: apt-get install prometheus"
# What Grafana puts in the place of a dashboard's variables: here all servers, and windows that fit a short run.
VARIABLES = {"$namespace": ".*", "$job": ".*", "$__rate_interval": "10s", "$__range": "10m"}

Series = dict[str, list[tuple[float, float]]]


@dataclass
class Prometheus:
    """A running Prometheus; `begun` is when it was started, in seconds since 1970."""

    url: str
    program: Program
    begun: float = field(default_factory=time.time)

    def get(self, path: str, **parameters: Any) -> Any:
        """Ask its API; an error of an expression is a failure."""
        with httpx2.Client(verify=NO_AUTHORITY, trust_env=False, timeout=30) as http:
            reply = http.get(f"{self.url}/api/v1/{path}", params=parameters)
        assert reply.status_code == 200, f"{parameters}: {reply.text}"
        return reply.json()["data"]

    def instant(self, expression: str) -> list[dict[str, Any]]:
        """Return the samples that the expression has now."""
        found: list[dict[str, Any]] = self.get("query", query=expression)["result"]
        return found

    def over_the_run(self, expression: str, legend: str = "") -> Series:
        """Return the finite values since the start, one list of (time, value) for each series, by its legend."""
        data = self.get("query_range", query=expression, start=self.begun, end=time.time(), step=1)
        found: Series = {}
        for series in data["result"]:
            values = [(float(at), float(value)) for at, value in series["values"]]
            finite = [(at, value) for at, value in values if math.isfinite(value)]
            if finite:
                found[_legend(legend, series["metric"])] = finite
        return found

    @property
    def firing(self) -> set[str]:
        """The alerts that fire now."""
        return {alert["labels"]["alertname"] for alert in self.get("alerts")["alerts"] if alert["state"] == "firing"}


def start_prometheus(folder: Path, *ports: int) -> Prometheus:
    """Start a Prometheus that scrapes these ports each second; its alerts are ours, without the wait of `for`."""
    assert PROMETHEUS is not None
    configuration = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    [job] = configuration["scrape_configs"]
    job["static_configs"] = [{"targets": [f"127.0.0.1:{port}" for port in ports]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    rules = yaml.safe_load((FOLDER / "rules.yaml").read_text())
    for alert in [alert for group in rules["groups"] for alert in group["rules"]]:
        alert.pop("for", None)
    (folder / "rules.yaml").write_text(yaml.safe_dump(rules))
    port = free_port()
    options = ["--config.file=prometheus.yml", f"--storage.tsdb.path={folder / 'data'}", "--log.level=warn"]
    program = Program([PROMETHEUS, *options, f"--web.listen-address=127.0.0.1:{port}"], folder / "prometheus.log")
    found = Prometheus(f"http://127.0.0.1:{port}", program)
    program.start()
    program.wait_until(lambda: _is_ready(found.url))
    return found


def panels() -> list[dict[str, Any]]:
    """Return the dashboard's panels that show something, without the headings of rows."""
    dashboard = json.loads((FOLDER / "dashboard.json").read_text())
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def queries(panel: dict[str, Any]) -> list[tuple[str, str]]:
    """Return each query of a panel as Grafana would ask it, with its legend."""
    return [(filled_in(target["expr"]), target["legendFormat"]) for target in panel["targets"]]


def filled_in(expression: str) -> str:
    """Return the expression with a value for each variable."""
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    return expression


def alerts() -> list[dict[str, Any]]:
    """Return all alerts of rules.yaml."""
    groups = yaml.safe_load((FOLDER / "rules.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def _legend(pattern: str, labels: dict[str, str]) -> str:
    for name, value in labels.items():
        pattern = pattern.replace("{{" + name + "}}", value)
    return pattern


def _is_ready(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/-/ready", verify=NO_AUTHORITY, trust_env=False).status_code == 200
    except httpx2.HTTPError:
        return False
