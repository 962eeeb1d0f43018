"""What the benchmark says of its figures: ratios, verdicts, tables, and where they are written."""

from math import nan
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.bench import Measured, Timing
from benchmarks.contenders import ALL, BARE, OURS, PLAIN
from benchmarks.counts import Counts
from benchmarks.processes import Cores
from benchmarks.rows import BASE, FACTORS, ROWS, everything, points_for
from benchmarks.runner import Results
from benchmarks.targets import Target, targets


def measured(rate: float, processor: float, **errors: int) -> Measured:
    """Return a measurement with these figures."""
    return Measured(rate, 0.1, 0.2, processor, 0.3, errors, 100, [1.0], (0.2, 0.3))


def results() -> Results:
    """Return results in which ours is twice as fast as the plain build, in the median of three rounds."""
    found = Results()
    found.measured[OURS.name][BASE] = [measured(200, 0.004), measured(210, 0.005), measured(20, 0.04)]
    found.measured[PLAIN.name][BASE] = [measured(100, 0.01), measured(110, 0.01), measured(90, 0.01)]
    found.counts[OURS.name] = Counts({"profile": 1, "list": 1, "send": 9, "refresh": 6}, 1)
    found.people = 100
    return found


@pytest.mark.parametrize(
    ("bound", "value", "verdict"),
    [
        ("≥", 2.1, "holds"),
        ("≥", 1.05, "misses by 50%"),
        ("≤", 2.1, "holds"),
        ("≤", 4.2, "misses by 100%"),
        ("≥", nan, "not measured"),
    ],
)
def test_verdict_says_by_how_much_a_target_is_missed(bound: str, value: float, verdict: str) -> None:
    """At the limit a target holds; what was not measured neither holds nor misses."""
    assert Target("row", "figure", bound, 2.1, value).verdict == verdict  # type: ignore[arg-type]


def test_targets_are_ratios_of_medians() -> None:
    """One bad round of three changes nothing; what nobody measured is not a number."""
    found = {(target.row, target.figure): target for target in targets(results())}

    assert found["get_my_profile, 32 callers", "requests/s of the plain build"].value == 2.0
    assert found["get_my_profile, 32 callers", "processor of the plain build"].value == 0.5
    assert found["warm send", "round trips to Redis"].verdict == "misses by 12%"
    assert found["refresh", "requests to Entra"].holds
    assert found["cold start", "time of the plain build"].holds is None


def test_failed_calls_stand_in_the_table() -> None:
    """A rate says little when calls fail, so the share of failures stands beside it."""
    found = results()
    found.measured[OURS.name][BASE][0] = measured(200, 0.004, refused=100)

    rows = report.main_table(found, [OURS, PLAIN])

    assert rows[1][1] == "200/s, 5.00 ms, p99 200 ms, **25.0% failed**"
    assert rows[2][1] == "100/s, 10.00 ms, p99 200 ms"


def test_block_replaces_the_one_before(tmp_path: Path) -> None:
    """Only what stands between the marks changes; a document without marks is refused."""
    document = tmp_path / "performance.md"
    document.write_text(f"Before\n{report.BEGIN}\nformer figures\n{report.END}\nAfter\n")

    about = report.circumstances(Cores(0, 0), Timing())
    report.write(report.block(results(), [OURS, PLAIN], about, [("a.svg", "A plot")]), document)

    text = document.read_text()
    assert text.startswith("Before\n<!-- begin: bench -->")
    assert text.endswith("<!-- end: bench -->\nAfter\n")
    assert "former figures" not in text
    assert "There was only one core" in text
    assert "| get_my_profile, 32 callers | requests/s of the plain build | ≥ 2.1 × | 2 × | **misses by 5%** |" in text
    document.write_text("nothing")
    with pytest.raises(ValueError, match="has no mark"):
        report.write("x", document)


def test_factors_change_one_thing_at_a_time() -> None:
    """Each value of a factor differs from the base in that one, and the base is among them."""
    for factor, values in FACTORS.items():
        assert BASE in values.values() or factor == "of 3 replicas"
    assert len(points_for(PLAIN, factors=True)) == len(dict.fromkeys([*ROWS.values(), *_all_factors()])) - 1
    assert len(set(everything())) == 4 * 3 * 2 * 2 * 2 * 2


def _all_factors() -> list[object]:
    return [point for values in FACTORS.values() for point in values.values()]


def test_contenders_are_measured_at_what_they_can_do() -> None:
    """One without send_mail or workers has no such points; names are unique, because the command line uses them."""
    assert {point.call for point in points_for(BARE, factors=False)} == {"profile", "list"}
    assert all(point.setup.workers == 1 for point in points_for(PLAIN, factors=True))
    assert len({contender.name for contender in ALL}) == len(ALL)
