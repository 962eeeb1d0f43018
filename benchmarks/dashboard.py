"""Draws the Grafana dashboard from a real run, for docs/operate.md (`make dashboard`). Grafana has no part in it.

A real Prometheus watches the real server in `tests/deploy/observed.py`; the panels, their places and their queries are
those of `deploy/observability/dashboard.json`.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator, PercentFormatter

from benchmarks.bench import ROOT
from tests.deploy.observed import everything_happens, started
from tests.deploy.prometheus import FOLDER, Prometheus, Series, queries
from tests.e2e.programs import end_all

PAUSE_SECONDS, ROUNDS = 6, 2
WIDTH, CELL = 15.0, 0.36  # inches: of the picture, and of a row of Grafana's grid
COLOURS = ("#3274d9", "#e0752d", "#37872d", "#a352cc", "#c4162a", "#b78d0f", "#1aa2a2", "#8b6d5c")
THEMES = {
    "dashboard": {"page": "#f4f5f5", "panel": "#ffffff", "ink": "#24292e", "line": "#d8dade"},
    "dashboard-dark": {"page": "#111217", "panel": "#181b1f", "ink": "#ccccdc", "line": "#34373d"},
}
STYLE = {"svg.hashsalt": "m365", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 7}
Shown = list[tuple[dict[str, Any], Series]]


def main() -> None:
    """Run, ask the queries of all panels, and write the two pictures."""
    try:
        with tempfile.TemporaryDirectory() as folder, started(Path(folder), PAUSE_SECONDS) as run:
            asyncio.run(everything_happens(run, ROUNDS))
            shown, begun = _ask(run.prometheus), run.prometheus.begun
    finally:
        end_all(shared=True)
    for name, theme in THEMES.items():
        with mpl.rc_context(STYLE):
            _draw(shown, begun, theme).savefig(ROOT / "docs" / "images" / f"{name}.svg", metadata={"Date": None})


def _ask(prometheus: Prometheus) -> Shown:
    panels = json.loads((FOLDER / "dashboard.json").read_text())["panels"]
    return [(panel, _series(prometheus, panel)) for panel in panels]


def _series(prometheus: Prometheus, panel: dict[str, Any]) -> Series:
    found: Series = {}
    for expression, legend in queries(panel) if panel["type"] != "row" else ():
        found |= prometheus.over_the_run(expression, legend)
    return found


def _draw(shown: Shown, begun: float, theme: dict[str, str]) -> Figure:
    """Return the picture: each panel at its place in Grafana's grid of 24 columns."""
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel, _ in shown)
    figure = Figure(figsize=(WIDTH, height * CELL), facecolor=theme["page"])
    for panel, series in shown:
        place = panel["gridPos"]
        left, bottom = place["x"] / 24, 1 - (place["y"] + place["h"]) / height
        if panel["type"] == "row":
            figure.text(left + 0.006, bottom + 0.3 / height, panel["title"], color=theme["ink"], size=10, weight="bold")
            continue
        box = (left + 0.003, bottom + 0.1 / height, place["w"] / 24 - 0.006, (place["h"] - 0.2) / height)
        _panel(figure, box, panel, series, begun, theme)
    return figure


def _panel(
    figure: Any, box: tuple[float, ...], panel: dict[str, Any], series: Series, begun: float, theme: Any
) -> None:
    """Draw the frame and the title, and in it the lines or the one number."""
    frame = figure.add_axes(box, facecolor=theme["panel"], xticks=[], yticks=[])
    frame.spines[:].set_color(theme["line"])
    left, bottom, width, height = box
    figure.text(left + 0.004, bottom + height - 0.0012, panel["title"], color=theme["ink"], size=8, va="top")
    if panel["type"] == "stat":
        [values] = series.values()
        frame.text(0.5, 0.42, f"{values[-1][1]:.0f}", color=COLOURS[0], size=20, ha="center", va="center")
    elif not series:
        frame.text(0.5, 0.5, "No data", color=theme["ink"], alpha=0.6, ha="center", va="center")
    else:
        inside = (left + 0.03, bottom + height * 0.3, width - 0.036, height * 0.54)
        _lines(figure.add_axes(inside, facecolor=theme["panel"]), panel, series, begun, theme)


def _lines(axes: Any, panel: dict[str, Any], series: Series, begun: float, theme: dict[str, str]) -> None:
    for number, (legend, values) in enumerate(sorted(series.items())):
        colour = COLOURS[number % len(COLOURS)]
        minutes, heights = [(at - begun) / 60 for at, _ in values], _broken(values)
        axes.plot(minutes, heights, color=colour, linewidth=0.9, label=legend)
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter("{x:.1f} min")
    units = {"s": EngFormatter("s"), "bytes": EngFormatter("B"), "percentunit": PercentFormatter(1)}
    axes.yaxis.set_major_formatter(units.get(panel["fieldConfig"]["defaults"]["unit"], "{x:g}"))
    axes.tick_params(colors=theme["ink"], labelsize=6, length=2, color=theme["line"])
    axes.spines[:].set_visible(False)
    axes.grid(color=theme["line"], linewidth=0.5)
    place = {"loc": "upper left", "bbox_to_anchor": (-0.06, -0.17), "ncols": max(2, panel["gridPos"]["w"] // 3)}
    axes.legend(**place, fontsize=5.5, frameon=False, labelcolor=theme["ink"], handlelength=1, columnspacing=0.8)


def _broken(values: list[tuple[float, float]]) -> list[float]:
    """Return the values, with none at the end of each part, so that no line leads over a time without any."""
    ends = [after - at > 1.5 for (at, _), (after, _) in pairwise(values)]
    return [float("nan") if is_end else value for (_, value), is_end in zip(values, [*ends, False], strict=True)]


if __name__ == "__main__":
    main()
