"""A person in a real browser: consent, sign-in at the simulated Entra ID, and the mailbox page updating by itself."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fastmcp import Client
from fastmcp.client.auth import OAuth
from fastmcp.client.transports import StreamableHttpTransport
from key_value.aio.stores.memory import MemoryStore
from key_value.aio.wrappers.prefix_keys import PrefixKeysWrapper
from playwright.async_api import BrowserContext, Page, expect

from tests.browsers import NEEDS_CHROMIUM, open_profile
from tests.e2e.attaching import TEN_MB, AttachingPerson, content, sha256
from tests.e2e.grants import start_server
from tests.e2e.person import Assistant, PersonAtBrowser, direct_client, done, text_of
from tests.e2e.programs import Redis, Server, Simulator, listens

pytestmark = [pytest.mark.full, *NEEDS_CHROMIUM]


@pytest.fixture
async def browser() -> AsyncIterator[BrowserContext]:
    """A fresh browser profile; the simulator's own certificate is accepted, as the demo asks the reader to do."""
    async with open_profile(ignore_https_errors=True) as profile:
        profile.set_default_timeout(20_000)
        yield profile


class BrowserOAuth(OAuth):
    """FastMCP's OAuth client, callback server included, with a page that a person clicks through."""

    def __init__(self, page: Page) -> None:
        super().__init__(
            client_name="Browser test",
            token_storage=PrefixKeysWrapper(MemoryStore(), "browser"),
            httpx_client_factory=direct_client,
        )
        self.page = page
        self.seen: list[str] = []

    async def redirect_handler(self, authorization_url: str) -> None:
        # The client listens for the callback only after this returns, as with a person who takes their time.
        self.clicks = asyncio.create_task(self._click_through(authorization_url))

    async def _click_through(self, authorization_url: str) -> None:
        page = self.page
        await page.goto(authorization_url)
        for button in ("Allow", "Ada Lovelace", "Accept"):
            await page.get_by_role("button", name=button).wait_for()
            self.seen.append(await page.inner_text("body"))
            if button == "Accept":
                await self._callback_listens()
            await page.get_by_role("button", name=button).click()
        await page.wait_for_url("**/callback?*")
        self.seen.append(await page.inner_text("body"))

    async def _callback_listens(self) -> None:
        while not listens(self.redirect_port):  # noqa: ASYNC110 - FastMCP's callback server has no event to wait for
            await asyncio.sleep(0.01)


async def test_sign_in_and_mail_in_a_real_browser(
    browser: BrowserContext, server: Server, simulator: Simulator
) -> None:
    """Three pages of clicks sign Ada in; Grace's open mailbox then shows the mail by itself, its scripts dead."""
    mailbox = await browser.new_page()
    problems: list[str] = []
    mailbox.on("dialog", lambda dialog: problems.append(dialog.message))
    await mailbox.goto(f"{simulator.ready['mailbox_page']}?person=grace&folder=inbox")
    oauth = BrowserOAuth(await browser.new_page())
    transport = StreamableHttpTransport(f"{server.url}/mcp", auth=oauth, httpx_client_factory=direct_client)

    async with Client(transport) as client:
        result = await client.call_tool("send_mail", HOSTILE_MAIL, raise_on_error=False)

    assert not result.is_error, text_of(result)
    await oauth.clicks
    consent, sign_in, permissions, back = oauth.seen
    assert "Browser test" in consent
    assert "M365 MCP Server" in consent
    assert "Allow Browser test to send mail as you?" in consent
    assert "simulator" in sign_in.lower()
    assert "Mail.Send" in permissions
    assert "Authentication" in back
    await expect(mailbox.get_by_text("<script>alert('subject')</script>").first).to_be_visible()
    await mailbox.get_by_text("<script>alert('subject')</script>").first.click()
    frame = mailbox.frame_locator("iframe")
    await expect(frame.get_by_text("the notes")).to_be_visible()
    assert await mailbox.locator("iframe").get_attribute("sandbox") == ""
    assert problems == []


HOSTILE_MAIL = {
    "to": ["grace@contoso.example"],
    "subject": "<script>alert('subject')</script>",
    "body": "<p>Here are <b>the notes</b>.</p><script>alert('body')</script><img src=x onerror=alert('img')>",
}


