"""Every page in Chromium, in both languages, light and dark, on a phone; axe-core judges, and the keyboard works."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx2
import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import BrowserContext, ConsoleMessage, Page, Route, expect
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as ServerRoute

from m365_mcp import settings
from m365_mcp.app import assemble
from m365_mcp.auth.passkeys import Passkey
from m365_mcp.container import Container, build_container
from m365_mcp.errors import (
    ClientSecretExpired,
    HostNotServed,
    OriginHidden,
    OriginNotAllowed,
    SignInReloaded,
    StorageUnavailable,
    TokenVersionMistake,
    UploadLinkEnded,
)
from m365_mcp.errors.request_error import note
from m365_mcp.mail import Recipient
from m365_mcp.person import PersonId
from m365_mcp.sending.approvals import ShownMail
from m365_mcp.sending.held_mail import HeldMail
from m365_mcp.uploads.links import UploadLink
from tests.browsers import NEEDS_CHROMIUM, open_profile
from tests.web.apps import CALLBACK, IDS, authorize, register

pytestmark = [*NEEDS_CHROMIUM, pytest.mark.full, pytest.mark.xdist_group("chromium pages")]
URL = "http://localhost:8000"
TOOLSETS = ("drafts", "attachments", "replies", "schedule", "people")
# What is refused elsewhere, and only after Entra ID has answered.
FAILED = TokenVersionMistake()
FAILED.client_url = f"{CALLBACK}?error=access_denied&state=s"
SHOWN = {
    "administrator": ClientSecretExpired(reference="AADSTS7000222"),
    "failed sign-in": FAILED,
    "outage": StorageUnavailable(),
    "ended": UploadLinkEnded(),
    "other host": HostNotServed(),
    "other site": OriginNotAllowed(),
    "hidden": OriginHidden(),
    "reloaded": SignInReloaded(),
}


@dataclass
class Site:
    """A server in this process, which Chromium reaches through Playwright; nothing listens on a port."""

    container: Container
    http: httpx2.AsyncClient
    profile: BrowserContext
    outside: list[str]
    forms: int = 0
    forms_go_on: asyncio.Event = field(default_factory=asyncio.Event)
    added: dict[str, str] = field(default_factory=dict)  # headers that a proxy in front of the server sets

    async def answer(self, route: Route) -> None:
        """Pass one request of Chromium on to the application."""
        asked = route.request
        if not asked.url.startswith(URL):
            self.outside.append(asked.url)
            await route.abort()
            return
        headers = {name: value for name, value in (await asked.all_headers()).items() if not name.startswith(":")}
        sent = await self.http.request(asked.method, asked.url, headers=headers, content=asked.post_data_buffer)
        self.http.cookies.clear()  # Chromium keeps them
        if asked.method == "POST":
            self.forms += 1
            await self.forms_go_on.wait()
        answered = dict(sent.headers)
        if "set-cookie" in answered:  # Playwright takes one in a line
            answered["set-cookie"] = "\n".join(sent.headers.get_list("set-cookie"))
        answered |= self.added
        await route.fulfill(status=sent.status_code, headers=answered, body=sent.content)

    async def address(self, page: str) -> str:
        """Return the address of a page by its name here."""
        if page == "consent":
            return (await authorize(self.http, await register(self.http))).headers["Location"]
        if page == "unlisted":
            begun = await authorize(self.http, await register(self.http), redirect_uri="https://evil.example/cb")
            return str(begun.url)
        if page == "upload":
            link = UploadLink(
                person=PersonId("tenant", "person"),
                session_id="s",
                draft_id="d",
                name="Quarterly figures.pdf",
                size=41_943_040,
                expires_at=self.container.services.uploads.links.clock() + 754,
            )
            return f"{URL}/upload/{await self.container.services.uploads.links.issue(link)}"
        return URL + PATHS[page]


PATHS = {
    "landing": "/",
    "expired": "/consent?txn_id=gone",
    "client unknown": "/authorize?client_id=x&response_type=code&code_challenge=x&redirect_uri=http://localhost/",
    "not found": "/none",
    "for clients": "/mcp",
    **{name: f"/shown/{name}" for name in SHOWN},
    "approval": "/waiting/one",
    "approvals": "/waiting/list",
    "approval by passkey": "/waiting/passkey",
    "approval without a passkey": "/waiting/no-passkey",
    "passkeys": "/waiting/passkeys",
    "passkeys changed": "/waiting/changed",
    "approved": "/waiting/done",
}
PAGES = ("consent", "unlisted", "upload", *PATHS)


PASSKEY = Passkey(id="a", public_key="k", sign_count=0, name="Phone of the long names", added_at=0.0, used_at=1.0)


def waiting_routes(container: Container) -> list[ServerRoute]:
    """Return routes that show a mail that waits, to whoever comes."""
    pages, mail = container.pages, held_mail()
    people = {"to": (Recipient("grace@contoso.example", "Grace Hopper"),), "bcc": (), "reply_to": ()}
    shown = ShownMail(
        mail,
        Recipient("ada@contoso.example", "Ada Lovelace"),
        "Meeting notes",
        {**people, "cc": (Recipient("sales@fabrikam.example"),)},
        frozenset(["sales@fabrikam.example"]),
        (("notes-of-the-meeting-with-a-long-name.pdf", 188_416),),
        "HTML",
        "<p>Hello Grace,</p><p>here are <b>the notes</b> of today.</p>",
        first_time=frozenset(["sales@fabrikam.example"]),
    )

    async def one(request: Request) -> Response:
        return pages.approval(request, shown, "t" * 64, 0.0)

    async def body(request: Request) -> Response:
        return pages.approval_body(request, shown)

    async def every(request: Request) -> Response:
        waiting = [mail, mail.model_copy(update={"subject": ""})]
        return pages.approvals(request, waiting, 0.0, has_passkeys=True)

    async def done(request: Request) -> Response:
        return pages.approval_done(request, mail, was_sent=True)

    async def by_passkey(request: Request) -> Response:
        return pages.approval(request, shown, "t" * 64, 0.0, passkeys=1)

    async def without(request: Request) -> Response:
        return pages.approval(request, shown, "t" * 64, 0.0, passkeys=0)

    async def passkeys(request: Request) -> Response:
        return pages.passkeys(request, [PASSKEY, PASSKEY.model_copy(update={"name": "", "id": "b"})], "t" * 64)

    async def changed(request: Request) -> Response:
        return pages.passkeys(request, [PASSKEY], "")

    found = {"/waiting/passkey": by_passkey, "/waiting/no-passkey": without, "/waiting/passkeys": passkeys}
    found |= {
        "/waiting/changed": changed,
        "/waiting/one": one,
        f"/approvals/{mail.id}/body": body,
        "/waiting/list": every,
        "/waiting/done": done,
    }
    return [ServerRoute(path, endpoint) for path, endpoint in found.items()]


def held_mail() -> HeldMail:
    return HeldMail(
        id="0123456789abcdef" * 2,
        person=PersonId("tenant", "person"),
        session_id="s",
        client="c",
        sign_in_name="ada@contoso.example",
        rule="setting:M365_SEND_APPROVAL",
        held_at=0.0,
        expires_at=840.0,
        names=("n",),
        fingerprint="f",
        window_seconds=600.0,
        way="direct",
        subject="Meeting notes",
        addresses=("grace@contoso.example", "sales@fabrikam.example"),
    )


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """A server with every toolset, and a phone in front of it."""
    container = build_container(settings.load(**IDS, redis_url="memory://", m365_toolsets=TOOLSETS, _env_file=None))
    app = assemble(container)

    async def show(request: Request) -> Response:
        note(SHOWN[request.path_params["name"]])
        return Response(status_code=500)  # in its place comes the page of the error

    app.router.routes.insert(0, ServerRoute("/shown/{name}", show))
    app.router.routes[:0] = waiting_routes(container)
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with (
        httpx2.AsyncClient(transport=transport, base_url=URL) as http,
        open_profile(
            viewport={"width": 390, "height": 800}, permissions=["clipboard-read", "clipboard-write"]
        ) as profile,
    ):
        found = Site(container, http, profile, [])
        found.forms_go_on.set()
        await profile.route("**/*", found.answer)
        yield found
    await container.close()


@pytest.mark.parametrize("language", ["en", "zh-Hant"])
async def test_f18_pages_are_accessible_in_both_schemes_and_fit_a_phone(site: Site, language: str) -> None:
    """axe-core has no findings, nothing is wider than the phone, and nothing is asked of a third party."""
    found = {name: await _findings(site, name, language) for name in PAGES}  # one browser for all: its start is slow

    assert {name: problems for name, problems in found.items() if problems} == {}
    assert site.outside == []


async def _findings(site: Site, name: str, language: str) -> list[str]:
    page = await site.profile.new_page()
    found, address = problems_of(page), await site.address(name)
    await page.goto(address + ("&" if "?" in address else "?") + f"lang={language}")
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)
        await page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        results = await Axe().run(page)
        found += [f"{scheme}: {one['id']}: {one['nodes'][0]['html'][:200]}" for one in results.response["violations"]]
        for width in (390, 320):
            await page.set_viewport_size({"width": width, "height": 800})
            if await page.evaluate("document.documentElement.scrollWidth") > width:
                found.append(f"{scheme}: wider than {width} pixels")
    if await page.locator("html").get_attribute("lang") != language or await page.locator("h1").count() != 1:
        found.append("no single heading, or another language")
    await page.close()
    return found


async def test_f18_light_and_dark_differ(site: Site) -> None:
    """The page follows the colour scheme of the device."""
    page, colours = await site.profile.new_page(), set()
    await page.goto(URL)

    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)
        colours.add(await page.evaluate("getComputedStyle(document.body).backgroundColor"))

    assert len(colours) == 2


async def test_f18_consent_page_is_usable_by_keyboard(site: Site) -> None:
    """Tab comes to each control, which then has a visible ring; Enter changes the language, and cancels."""
    page = await site.profile.new_page()
    await page.goto(await site.address("consent"))
    reached = []

    for _ in range(4):
        await page.keyboard.press("Tab")
        reached.append(await page.evaluate("document.activeElement.textContent"))
        assert await page.evaluate("getComputedStyle(document.activeElement).outlineWidth") == "3px"
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading")).to_have_text("要讓「Claude」以您的名義寄信嗎？")
    async with page.expect_request(re.compile(re.escape(CALLBACK))) as back:
        await page.get_by_role("button", name="取消").press("Enter")

    assert reached == ["Allow and sign in", "Cancel", "Details", "繁體中文"]
    assert "error=access_denied" in (await back.value).url


@pytest.mark.parametrize("pause", [60, 120])  # milliseconds between down and up
@pytest.mark.parametrize(
    ("button", "address"),
    [("Allow and sign in", "https://login.microsoftonline.com/"), ("Cancel", CALLBACK)],
    ids=["allow", "cancel"],
)
async def test_f18_double_click_is_one_answer(site: Site, button: str, address: str, pause: int) -> None:
    """A button that is pressed twice leads where one press leads: Allow to Microsoft, Cancel to the client."""
    page = await site.profile.new_page()
    await page.goto(await site.address("consent"))
    site.forms_go_on.clear()  # the second press comes before the first response

    async with page.expect_request(re.compile(re.escape(address))):
        await page.get_by_role("button", name=button).dblclick(delay=pause)
        site.forms_go_on.set()

    assert site.forms == 2
    assert [one for one in site.outside if not one.startswith(address)] == []


async def test_f18_form_names_its_origin_behind_a_proxy_that_hides_it(site: Site) -> None:
    """Many proxies add `no-referrer` to every response; the form of the consent page names its origin all the same."""
    site.added["Referrer-Policy"] = "no-referrer"
    page = await site.profile.new_page()
    await page.goto(await site.address("consent"))

    async with page.expect_request(lambda request: request.method == "POST") as sent:
        await page.get_by_role("button", name="Cancel").click()

    assert (await (await sent.value).all_headers())["origin"] == URL


async def test_f18_expired_form_ends_on_our_page(site: Site) -> None:
    """A form whose cookie is gone, as in a browser that keeps none, leads to a page that says what to do."""
    page = await site.profile.new_page()
    await page.goto(await site.address("consent"))
    await site.profile.clear_cookies()

    await page.get_by_role("button", name="Allow and sign in").click()

    await expect(page.get_by_role("heading")).to_have_text("This sign-in began in another browser")


@pytest.mark.parametrize(("name", "text"), [("landing", f"{URL}/mcp"), ("administrator", "client_secret_expired · ")])
async def test_f18_button_copies_the_line_beside_it(site: Site, name: str, text: str) -> None:
    """The address, and the line for the IT support, are copied by one press, which is confirmed."""
    page = await site.profile.new_page()
    await page.goto(await site.address(name))

    await page.get_by_role("button", name="Copy").first.click()

    await expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert (await page.evaluate("navigator.clipboard.readText()")).startswith(text)


def problems_of(page: Page) -> list[str]:
    """Return a list to which the page adds what its console says went wrong, a broken policy included."""
    found: list[str] = []

    def add(message: ConsoleMessage) -> None:
        # Chromium reports the status of an error page as an error, too.
        if message.type == "error" and "the server responded with a status of" not in message.text:
            found.append(message.text)

    page.on("console", add)
    page.on("pageerror", lambda error: found.append(str(error)))
    return found


async def test_l5_mail_that_waits_is_shown_in_a_sandbox_and_read_by_keyboard(site: Site) -> None:
    """The frame shows the mail's text and runs nothing; Tab comes to Send, to Discard and to the language."""
    page = await site.profile.new_page()
    await page.goto(URL + PATHS["approval"])

    await expect(page.frame_locator("iframe.mail").get_by_text("the notes")).to_be_visible()
    assert await page.locator("iframe.mail").get_attribute("sandbox") == ""
    await page.get_by_role("button", name="Send").focus()
    reached = [await page.evaluate("document.activeElement.textContent")]
    for _ in range(2):
        await page.keyboard.press("Tab")
        reached.append(await page.evaluate("document.activeElement.textContent"))

    assert reached == ["Send", "Discard", "繁體中文"]
