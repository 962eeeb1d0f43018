"""The page for directories is true: its cases run, and its table of hints is that of the tools."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.e2e.directory_cases import CASES, Case
from tests.e2e.person import Assistant, text_of
from tests.e2e.programs import Simulator
from tests.schemas import TOOL_SCHEMAS

PAGE = (Path(__file__).parents[2] / "docs" / "directory-submission.md").read_text()
HINTS = ("readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.prompt)
async def test_case_of_the_page_ends_as_promised(case: Case, writer: Assistant, simulator: Simulator) -> None:
    """The call says what the page expects, and as many mails leave."""
    result = await writer.call(case.tool, case.arguments)

    assert bool(result.is_error) is case.is_refused, text_of(result)
    assert case.says in text_of(result)
    assert len(simulator.outbox) == case.mails


def test_page_lists_the_cases() -> None:
    """Every case is a row of the page, at least five that succeed and three that are refused."""
    rows = re.findall(r"^\| (.+) \| `([a-z_]+)` \| (.+) \|$", PAGE.partition("## Test cases")[2], re.MULTILINE)

    assert rows == [(case.prompt, case.tool, case.expected) for case in CASES]
    assert sum(not case.is_refused for case in CASES) >= 5
    assert sum(case.is_refused for case in CASES) >= 3


def test_page_has_the_titles_and_hints_of_the_tools() -> None:
    """Every tool is a row with its title, its four hints and a reason."""
    rows = re.findall(r"^\| `([a-z_]+)` \| (.+?) \| (\w+) \| (\w+) \| (\w+) \| (\w+) \| (.+) \|$", PAGE, re.MULTILINE)
    listed = {name: (title, *(hint == "yes" for hint in hints)) for name, title, *hints, _ in rows}
    real = {
        name: (tool["title"], *(tool["annotations"][hint] for hint in HINTS)) for name, tool in TOOL_SCHEMAS.items()
    }

    assert listed == real
    assert all(len(row[-1].split()) >= 4 for row in rows)
