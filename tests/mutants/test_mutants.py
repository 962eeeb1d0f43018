"""The tool that measures the tests: it finds the small bugs, sees which are noticed, and counts right."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants.operators import mutants_of
from tests.mutants.report import (
    BEGIN,
    END,
    PACKAGES,
    Result,
    Score,
    Survivor,
    modules_of,
    page_section,
    read_reasons,
    read_results,
    score,
    write_page,
    write_results,
)
from tests.mutants.runner import PACKAGE, Runner

SOURCE = '''"""A module."""

import re

LIMIT = 3


@property
def is_fine(number: "int") -> bool:
    """Tell."""
    _log.info("asked")
    return number < LIMIT
'''


def test_every_place_but_the_untouched_ones_is_mutated() -> None:
    """Constants and decorated functions are mutated; imports, docstrings, annotations and log events are not."""
    found = {(mutant.line, mutant.before, mutant.after) for mutant in mutants_of(SOURCE)}

    assert found == {
        (5, "LIMIT = 3", "LIMIT = None"),
        (5, "LIMIT = 3", "LIMIT = 4"),
        (12, "return number < LIMIT", "return number <= LIMIT"),
    }


def test_mutant_is_the_module_with_one_change() -> None:
    """The rest of the source stays to the letter."""
    [mutant] = [one for one in mutants_of(SOURCE) if "<=" in one.after]

    assert mutant.source == SOURCE.replace("<", "<=")


def test_run_sees_what_the_tests_see() -> None:
    """A mutant in a tested function dies, the module as it is lives, and a function that no test runs is not tried."""
    runner, path = Runner("", ["tests/mutants/sample"]), PACKAGE / "retries.py"
    source = path.read_text()
    line = _line(source, "return float")

    assert runner.warm_up().passed
    assert runner.run("m365_mcp.retries", path, source, line).passed
    died = runner.run("m365_mcp.retries", path, source.replace("return float", "return None and float"), line)
    assert not died.passed
    assert "test_seconds_are_read" in str(died.failed)
    assert runner.run("m365_mcp.retries", path, "1 / 0", _line(source, "def jittered") + 1).passed


def _line(source: str, part: str) -> int:
    return next(number for number, line in enumerate(source.splitlines(), 1) if part in line)


def test_sample_is_called_one(tmp_path: Path) -> None:
    """The page and the results say that only every fourth mutant of a module was run."""
    every = {"mail/words.py": Result("0", 10, (Survivor(1, "a", "b"),), every=4)}
    write_results(every, tmp_path / "results.json")

    assert read_results(tmp_path / "results.json") == every
    assert "| `mail/words.py` (one in 4, changed since) | 10 | 9 | 0 | 1 | 90.0 % |" in page_section(every, {})


def test_survivors_are_counted_apart_from_the_equivalent_ones(tmp_path: Path) -> None:
    """The score is of those that can die; results outlive the run, and the page says what survived and why."""
    survivors = (Survivor(1, "a", "b"), Survivor(2, "c", ""))
    results = {"mail/words.py": Result("0", 10, survivors)}
    reasons = {("mail/words.py", "c", ""): "the same for every text"}
    write_results(results, tmp_path / "results.json")
    page = tmp_path / "testing.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")

    write_page(page_section(read_results(tmp_path / "results.json"), reasons), page)

    assert score(results.items(), reasons) == Score(10, 1, 1)
    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "old" not in text
    assert "| **mail** | 10 | 8 | 1 | 1 | 88.9 % |" in text
    assert "- `mail/words.py`: `` a `` → `` b ``\n" in text
    assert "- `mail/words.py`: `` c `` → nothing: the same for every text\n" in text


@pytest.mark.parametrize("name", ["mail/html/css.py", "src/m365_mcp/mail/html/css.py", "mail/html"])
def test_modules_are_named_in_any_way(name: str) -> None:
    """A module, a folder, and a path from the top all name what is meant."""
    assert PACKAGE / "mail/html/css.py" in modules_of([name])


def test_unknown_module_is_named() -> None:
    """What is not there is an error, not an empty run."""
    with pytest.raises(ValueError, match="mail/nothing"):
        modules_of(["mail/nothing.py"])


def test_every_excuse_has_a_reason_and_its_line() -> None:
    """An equivalent mutant is excused by an input, and only while its line is in the module."""
    for (module, before, _), reason in read_reasons().items():
        lines = " ".join(line.strip() for line in (PACKAGE / module).read_text().splitlines())
        assert before in lines
        assert len(reason) > 20
        assert "important" not in reason


def test_every_package_has_fast_tests() -> None:
    """The folder of tests is named like the package."""
    assert all((Path(__file__).parents[1] / name).is_dir() for name in PACKAGES)