@asynccontextmanager
async def framing(url: str) -> AsyncIterator[str]:
    """Serve a page that frames another one; it is a real server, because Chromium asks where a page comes from."""
    page = f'<iframe src="{url}"></iframe>'.encode()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n" + page)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://localhost:{server.sockets[0].getsockname()[1]}/"


@pytest.mark.full
async def test_l5_person_approves_in_a_real_browser_and_no_frame_shows_the_page(
    browser: BrowserContext, simulator: Simulator, shared_redis: Redis, tmp_path: Path
) -> None:
    """One sign-in and one press send the mail that the page shows; another page cannot frame it."""
    options = {"M365_SEND_APPROVAL": "external", "M365_INTERNAL_DOMAINS": "contoso.example"}
    server = start_server(tmp_path, simulator, REDIS_URL=shared_redis.url, **options)
    ada = Assistant(server.url, PersonAtBrowser(simulator.ready["ca_file"]))
    held = await done(ada, "send_mail", **{**HOSTILE_MAIL, "to": ["marie@fabrikam.example"]})
    page, problems = await browser.new_page(), list[str]()
    page.on("dialog", lambda dialog: problems.append(dialog.message))
    await page.goto(held["approval_url"])
    await page.get_by_role("button", name="Ada Lovelace").click()
    await expect(page.get_by_role("heading")).to_have_text("Send this mail?")
    await expect(page.frame_locator("iframe.mail").get_by_text("the notes")).to_be_visible()
    hostile = await browser.new_page()
    blocked = hostile.expect_console_message(lambda message: "frame-ancestors" in message.text)
    async with framing(held["approval_url"]) as address, blocked:
        await hostile.goto(address)
    before = len(simulator.outbox)
    await page.get_by_role("button", name="Send").click()
    await expect(page.get_by_role("heading")).to_have_text("Sent")

    assert before == 0
    assert [mail["to"][0]["address"] for mail in simulator.outbox] == ["marie@fabrikam.example"]
    assert problems == []


async def test_person_who_declines_is_brought_back_to_the_client(
    browser: BrowserContext, server: Server, simulator: Simulator
) -> None:
    """Declining on our page ends at the client with access_denied, and nothing was asked of Entra ID."""
    page = await browser.new_page()
    await browser.route("http://localhost:9/**", lambda route: route.fulfill(body="back at the client"))
    async with direct_client() as http:
        registration = {"redirect_uris": ["http://localhost:9/callback"], "client_name": "Browser test"}
        client_id = (await http.post(f"{server.url}/register", json=registration)).json()["client_id"]
    query = f"client_id={client_id}&redirect_uri=http://localhost:9/callback&response_type=code&state=s"

    await page.goto(f"{server.url}/authorize?{query}&code_challenge={'x' * 43}&code_challenge_method=S256")
    await page.get_by_role("button", name="Cancel").click()
    await page.wait_for_url("http://localhost:9/callback?*")

    assert "error=access_denied" in page.url
    assert simulator.count(path=f"/{simulator.ready['tenant_id']}/oauth2/v2.0/authorize") == 0


SEEN = """() => {
  const bar = document.getElementById("bar");
  window.seen = [];
  new MutationObserver(() => window.seen.push([bar.hidden, bar.value])).observe(bar, { attributes: true });
}"""


async def _slow_line(page: Page) -> None:
    """Let the page send 4 MB a second, so that no machine is too quick for a bar that moves."""
    devtools = await page.context.new_cdp_session(page)
    line = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 4_000_000}
    await devtools.send("Network.enable")
    await devtools.send("Network.emulateNetworkConditions", line)


