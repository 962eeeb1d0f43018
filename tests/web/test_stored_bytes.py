"""How much one request of a stranger can write to the store at most; docs/deploy.md has the numbers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
import redis as redis_py

from m365_mcp.auth.registrations import MAX_REDIRECT_CHARACTERS
from m365_mcp.web.oauth_requests import MAX_PARAMETERS
from tests.e2e.programs import Redis
from tests.web.apps import authorize, opened, register

MOST = {"register": 5000, "authorize": 75_000, "consent": 1000}  # bytes
ESCAPED = "\x01"  # takes the most room: six characters of JSON
ROOT = Path(__file__).parents[2]


@pytest.fixture
async def browser(redis: Redis) -> AsyncIterator[httpx2.AsyncClient]:
    async with opened(redis_url=redis.url) as http:
        yield http


@pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")  # py-key-value 0.4.6 calls it
async def test_h3_one_request_writes_no_more_than_the_documents_say(redis: Redis, browser: httpx2.AsyncClient) -> None:
    """The largest registration, authorization request and page, in the bytes that Redis needs for them."""
    before, written = "http://localhost:1/", {}
    with redis_py.Redis.from_url(redis.url) as admin:

        def take() -> int:
            return sum(int(admin.memory_usage(key)) for key in admin.keys("*"))

        uri = before + "a" * (MAX_REDIRECT_CHARACTERS - len(before))
        client_id = await register(browser, client_name="\U00010000" * 9000, redirect_uris=[uri])
        written["register"] = take()
        parameters = {"state": MAX_PARAMETERS["state"], "code_challenge": MAX_PARAMETERS["code_challenge"]}
        worst = {name: ESCAPED * size for name, size in parameters.items()}
        begun = await authorize(browser, client_id, redirect_uri=uri, **worst)
        written["authorize"] = take() - sum(written.values())
        shown = await browser.get(begun.headers["Location"])
        written["consent"] = take() - sum(written.values())

    assert [begun.status_code, shown.status_code] == [302, 200]
    assert {name: size for name, size in written.items() if not 0.5 * MOST[name] < size <= MOST[name]} == {}
    text = (ROOT / "docs/deploy.md").read_text()
    assert [name for name, size in MOST.items() if f"{size:,} bytes" not in text] == []
