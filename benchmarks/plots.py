"""Draws the plots of `docs/performance.md`, readable on a light and on a dark page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.bench import ROOT
from benchmarks.contender import Contender
from benchmarks.rows import BASE, FACTORS
from benchmarks.runner import Results

FOLDER = ROOT / "docs" / "performance"
INK = "#7d8590"  # grey with a contrast of 3.5 or more on white and on GitHub's dark page
COLOURS = ("#2f81f7", "#d9822b", "#3fa45b", "#a371f7", "#8b949e", "#d1556a")
STYLE = {
    "svg.hashsalt": "m365",  # the same results give the same file
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": INK,
    "grid.alpha": 0.25,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def draw(results: Results, contenders: Sequence[Contender], folder: Path = FOLDER) -> list[tuple[str, str]]:
    """Write the plots, and return for each its path in the document and what it shows."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    with mpl.rc_context(STYLE):
        for name, shows, figure in _figures(results, contenders):
            path = folder / f"{name}.svg"
            figure.savefig(path, transparent=True, metadata={"Date": None}, bbox_inches="tight")
            found.append((f"{folder.name}/{path.name}", shows))
    return found


def _figures(results: Results, contenders: Sequence[Contender]) -> list[tuple[str, str, Figure]]:
    compared = [contender for contender in contenders if contender.compared]
    return [
        ("processor", "Processor time of a get_my_profile with 32 callers", _processor(results, contenders)),
        ("callers", "Requests a second and 99th percentile by number of callers", _callers(results, compared)),
        ("people", "Processor time of a call by number of people", _people(results, compared)),
    ]


def _processor(results: Results, contenders: Sequence[Contender]) -> Figure:
    """Draw a bar for each contender, and above it the range of its rounds."""
    figure = Figure(figsize=(7, 0.5 * len(contenders) + 0.8))
    axes = figure.subplots()
    for place, contender in enumerate(contenders):
        rounds = [each.processor * 1e3 for each in results.measured[contender.name][BASE]]
        middle = median(rounds)
        axes.barh(place, middle, color=COLOURS[place % len(COLOURS)], height=0.6)
        axes.plot([min(rounds), max(rounds)], [place, place], color=INK, linewidth=2)
        axes.text(max(rounds), place, f"  {middle:.2f} ms", va="center")
    axes.set_yticks(range(len(contenders)), [contender.title for contender in contenders])
    axes.invert_yaxis()
    axes.set_xlabel("processor time of a call, ms (median; line: all rounds)")
    axes.margins(x=0.15)
    return figure


def _callers(results: Results, compared: Sequence[Contender]) -> Figure:
    figure = Figure(figsize=(8, 3.2))
    left, right = figure.subplots(1, 2)
    points = FACTORS["callers"]
    for colour, contender in zip(COLOURS, compared, strict=False):
        rounds = [results.measured[contender.name].get(point, []) for point in points.values()]
        _line(left, points, [[each.rate for each in one] for one in rounds], colour, contender.title)
        _line(right, points, [[each.p99 * 1e3 for each in one] for one in rounds], colour, contender.title)
    left.set_ylabel("requests a second")
    right.set_ylabel("99th percentile, ms")
    for axes in (left, right):
        axes.set_xlabel("callers")
        axes.set_ylim(bottom=0)
    left.legend(frameon=False)
    figure.tight_layout()
    return figure


def _people(results: Results, compared: Sequence[Contender]) -> Figure:
    figure = Figure(figsize=(5, 3.2))
    axes = figure.subplots()
    points = FACTORS["people"]
    for colour, contender in zip(COLOURS, compared, strict=False):
        rounds = [results.measured[contender.name].get(point, []) for point in points.values()]
        _line(axes, points, [[each.processor * 1e3 for each in one] for one in rounds], colour, contender.title)
    axes.set_xlabel("people")
    axes.set_ylabel("processor time of a call, ms")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    return figure


def _line(axes: Any, points: dict[str, Any], rounds: list[list[float]], colour: str, title: str) -> None:
    """Draw the medians, and the range of the rounds behind them; what was not measured is left out."""
    found = [(name, values) for name, values in zip(points, rounds, strict=True) if values]
    names = [name for name, _ in found]
    axes.plot(names, [median(values) for _, values in found], color=colour, marker="o", label=title)
    axes.fill_between(names, [min(v) for _, v in found], [max(v) for _, v in found], color=colour, alpha=0.2)
    axes.grid(axis="y")
