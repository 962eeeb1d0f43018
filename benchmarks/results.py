"""Writes the figures of a run as JSON, for whoever computes with them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.bench import ROOT
from benchmarks.rows import Point
from benchmarks.runner import Results

FILE = ROOT / "docs" / "performance" / "results.json"


def write(results: Results, about: str, file: Path = FILE) -> None:
    """Write everything, each point with its conditions; seconds and bytes."""
    measured = {
        name: [
            {"point": conditions(point), "rounds": [asdict(one) for one in rounds]} for point, rounds in points.items()
        ]
        for name, points in results.measured.items()
    }
    others = {name: value for name, value in asdict_of(results).items() if name != "measured"}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"about": about, **others, "measured": measured}, indent=1) + "\n")


def asdict_of(results: Results) -> dict[str, Any]:
    """Return the fields of the results; `asdict` cannot copy a dictionary with a factory of its own."""
    plain = {name: value for name, value in vars(results).items() if name != "measured"}
    plain["refreshing"] = {name: [asdict(one) for one in found] for name, found in results.refreshing.items()}
    plain["counts"] = {name: asdict(found) for name, found in results.counts.items()}
    return plain


def conditions(point: Point) -> dict[str, Any]:
    """Return the conditions of a point in one level."""
    fields = asdict(point)
    return {**fields.pop("setup"), **fields}
