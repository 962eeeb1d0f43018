"""A flood from one address is refused; a company behind one address, and people who are signed in, are not."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
import pytest
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from m365_mcp.commands.demo.sign_in import read_form
from m365_mcp.errors import ApprovalTooOften, StorageUnavailable
from m365_mcp.metrics import Metrics
from m365_mcp.person import PersonId
from m365_mcp.web.client_address import ClientAddresses
from m365_mcp.web.oauth_requests import OAuthBodies
from m365_mcp.web.rate_limits import (
    APPROVALS,
    BYTES_PER_TOKEN,
    MAX_PAGES,
    RATES,
    WINDOW_SECONDS,
    ApprovalRates,
    RateLimits,
)
from m365_mcp.web.token_buckets import MAX_KEYS, TokenBuckets
from tests.web.apps import BROWSER, CHINESE, authorize, consent, opened, register

COMPANY, CLAUDE, STRANGER = "198.51.100.7", ("203.0.113.1", "203.0.113.2"), "192.0.2.66"
CLAUDES_ID = "https://claude.ai/oauth/mcp-oauth-client-metadata"
PEOPLE = 2000
BAD, GOOD = "bad", "good"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Endpoints:
    """The OAuth endpoints behind the limits; a bad code fails, and everything else succeeds."""

    now: float = 0.0
    is_down: bool = False  # the store
    asked: int = 0  # whether a code or token is valid
    reached: Counter[str] = field(default_factory=Counter)
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        addresses = ClientAddresses(("10.0.0.0/8",))
        limits = RateLimits(self._answer, addresses.of, self._has_grant, self.metrics, lambda: self.now)
        self.app = OAuthBodies(limits)

    async def _has_grant(self, fields: Mapping[str, str]) -> bool:
        self.asked += 1
        if self.is_down:
            raise StorageUnavailable
        return GOOD in (fields.get("code"), fields.get("token"))

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.reached[scope["path"]] += 1
        failed = scope["path"] == "/token" and f"code={BAD}".encode() in (await receive())["body"]
        status = 503 if self.is_down else 401 if failed else 200
        await Response(status_code=status)(scope, receive, send)

    async def ask(self, address: str, method: str, path: str, body: str = "") -> Answer:
        target, _, query = path.partition("?")
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body.encode(), "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {"type": "http", "method": method, "path": target, "query_string": query.encode(), "headers": []}
        await self.app({**scope, "client": (address, 1)}, receive, send)
        headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return Answer(sent[0]["status"], headers, sent[1]["body"])

    async def flood(self, address: str, method: str, path: str, body: str = "", *, count: int) -> list[int]:
        """Return the statuses of so many equal requests."""
        return [(await self.ask(address, method, path, body)).status for _ in range(count)]


def authorization(client_id: str, **more: str) -> str:
    query = {"response_type": "code", "client_id": client_id, "state": "s" * 43, "code_challenge": "c" * 43, **more}
    return f"/authorize?{urlencode(query)}"


def redemption(client_id: str, code: str = GOOD) -> str:
    return urlencode({"grant_type": "authorization_code", "client_id": client_id, "code": code})


def sign_in(number: int, *, by_registration: bool) -> Iterator[tuple[str, str, str, str]]:
    """Yield the requests of one sign-in: the browser's come from the company, the client's from the client."""
    client = CLAUDE[number % 2] if not by_registration else COMPANY
    client_id = f"registered-{number}" if by_registration else CLAUDES_ID
    if by_registration:
        yield client, "POST", "/register", '{"redirect_uris": ["http://localhost:1/callback"]}'
    for _ in range(1 + number % 2):  # every second one goes back and begins again
        yield COMPANY, "GET", authorization(client_id), ""
    for _ in range(2):  # a scanner or a reload fetches the page, too
        yield COMPANY, "GET", f"/consent?txn_id=t{number}", ""
    yield COMPANY, "POST", "/consent", f"txn_id=t{number}&action=approve"
    for _ in range(1 + number % 2):  # a callback, and for some people a second round
        yield COMPANY, "GET", f"/auth/callback?code=x&state=t{number}", ""
    if number % 3 == 0:  # an old code of the last time comes first
        yield client, "POST", "/token", redemption(client_id, BAD)
    yield client, "POST", "/token", redemption(client_id)


def beginnings() -> list[float]:
    """Return when 2,000 people begin within ten minutes; a third of them within the first two."""
    chance = random.Random(11)  # noqa: S311 - the same people every time
    early = [chance.uniform(0, 120) for _ in range(PEOPLE // 3)]
    return sorted([*early, *(chance.uniform(120, 600) for _ in range(PEOPLE - len(early)))])


@pytest.mark.parametrize("by_registration", [True, pytest.param(False, marks=pytest.mark.full)])
@pytest.mark.parametrize("begins", ["within ten minutes", pytest.param("at once", marks=pytest.mark.full)])
async def test_h3_two_thousand_people_behind_one_address_are_never_refused(by_registration: bool, begins: str) -> None:
    """A company has one address, and Claude has two addresses and one client id: everybody signs in."""
    endpoints, refused = Endpoints(), []

    for number, at in enumerate(beginnings() if begins == "within ten minutes" else [0.0] * PEOPLE):
        endpoints.now = at
        for request in sign_in(number, by_registration=by_registration):
            answer = await endpoints.ask(*request)
            refused += [(number, *request)] if answer.status == 429 else []

    assert refused == []
    assert endpoints.reached["/token"] >= PEOPLE


FLOODS: dict[str, tuple[str, str, str]] = {
    "/register": ("POST", "/register", "{}"),
    "/authorize": ("GET", authorization("c"), ""),
    "/consent": ("POST", "/consent", "txn_id=t"),
    "/auth/callback": ("GET", "/auth/callback?code=x&state=t", ""),
    "/token": ("POST", "/token", redemption("c", BAD)),
    "/revoke": ("POST", "/revoke", "client_id=c&token=bad"),
}


@pytest.mark.parametrize("path", FLOODS)
@pytest.mark.sample(2)
async def test_b1_b6_h3_flood_from_one_address_is_refused_and_takes_nothing_from_others(path: str) -> None:
    """Beyond the number, an address gets 429 and when to come back, and one other address still gets through."""
    endpoints, most = Endpoints(), RATES[path].address

    statuses = await endpoints.flood(STRANGER, *FLOODS[path], count=most + 2000)
    refused = await endpoints.ask(STRANGER, *FLOODS[path])
    other = await endpoints.ask(COMPANY, *FLOODS[path])

    assert statuses.count(429) == 2000
    assert statuses[most:] == [429] * 2000
    assert int(refused.headers["retry-after"]) >= 5
    assert refused.json()["error"] == "temporarily_unavailable"
    assert refused.json()["error_description"].startswith("too_many_requests: More sign-ins are beginning")
    assert other.status != 429
    sample = endpoints.metrics.registry.get_sample_value
    assert sample("m365_mcp_rate_limited_total", {"endpoint": path[1:], "limit": "address"}) == 2001


async def test_h3_flood_is_let_in_again_as_time_passes() -> None:
    """After the time that the refusal names one request passes, and after ten minutes as many as at first."""
    endpoints, most = Endpoints(), RATES["/register"].address
    await endpoints.flood(STRANGER, *FLOODS["/register"], count=most)
    refused = await endpoints.ask(STRANGER, *FLOODS["/register"])

    endpoints.now += int(refused.headers["retry-after"])
    after = await endpoints.ask(STRANGER, *FLOODS["/register"])
    endpoints.now += WINDOW_SECONDS
    later = await endpoints.flood(STRANGER, *FLOODS["/register"], count=most + 1)

    assert refused.status == 429
    assert after.status == 200
    assert later.count(429) == 1


@pytest.mark.parametrize(
    "path", [pytest.param(path, marks=() if path == "/register" else pytest.mark.full) for path in FLOODS]
)
async def test_h3_flood_from_many_addresses_reaches_the_total(path: str) -> None:
    """The total holds over all addresses, and alone where the address is not known."""
    endpoints, unknown = Endpoints(), Endpoints()
    method, target, body = FLOODS[path]
    most = min(filter(None, (RATES[path].total, RATES[path].client)))

    spread = [await endpoints.ask(f"192.0.2.{n % 250}", method, target, body) for n in range(most + 5)]
    alone = await unknown.flood("10.1.2.3", method, target, body, count=most + 5)

    assert [answer.status for answer in spread].count(429) == 5
    assert alone.count(429) == 5


async def test_b6_h3_one_client_does_not_take_the_total() -> None:
    """However many addresses ask for one client, another client's people still begin."""
    endpoints, most = Endpoints(), RATES["/authorize"].client

    floods = [await endpoints.ask(f"192.0.2.{n % 250}", "GET", authorization("c")) for n in range(most + 1)]
    other = await endpoints.ask(COMPANY, "GET", authorization("other"))

    assert [answer.status for answer in floods].count(429) == 1
    assert other.status == 200