@pytest.mark.full
async def test_person_uploads_a_file_by_keyboard_and_sees_it_go(
    browser: BrowserContext, attaching_ada: AttachingPerson, simulator: Simulator
) -> None:
    """The page of an upload link takes a file, shows how far it is, and says at the end what has arrived."""
    draft_id, url = await attaching_ada.link("Grüße <b>.bin", size=TEN_MB)
    page, data = await browser.new_page(), content()
    problems = _problems(page)
    await _slow_line(page)

    answer = await page.goto(url)
    await page.evaluate(SEEN)
    await page.keyboard.press("Tab")
    focused = await page.evaluate("document.activeElement.id")
    await page.set_input_files("#file", {"name": "other.bin", "mimeType": "x/y", "buffer": data[:-1]})
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status")).to_have_text(
        "This is not the expected file: 9,999,999 bytes instead of 10,000,000 bytes."
    )
    await page.set_input_files("#file", {"name": "other.bin", "mimeType": "x/y", "buffer": data})
    await page.get_by_role("button", name="Upload").press("Enter")
    await expect(page.get_by_role("progressbar")).to_be_visible()
    await expect(page.get_by_role("status")).to_have_text(
        "✓Grüße <b>.bin is in your mail (9.5 MB). You can close this page and tell your assistant.", timeout=60_000
    )
    sent = await attaching_ada.send(draft_id)

    assert answer is not None
    policy = (await answer.all_headers())["content-security-policy"]
    assert "unsafe" not in policy
    assert focused == "file"
    assert "Grüße <b>.bin" in await page.inner_text("main")
    assert any(0 < value < 1 and not hidden for hidden, value in await page.evaluate("window.seen"))
    assert problems == []
    assert not sent["isError"], sent
    (attachment,) = simulator.outbox[0]["attachments"]
    assert (attachment["name"], attachment["sha256"]) == ("Grüße <b>.bin", sha256(data))
    assert (await page.goto(url)).status == 410  # type: ignore[union-attr]


@pytest.mark.full
async def test_dropped_program_is_refused_and_the_right_file_taken(
    browser: BrowserContext, attaching_ada: AttachingPerson, simulator: Simulator
) -> None:
    """A file dropped on the page is uploaded; a refusal is shown in words, and the page can be used again."""
    draft_id, url = await attaching_ada.link("notes.txt")
    page = await browser.new_page()
    problems = _problems(page)

    await page.goto(url)
    await page.evaluate(DROP, ["MZ is how a program begins", 1_000_000])
    await expect(page.get_by_role("status")).to_contain_text("is a program and cannot be attached")
    assert "invalid_argument" not in await page.inner_text("main")
    await page.evaluate(DROP, ["plain notes", 1])
    await expect(page.get_by_role("status")).to_contain_text("notes.txt is in your mail (11 bytes)")
    await attaching_ada.send(draft_id)

    assert [one["sha256"] for one in simulator.outbox[0]["attachments"]] == [sha256(b"plain notes")]
    assert [problem for problem in problems if "400" not in problem] == []


async def test_f18_upload_page_speaks_one_language_and_stops_waiting(
    browser: BrowserContext, attaching_ada: AttachingPerson
) -> None:
    """F18: refusal and receipt are Chinese without half-width blanks; then nothing says that a file is awaited."""
    _, url = await attaching_ada.link("notes.pdf")
    page = await browser.new_page()
    status = page.get_by_role("status")

    await page.goto(f"{url}?lang=zh-Hant")
    until = await page.inner_text("#expiry")
    await page.evaluate(DROP, ["MZ is how a program begins", 1_000_000])
    await expect(status).to_have_text("這個檔案是程式，無法附加。請改用連結分享（例如 OneDrive），不要附加到郵件。")
    await page.evaluate(DROP, ["plain notes", 1])
    await expect(status).to_contain_text("「notes.pdf」已加入您的郵件")

    assert re.fullmatch(r"此連結只能使用一次，有效時間到[上下中]午\d{1,2}:\d\d為止。", until)
    assert not await page.is_visible("#waiting")
    assert "。 " not in await page.inner_text("main")


DROP = """([text, times]) => {
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([text.repeat(times)], "any.txt"));
  const drop = new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true });
  document.getElementById("drop").dispatchEvent(drop);
}"""


@pytest.mark.full
async def test_upload_page_follows_the_colour_scheme_and_fits_a_phone(
    browser: BrowserContext, attaching_ada: AttachingPerson
) -> None:
    """Light and dark differ, and nothing is wider than a small screen, however long the name."""
    _, url = await attaching_ada.link(f"{'long' * 50}.txt")
    page = await browser.new_page()
    await page.set_viewport_size({"width": 320, "height": 640})
    colours = set()

    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)
        await page.goto(url)
        colours.add(await page.evaluate("getComputedStyle(document.body).backgroundColor"))

    assert len(colours) == 2
    assert await page.evaluate("document.documentElement.scrollWidth") <= 320


def _problems(page: Page) -> list[str]:
    """Return a list to which the page adds what its console says went wrong, a broken policy included."""
    found: list[str] = []
    page.on("console", lambda message: found.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: found.append(str(error)))
    return found
