"""One Chromium for all tests of the corpus, and the corpus composed and compared once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browsers import CHROMIUM, MISSING
from tests.corpus.bodies import corpus
from tests.corpus.checking import Result, check
from tests.corpus.chromium import Chromium, open_chromium


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    if CHROMIUM is None:
        pytest.skip(MISSING)
    with open_chromium() as opened:
        yield opened


@pytest.fixture(scope="session")
def result(chromium: Chromium) -> Result:
    """The real composer's result over the whole corpus."""
    return check(corpus(), chromium)
