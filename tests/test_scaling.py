"""The table of docs/scaling.md follows from the model's constants."""

from __future__ import annotations

from tests.scaling import DOCUMENT, size, with_table


def test_table_of_the_document_is_what_the_model_says() -> None:
    """`python -m tests.scaling` would change nothing."""
    text = DOCUMENT.read_text()

    assert with_table(text) == text


def test_model_grows_with_the_people() -> None:
    """Ten times the people make ten times the calls and the memory, and at least the fewest replicas."""
    one, ten = size(100_000), size(1_000_000)

    assert abs(ten.calls / one.calls - 10) < 1e-9
    assert abs(ten.redis_gigabytes / one.redis_gigabytes - 10) < 1e-9
    assert size(1).cores == 2
