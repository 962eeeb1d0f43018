"""The form of the consent page, sent twice: by a double click, or after a look at Microsoft's page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx2
import pytest

from m365_mcp.commands.demo.sign_in import read_form
from tests.e2e.person import SignInFailed
from tests.e2e.programs import Redis
from tests.inprocess import ADA, CALLBACK, MICROSOFT, Person, World, running

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")  # py-key-value 0.4.6


@pytest.fixture
async def world(redis: Redis) -> AsyncIterator[World]:
    async with running(redis_url=redis.url) as world:
        yield world


@dataclass
class Page:
    """An open consent page: its form, and the cookies that came with it."""

    world: World
    address: str
    fields: dict[str, str]
    cookies: httpx2.Cookies

    async def send(self, action: str, cookies: httpx2.Cookies | None = None) -> tuple[httpx2.Response, httpx2.Cookies]:
        """Send the form with these cookies, or those of the page; return the response, and the cookies after it."""
        sent = self.cookies if cookies is None else cookies
        async with httpx2.AsyncClient(transport=self.world.network, cookies=httpx2.Cookies(sent)) as http:
            response = await http.post(self.address, data={**self.fields, "action": action})
            return response, http.cookies


async def open_page(world: World) -> Page:
    async with httpx2.AsyncClient(transport=world.network) as http:
        begun = await http.get(await world.authorization())
        page = await http.get(begun.headers["Location"])
        form = read_form(str(page.url), page.text)
        return Page(world, form.action, form.fields, httpx2.Cookies(http.cookies))


async def finish(world: World, address: str, cookies: httpx2.Cookies) -> str:
    """Sign in at Microsoft in a browser with these cookies; return where the browser ends."""
    person = Person(world.network, ADA)
    person._cookies = cookies
    return await person.sign_in(address)


@pytest.mark.parametrize("kept", [0, 1], ids=["the first response", "the second response"])
async def test_f18_form_sent_twice_at_once_signs_in_with_either_response(world: World, kept: int) -> None:
    """Both lead to Microsoft, and whichever response the browser keeps, the sign-in completes."""
    page = await open_page(world)

    answers = await asyncio.gather(page.send("approve"), page.send("approve"))
    response, cookies = answers[kept]

    assert [answer.status_code for answer, _ in answers] == [302, 302]
    assert answers[0][0].headers["Location"] == answers[1][0].headers["Location"]
    assert response.headers["Location"].startswith(MICROSOFT)
    assert (await finish(world, response.headers["Location"], cookies)).startswith(f"{CALLBACK}?code=")


@pytest.mark.parametrize("has_first_response", [True, False])
async def test_f18_second_click_leads_to_microsoft_too(world: World, has_first_response: bool) -> None:
    """With the cookies of the first response, or still with those of the page, the redirect is the same again."""
    page = await open_page(world)

    first, cookies = await page.send("approve")
    second, cookies = await page.send("approve", cookies if has_first_response else None)

    assert second.headers["Location"] == first.headers["Location"]
    assert (await finish(world, second.headers["Location"], cookies)).startswith(f"{CALLBACK}?code=")


@pytest.mark.parametrize("before", ["deny", "approve"])
@pytest.mark.parametrize("has_first_response", [True, False])
async def test_f18_cancel_leads_to_the_client_also_at_the_second_click(
    world: World, before: str, has_first_response: bool
) -> None:
    """Whether the first click was Cancel or Allow, Cancel brings the client its refusal and its state."""
    page = await open_page(world)

    _, cookies = await page.send(before)
    second, _ = await page.send("deny", cookies if has_first_response else None)

    found = dict(httpx2.URL(second.headers["Location"]).params)
    assert second.status_code == 302
    assert second.headers["Location"].startswith(CALLBACK)
    assert found["error"] == "access_denied"
    assert len(found["state"]) == 16


async def test_f18_nothing_is_allowed_after_cancel(world: World) -> None:
    """The client has its refusal, so Allow leads nowhere."""
    page = await open_page(world)

    _, cookies = await page.send("deny")
    allowed = [await page.send("approve", cookies), await page.send("approve")]

    assert [answer.status_code for answer, _ in allowed] == [400, 400]


async def test_f18_cancel_takes_an_earlier_allow_back(world: World) -> None:
    """The client has its refusal, so neither Microsoft's page in another tab nor the form leads to a code."""
    page = await open_page(world)

    approved, cookies = await page.send("approve")
    await page.send("deny", cookies)
    again, _ = await page.send("approve", cookies)
    with pytest.raises(SignInFailed) as ended:
        await finish(world, approved.headers["Location"], cookies)

    assert again.status_code == 400
    assert ended.value.page.status_code == 403


@pytest.mark.parametrize("action", ["approve", "deny"])
async def test_a2_f18_form_of_one_browser_is_refused_from_another(world: World, action: str) -> None:
    """Who knows the form and has no cookie of it, is not answered again, before and after the sign-in was approved."""
    page, other = await open_page(world), await open_page(world)

    early, _ = await page.send(action, httpx2.Cookies())
    await page.send("approve")
    late = [await page.send(action, cookies) for cookies in (httpx2.Cookies(), other.cookies)]

    assert early.status_code == 403
    assert [answer.status_code for answer, _ in late] == [400, 400]


async def test_f18_form_of_a_sign_in_that_is_done_has_expired(world: World) -> None:
    """After the sign-in, the page that is still open in another tab says so."""
    page = await open_page(world)
    response, cookies = await page.send("approve")
    await finish(world, response.headers["Location"], cookies)

    late, _ = await page.send("approve", cookies)

    assert urlsplit(str(late.url)).path == "/consent"
    assert (late.status_code, "sign_in_expired" in late.text) == (400, True)
