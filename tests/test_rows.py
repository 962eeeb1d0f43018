"""The rows of the acceptance suite, and what an attack found: each has a test that carries its id."""

import re
from functools import cache
from pathlib import Path

from m365_mcp.commands.doctor.printing import TITLES

TESTS = Path(__file__).parent
DOCS = TESTS.parent / "docs"
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


def carries(name: str, row: str) -> bool:
    """Return whether a test's name begins with ids of which this is one."""
    return re.match(rf"test_([a-z]\d+_)*{row.lower()}_", name) is not None


def lines_of_the_page() -> list[tuple[list[str], list[str]]]:
    """Return the ids of each line of the tables of threats, and the tests that it names."""
    lines = [line.split("|")[1:-1] for line in (DOCS / "security.md").read_text().splitlines() if line.startswith("| ")]
    rows = [cells for cells in lines if re.match(r" (Finding )?[A-Z]\d+\b", cells[0])]
    return [(cells[0].strip().split(", "), re.findall(r"`(test_\w+)`", cells[-1])) for cells in rows]


def test_pages_name_only_tests_that_exist() -> None:
    """What a page says is proved by a test is proved by a test of that name."""
    named = {name for page in DOCS.glob("*.md") for name in re.findall(r"`(test_\w+)`", page.read_text())}
    named -= set(TITLES)  # one check of the doctor sends a test mail

    assert named
    assert named - names() == set()


def test_page_of_threats_has_a_line_for_every_row_and_finding() -> None:
    """Each row of the acceptance suite, and each finding of the attack, has one line there."""
    named = sorted(row for ids, _ in lines_of_the_page() for row in ids)

    assert named == sorted([*SUITE, *(f"Finding H{number}" for number in range(1, 22))])


def test_every_row_names_a_test_that_carries_its_id() -> None:
    """Ids stand at the beginning of a test's name, several where one test covers several."""
    rows = [(row.removeprefix("Finding "), row, tests) for ids, tests in lines_of_the_page() for row in ids]
    missing = {row for row_id, row, tests in rows if not any(carries(name, row_id) for name in tests)}

    assert missing == set()
