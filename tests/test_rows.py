"""The acceptance rows of staying signed in and of sending: each has a test that carries its id."""

import re
from functools import cache
from pathlib import Path

TESTS = Path(__file__).parent
DOCS = TESTS.parent / "docs"
# Store faults have two names: E in the plan of the work, S in the acceptance suite.
ROWS = [
    *(f"c{number}" for number in range(5, 13)),
    *(f"s{number}" for number in (*range(1, 10), 12, 13, 14)),
    *(f"f{number}" for number in range(1, 14)),
    *("j1", "j2", "j4", "k4"),
    # Sending: what a message may be, and what becomes of it.
    *(f"g{number}" for number in (*range(1, 11), *range(13, 22), *range(24, 28))),
    *(f"h{number}" for number in range(1, 23)),
]
# All rows of the acceptance suite: how many each of its letters has.
SUITE = [
    f"{letter}{number}"
    for letter, count in {
        "A": 23,
        "B": 14,
        "C": 18,
        "S": 14,
        "F": 13,
        "G": 27,
        "H": 22,
        "I": 8,
        "J": 5,
        "K": 7,
        "L": 4,
    }.items()
    for number in range(1, count + 1)
]


@cache
def names() -> set[str]:
    found = (re.findall(r"def (test_\w+)", path.read_text()) for path in TESTS.rglob("test_*.py"))
    return {name for names in found for name in names}


def is_covered(row: str) -> bool:
    return any(re.match(rf"test_([a-z]\d+_)*{row}_", name) for name in names())


def test_every_row_has_a_test_that_carries_its_id() -> None:
    """Ids stand at the beginning of a test's name, several where one test covers several."""
    assert [row for row in ROWS if not is_covered(row)] == []


def test_pages_name_only_tests_that_exist() -> None:
    """What a page says is proved by a test is proved by a test of that name."""
    named = {name for page in DOCS.glob("*.md") for name in re.findall(r"`(test_\w+)`", page.read_text())}

    assert named
    assert named - names() == set()


def test_page_of_threats_has_a_line_for_every_row() -> None:
    """Each row of the acceptance suite names its tests there, or says that it has none."""
    lines = [line.split("|")[1:-1] for line in (DOCS / "security.md").read_text().splitlines() if line.startswith("| ")]
    rows = [(cells[0].strip().split(", "), cells[-1]) for cells in lines if re.match(r" [A-Z]\d+\b", cells[0])]

    assert sorted(row for ids, _ in rows for row in ids) == sorted(SUITE)
    assert [ids for ids, tests in rows if "`test_" not in tests and "no test" not in tests] == []