VALID = {"/token": redemption("c"), "/revoke": f"client_id=c&token={GOOD}"}


@pytest.mark.parametrize("path", VALID)
async def test_h3_valid_grant_passes_from_an_address_that_is_over_its_limit(path: str) -> None:
    """Only requests without a valid code or token are counted, and over the limit they are refused before any work."""
    endpoints, most = Endpoints(), RATES[path].total
    await endpoints.flood(STRANGER, *FLOODS[path], count=RATES[path].address)
    worked = endpoints.reached[path]

    failures = await endpoints.flood(STRANGER, *FLOODS[path], count=5)
    reached = endpoints.reached[path]
    good = await endpoints.flood(STRANGER, "POST", path, VALID[path], count=most)

    assert failures == [429] * 5
    assert reached == worked
    assert set(good) == {200}


async def test_h3_store_is_asked_about_a_code_or_token_only_over_the_limit() -> None:
    """What succeeds at the token endpoint costs no question, and takes no tokens from those who fail."""
    endpoints, most = Endpoints(), RATES["/token"].address

    good = await endpoints.flood(STRANGER, "POST", "/token", VALID["/token"], count=most + 5)
    asked_before = endpoints.asked
    failures = await endpoints.flood(STRANGER, *FLOODS["/token"], count=most + 5)

    assert set(good) == {200}
    assert asked_before == 0
    assert failures == [401] * most + [429] * 5
    assert endpoints.asked == 5


