"""Renders the chart in deploy/helm with Helm's own code, from the package `helm-python-sdk` in `.venv-deploy`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.deploy.tools import ROOT, Document, parse, program, run

CHART = ROOT / "deploy" / "helm"
_PROGRAM = """
import json, sys
from helm_python.chart import Chart, lint
from helm_python.errors import HelmError
try:
    with Chart.load(sys.argv[1]) as chart:
        files = chart.render(json.loads(sys.argv[2]), name="mail", namespace="mcp")
    print(json.dumps({"files": files, "lint": lint(sys.argv[1], strict=True)}))
except HelmError as error:
    print(json.dumps({"refused": str(error)}))
"""


def _helm(values: dict[str, Any], chart: Path) -> dict[str, Any]:
    done = run(program("python"), "-c", _PROGRAM, chart, json.dumps(values))
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def files_of(values: dict[str, Any], chart: Path = CHART) -> dict[str, str]:
    """Return what Helm renders for release `mail` in namespace `mcp`: texts by the names of their templates."""
    answer = _helm(values, chart)
    assert "refused" not in answer, answer["refused"]
    return {name.rpartition("/")[2]: text for name, text in answer["files"].items()}


def objects_of(values: dict[str, Any], chart: Path = CHART) -> list[Document]:
    """Return the objects that Helm renders."""
    return [
        document for name, text in files_of(values, chart).items() if name != "NOTES.txt" for document in parse(text)
    ]


def refusal_of(values: dict[str, Any]) -> str:
    """Return what Helm says about values that it does not take; empty where it takes them."""
    return str(_helm(values, CHART).get("refused", ""))


def lint_messages() -> list[str]:
    """Return what `helm lint --strict` says, but for hints."""
    report = _helm({}, CHART)["lint"]
    return [*report["errors"], *(m["error"] for m in report["messages"] if m["severity"] > 1)]
