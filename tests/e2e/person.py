"""A person with a browser, and FastMCP's own OAuth client that hands the sign-in to that person."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
from fastmcp import Client
from fastmcp.client.auth import OAuth
from fastmcp.client.auth.oauth import ClientNotFoundError
from fastmcp.client.transports import StreamableHttpTransport
from key_value.aio.stores.memory import MemoryStore
from key_value.aio.wrappers.prefix_keys import PrefixKeysWrapper
from mcp.shared.auth import AuthorizationCodeResult

from m365_mcp.commands.demo.sign_in import read_form
from tests.trust import NO_AUTHORITY, trusting


class PersonAtBrowser:
    """Follows a sign-in: approves the client, chooses the account, consents."""

    def __init__(self, ca_file: str, username: str = "ada@contoso.example") -> None:
        self.username = username
        self.pages: list[httpx2.Response] = []
        self._trust = trusting(ca_file)
        self._cookies = httpx2.Cookies()

    def open(self) -> httpx2.AsyncClient:
        """Open the browser; its cookies outlive the window."""
        return httpx2.AsyncClient(verify=self._trust, cookies=self._cookies, trust_env=False, timeout=30)

    async def sign_in(self, url: str) -> str:
        """Go from `url` to the client's own callback and return that address with its query."""
        async with self.open() as http:
            page = await http.get(url)
            while True:
                self.pages.append(page)
                target = page.headers.get("Location", "")
                if urlsplit(target).path == "/callback":
                    self._cookies.update(http.cookies)
                    return target
                page = await http.get(target) if target else await self._fill_in(http, page)

    async def _fill_in(self, http: httpx2.AsyncClient, page: httpx2.Response) -> httpx2.Response:
        if page.status_code != 200:
            raise SignInFailed(page)
        form = read_form(str(page.url), page.text)
        known = {("action", "approve"), ("action", "accept"), ("username", self.username)}
        name, value = next(button for button in form.buttons if button in known)
        return await http.post(form.action, data={**form.fields, name: value})


class SignInFailed(Exception):
    """The browser ended on an error page."""

    def __init__(self, page: httpx2.Response) -> None:
        super().__init__(f"{page.status_code}: {page.text}")
        self.page = page


class PersonOAuth(OAuth):
    """FastMCP's OAuth client with a person instead of a browser window."""

    def __init__(self, person: PersonAtBrowser, storage: Any, **options: Any) -> None:
        super().__init__(token_storage=storage, httpx_client_factory=direct_client, **options)
        self.person = person
        self.sign_ins = 0
        self._target = ""

    async def redirect_handler(self, authorization_url: str) -> None:
        try:
            self._target = await self.person.sign_in(authorization_url)
        except SignInFailed as failure:
            if "is not registered" in failure.page.text:
                raise ClientNotFoundError from failure  # the client then registers anew
            raise
        self.sign_ins += 1

    async def callback_handler(self) -> AuthorizationCodeResult:
        return AuthorizationCodeResult(**dict(parse_qsl(urlsplit(self._target).query)))


def direct_client(
    headers: dict[str, str] | None = None,
    timeout: httpx2.Timeout | None = None,
    auth: httpx2.Auth | None = None,
    **_: Any,
) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(headers=headers, timeout=timeout or 30, auth=auth, verify=NO_AUTHORITY, trust_env=False)


class Assistant:
    """An MCP client that remembers its tokens, as a person's assistant does between conversations."""

    def __init__(self, server_url: str, person: PersonAtBrowser, headers: dict[str, str] | None = None) -> None:
        self.headers = headers
        self.endpoint = f"{server_url}/mcp"
        # Wrapped, because the client warns about a bare MemoryStore; it lives as long as this assistant.
        self.storage = PrefixKeysWrapper(MemoryStore(), "assistant")
        self.person = person
        self.sign_ins = 0

    async def call(self, tool: str, arguments: dict[str, Any] | None = None) -> Any:
        """Connect, call one tool, disconnect; return the result, errors included."""
        oauth = PersonOAuth(self.person, self.storage)
        transport = StreamableHttpTransport(
            self.endpoint, headers=self.headers, auth=oauth, httpx_client_factory=direct_client
        )
        try:
            async with Client(transport) as client:
                return await client.call_tool(tool, arguments or {}, raise_on_error=False)
        finally:
            self.sign_ins += oauth.sign_ins

    async def token(self) -> str:
        """Return the access token, for requests made by hand."""
        oauth = PersonOAuth(self.person, self.storage)
        oauth._bind(self.endpoint)
        tokens = await oauth.token_storage_adapter.get_tokens()
        assert tokens is not None
        return tokens.access_token


async def decide(person: PersonAtBrowser, url: str, decision: str) -> httpx2.Response:
    """Open the page of a mail, sign in with Microsoft, and press a button."""
    async with person.open() as http:
        page = await http.get(url)
        while "approvals" not in str(page.url) or "Location" in page.headers:
            if "Location" in page.headers:
                page = await http.get(page.headers["Location"])
                continue
            form = read_form(str(page.url), page.text)
            known = {("action", "accept"), ("username", person.username)}
            name, value = next(button for button in form.buttons if button in known)
            page = await http.post(form.action, data={**form.fields, name: value})
        return await http.post(url, data={**read_form(url, page.text).fields, "decision": decision})


def text_of(result: Any) -> str:
    return "\n".join(block.text for block in result.content)


async def done(assistant: Assistant, tool: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool that must succeed, and return what it says."""
    result = await assistant.call(tool, arguments)
    assert not result.is_error, text_of(result)
    found: dict[str, Any] = result.structured_content
    return found


async def refused(assistant: Assistant, tool: str, **arguments: Any) -> str:
    """Call a tool that must fail, and return its error text."""
    result = await assistant.call(tool, arguments)
    assert result.is_error, result.structured_content
    return text_of(result)
