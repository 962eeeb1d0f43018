"""A person in a real browser: consent, sign-in at the simulated Entra ID, and the mailbox page updating by itself."""

import asyncio
import shutil
from collections.abc import AsyncIterator

import pytest
from fastmcp import Client
from fastmcp.client.auth import OAuth
from fastmcp.client.transports import StreamableHttpTransport
from key_value.aio.stores.memory import MemoryStore
from key_value.aio.wrappers.prefix_keys import PrefixKeysWrapper
from playwright.async_api import BrowserContext, Page, async_playwright, expect

from tests.e2e.person import direct_client, text_of
from tests.e2e.programs import Server, Simulator, listens

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
QUIET = ["--disable-background-networking", "--disable-component-update", "--no-proxy-server"]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium"),
]


@pytest.fixture
async def browser() -> AsyncIterator[BrowserContext]:
    """A fresh browser profile; the simulator's own certificate is accepted, as the demo asks the reader to do."""
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *QUIET])
        context = await chromium.new_context(ignore_https_errors=True)
        context.set_default_timeout(20_000)
        yield context
        await chromium.close()


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
    assert "M365 mail" in consent
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
    await page.get_by_role("button", name="Deny").click()
    await page.wait_for_url("http://localhost:9/callback?*")

    assert "error=access_denied" in page.url
    assert simulator.count(path=f"/{simulator.ready['tenant_id']}/oauth2/v2.0/authorize") == 0
