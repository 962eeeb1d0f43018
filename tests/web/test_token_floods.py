"""A flood of token requests without a grant counts, whatever the reason they are refused for."""

from __future__ import annotations

from collections import Counter

import pytest

from m365_mcp.web import rate_limits
from tests.inprocess import CALLBACK, running

LIMIT, REQUESTS = 5, 12


@pytest.mark.parametrize(
    ("client", "status"), [("garbage", 401), ("https://nowhere.invalid/client.json", 503)], ids=["unknown", "document"]
)
async def test_requests_of_a_client_that_cannot_be_known_count(
    monkeypatch: pytest.MonkeyPatch, client: str, status: int
) -> None:
    """Anybody can name a document that cannot be fetched; its 503 is no outage that gives the count back."""
    monkeypatch.setitem(rate_limits.RATES, "/token", rate_limits.Rates(address=LIMIT, client=LIMIT, total=LIMIT))
    form = {"grant_type": "authorization_code", "code": "x", "code_verifier": "v" * 43, "redirect_uri": CALLBACK}
    async with running() as world:
        answers = [await world.token(**form, client_id=client) for _ in range(REQUESTS)]

    assert Counter(answer.status_code for answer in answers) == {status: LIMIT, 429: REQUESTS - LIMIT}