async def test_h3_nobody_is_limited_while_the_store_cannot_say_who_is_valid() -> None:
    """The answer is an outage, so that no client takes its token for an invalid one, and it comes at once."""
    endpoints = Endpoints(is_down=True)

    statuses = await endpoints.flood(STRANGER, *FLOODS["/token"], count=RATES["/token"].total + 1)

    assert set(statuses) == {503}


async def test_h3_mcp_endpoint_is_not_limited_here() -> None:
    """Whoever has a token sends as often as before."""
    endpoints = Endpoints()

    assert set(await endpoints.flood(STRANGER, "POST", "/mcp", "{}", count=RATES["/token"].total)) == {200}


async def test_h3_large_request_costs_more() -> None:
    """What the store has to take counts: an 8 KB state takes as much as five ordinary requests."""
    endpoints, large = Endpoints(), authorization("c", state="s" * 4 * BYTES_PER_TOKEN)

    statuses = await endpoints.flood(STRANGER, "GET", large, count=RATES["/authorize"].address // 5 + 10)

    assert statuses.count(429) == 10


async def test_b7_consent_page_is_shown_a_few_times_and_then_says_when_to_come_back() -> None:
    """200 reloads of one page leave no more CSRF records than ten, and another sign-in is not concerned."""
    endpoints = Endpoints()

    statuses = [(await endpoints.ask(STRANGER, "GET", "/consent?txn_id=t")).status for _ in range(200)]
    other = await endpoints.ask(STRANGER, "GET", "/consent?txn_id=u")
    pressed = await endpoints.ask(STRANGER, "POST", "/consent", "txn_id=t&action=approve")

    assert statuses == [200] * MAX_PAGES + [429] * (200 - MAX_PAGES)
    assert [other.status, pressed.status] == [200, 200]


@pytest.fixture
async def browser() -> AsyncIterator[httpx2.AsyncClient]:
    async with opened(mcp_trusted_proxies="10.0.0.0/8") as http:
        yield http


async def test_f18_person_who_reloads_too_often_gets_a_page_and_the_operator_a_line(
    browser: httpx2.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    """The page says in the person's language what to do, and the record of sign-ins has the code."""
    begun = await authorize(browser, await register(browser))
    page = begun.headers["Location"]
    shown = [await browser.get(page) for _ in range(MAX_PAGES)]
    refused = await browser.get(page)
    chinese = await browser.get(page, headers=CHINESE)
    program = await browser.get(page, headers={"Accept": "application/json"})

    assert {answer.status_code for answer in shown} == {200}
    assert [refused.status_code, chinese.status_code, program.status_code] == [429] * 3
    assert "This page was loaded too often" in refused.text
    assert ">Try again</a>" not in refused.text
    assert "More sign-ins" not in refused.text
    assert "此頁面載入次數過多" in chinese.text
    assert int(refused.headers["Retry-After"]) >= 5
    lines = [line for line in capsys.readouterr().out.splitlines() if "sign_in " in line and "step=consent" in line]
    assert [line for line in lines if "code=sign_in_reloaded outcome=refused" in line] == lines
    assert len(lines) == 3


SIZES: dict[str, tuple[dict[str, Any], str]] = {
    "state": ({"state": "s" * 8193}, "The parameter state of the authorization request is longer than 8192 bytes."),
    "code_challenge": ({"code_challenge": "c" * 129}, "The parameter code_challenge"),
    "redirect_uri": ({"redirect_uri": "http://localhost/" + "a" * 2040}, "The parameter redirect_uri"),
    "scope": ({"scope": "s " * 3000}, "The longest parameter"),
    "nonce": ({"nonce": "n" * 4097}, "The longest parameter"),
    "all": ({f"p{n}": "x" * 4000 for n in range(9)}, "The authorization request is longer than 32768 bytes."),
}


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_h3_authorization_request_that_is_too_large_is_refused(
    browser: httpx2.AsyncClient, name: str, method: str
) -> None:
    """A program reads which parameter it was, a person sees a page, and nobody is redirected."""
    changes, sentence = SIZES[name]
    fields = {"response_type": "code", "client_id": await register(browser), "code_challenge": "c" * 43, **changes}
    sent: dict[str, Any] = {"params": fields} if method == "GET" else {"data": fields}

    program = await browser.request(method, "/authorize", headers={"Accept": "application/json"}, **sent)
    person = await browser.request(method, "/authorize", headers=BROWSER, **sent)

    assert [program.status_code, person.status_code] == [400, 400]
    assert program.json()["error"] == "invalid_request"
    assert program.json()["error_description"].startswith(sentence)
    assert "This sign-in cannot begin" in person.text
    assert sentence in person.text


async def test_h3_state_of_8_kb_is_accepted(browser: httpx2.AsyncClient) -> None:
    """It comes back as it was when the person declines."""
    state = "ab+/=%&ü\n" * 819
    page = await consent_of(browser, state)
    form = read_form(str(page.url), page.text)
    declined = await browser.post(form.action, data={**form.fields, "action": "deny"})

    assert dict(parse_qsl(urlsplit(declined.headers["Location"]).query))["state"] == state


async def consent_of(browser: httpx2.AsyncClient, state: str) -> httpx2.Response:
    begun = await authorize(browser, await register(browser), state=state)
    assert begun.status_code == 302, begun.text
    return await browser.get(begun.headers["Location"])


async def test_h14_name_is_cut_and_cleaned_before_it_is_stored(browser: httpx2.AsyncClient) -> None:
    """The registration answers with the name that is stored: one short line without direction controls."""
    body = {"redirect_uris": ["http://localhost:1/cb"], "token_endpoint_auth_method": "none"}
    long = await browser.post("/register", json={**body, "client_name": "x" * 10_000})
    turned = await browser.post("/register", json={**body, "client_name": "Claude\u202e\r\n\x00evil"})
    page = await consent(browser, client_name="x" * 10_000)

    assert len(long.json()["client_name"]) == 60
    assert turned.json()["client_name"] == "Claude evil"
    assert "x" * 61 not in page.text


async def test_b3_h14_registration_with_too_many_redirect_uris_is_refused(browser: httpx2.AsyncClient) -> None:
    """The refusal says how many, and how long they may be."""
    many = [f"http://localhost:{port}/cb" for port in range(1, 12)]
    long = ["http://localhost/" + "a" * 2000]

    browser.headers["Accept"] = "application/json"
    refused = [await browser.post("/register", json={"redirect_uris": uris}) for uris in (many, long)]
    good = await browser.post("/register", json={"redirect_uris": many[:10], "grant_types": GRANTS})

    assert [answer.status_code for answer in refused] == [400, 400]
    assert {answer.json()["error"] for answer in refused} == {"invalid_client_metadata"}
    assert "at most 10 redirect URIs, with 1000 characters in all" in refused[0].json()["error_description"]
    assert good.status_code == 201
    assert good.json()["grant_types"] == ["authorization_code", "refresh_token"]


GRANTS = ["refresh_token", "authorization_code", "urn:" + "x" * 1000]


def test_h3_table_of_keys_is_bounded() -> None:
    """Strangers with many addresses make the table forget the oldest, and not grow."""
    buckets = TokenBuckets(1, 60.0, lambda: 100.0)

    for number in range(3 * MAX_KEYS):
        buckets.take(str(number), 1)

    assert buckets.wait_for(str(3 * MAX_KEYS - 1), 1) == 60.0
    assert buckets.wait_for("0", 1) == 0.0
    assert len(buckets) == MAX_KEYS


@pytest.mark.parametrize("address", [COMPANY, "10.0.0.1"])
def test_strangers_at_the_approval_pages_stop_nobody_who_has_signed_in(address: str) -> None:
    """Without a proof one address, or all together, have a limit; each person with a proof has one of their own."""
    metrics, now = Metrics(), [0.0]
    rates = ApprovalRates(ClientAddresses(("10.0.0.0/8",)).of, metrics, lambda: now[0])
    scope: dict[str, Any] = {"type": "http", "client": (address, 1)}
    ada, grace = PersonId("t", "ada"), PersonId("t", "grace")
    limit = APPROVALS.address if address == COMPANY else APPROVALS.total

    def passes(person: PersonId | None) -> float:
        try:
            rates.count(scope, person)
        except ApprovalTooOften as error:
            return float(error.retry_after or 0)
        return 0.0

    strangers = Counter(bool(passes(None)) for _ in range(limit + 5))
    ada_s = Counter(bool(passes(ada)) for _ in range(APPROVALS.person + 5))
    wait = passes(ada)
    other = passes(grace)
    now[0] += wait
    later = passes(ada)

    assert strangers == {False: limit, True: 5}
    assert ada_s == {False: APPROVALS.person, True: 5}
    assert wait >= 1
    assert (other, later) == (0.0, 0.0)
    by = "address" if address == COMPANY else "total"
    assert metrics.rate_limited.labels("approvals", by)._value.get() == 5
    assert metrics.rate_limited.labels("approvals", "person")._value.get() == 6
