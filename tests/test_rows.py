"""The acceptance rows of staying signed in: each has a test that carries its id, and the page about them is true."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
RELIABILITY = TESTS.parent / "docs" / "reliability.md"
# Store faults have two names: E in the plan of the work, S in the acceptance suite.
ROWS = [
    *(f"c{number}" for number in range(5, 13)),
    *(f"s{number}" for number in (*range(1, 10), 12, 13, 14)),
    *(f"f{number}" for number in range(1, 14)),
    *("j1", "j2", "j4", "k4"),
]


def names() -> set[str]:
    found = (re.findall(r"def (test_\w+)", path.read_text()) for path in TESTS.rglob("test_*.py"))
    return {name for names in found for name in names}


@pytest.mark.parametrize("row", ROWS)
def test_row_has_a_test_that_carries_its_id(row: str) -> None:
    """Ids stand at the beginning of a test's name, several where one test covers several."""
    assert [name for name in names() if re.match(rf"test_([a-z]\d+_)*{row}_", name)]


def test_page_names_only_tests_that_exist() -> None:
    """What docs/reliability.md says is proved by a test is proved by a test of that name."""
    named = set(re.findall(r"`(test_\w+)`", RELIABILITY.read_text()))

    assert named
    assert named - names() == set()
