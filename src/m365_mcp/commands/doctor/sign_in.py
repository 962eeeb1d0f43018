"""The checks of `doctor --sign-in`: signs a person in as an MCP client does, calls tools, and revokes the token."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx2
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from mcp.shared._httpx_utils import McpHttpClientFactory

from m365_mcp.commands.doctor.browser import WAIT_SECONDS, TerminalOAuth
from m365_mcp.commands.doctor.examination import Check
from m365_mcp.commands.doctor.reaching import why_unreachable
from m365_mcp.commands.doctor.told import error_of
from m365_mcp.errors import ConsentMissing, Filled, M365Error, NotChecked, PermissionMissing, UnexpectedResponse
from m365_mcp.web.pages.languages import ENGLISH, Language

SUBJECT = "Test mail of m365-mcp doctor"
_CALL_SECONDS = 90.0
_LATER = "Compare the version of the server with that of the doctor, and look into the log of the server."
_BEFORE = ("client_id", "client_credential", "scope", "redirect_uri", "store_connection", "public_metadata")

# Returns what lacks consent, for the sentence of a report; empty where it cannot be told.
LackingConsent = Callable[[str], Awaitable[str]]


async def _unknown(_: str) -> str:
    return ""


@dataclass
class SignInChecks:
    """The checks that need a sign-in.

    Attributes:
        url: the public URL of the server.
        oauth: signs the person in.
        factory: makes the HTTP clients.
        sends: whether a test mail is sent to the person.
        consent_url: where an administrator consents; empty where that is not known.
        lacking_consent: names the permissions without consent, for an access token.
        summary: what was done, in sentences for the person.
        language: what the test mail is written in.
    """

    url: str
    oauth: TerminalOAuth
    factory: McpHttpClientFactory
    sends: bool = True
    consent_url: str = ""
    lacking_consent: LackingConsent = _unknown
    summary: list[str] = field(default_factory=list)
    language: Language = ENGLISH
    _tools: frozenset[str] = frozenset()
    _profile: dict[str, Any] = field(default_factory=dict)

    def checks(self) -> Iterator[Check]:
        """Yield the checks, each behind what it depends on."""
        yield Check("sign_in", self.sign_in, ("public_url",), unless=_BEFORE, seconds=WAIT_SECONDS + _CALL_SECONDS)
        yield Check("consent", self.read_profile, ("sign_in",), seconds=_CALL_SECONDS)
        if self.sends:
            yield Check("test_mail", self.send_test_mail, ("consent",), seconds=_CALL_SECONDS)
        yield Check("sign_out", self.revoke, ("sign_in",))

    async def sign_in(self) -> None:
        """Return when the client has registered, the person has signed in, and the server lists its tools."""
        try:
            async with self._client() as client:
                self._tools = frozenset(tool.name for tool in await client.list_tools())
        except Exception as error:  # FastMCP wraps what ends a sign-in in errors of its own
            if self.oauth.refusal is not None:
                raise self._with_consent_url(self.oauth.refusal) from error
            if isinstance(error, httpx2.HTTPError):
                raise why_unreachable(error, self.url) from error
            sentence = Filled("The sign-in ended with %(error)s.", error=type(error).__name__)
            raise UnexpectedResponse(sentence, advice=_LATER) from error

    async def read_profile(self) -> None:
        """Return when the server has a Graph token for the person (On-Behalf-Of), and Graph says who it is."""
        try:
            self._profile = await self._call("get_my_profile", {})
        except ConsentMissing as error:
            lacking = await self.lacking_consent(await self._token())
            if lacking:
                error.sentence = Filled("Consent is missing for %(permissions)s.", permissions=lacking)
            raise self._with_consent_url(error) from error
        name = str(self._profile.get("displayName") or self._address)
        self.summary.append(Filled("Signed in as %(name)s <%(address)s>.", name=name, address=self._address))

    @property
    def _address(self) -> str:
        return str(self._profile.get("mail") or self._profile.get("userPrincipalName"))

    async def send_test_mail(self) -> None:
        """Return when Microsoft has accepted one mail to the person. Raises NotChecked where none was to be sent."""
        if "send_mail" not in self._tools:
            raise NotChecked("This server sends no mail (M365_SEND_LEVEL).", advice="Nothing has to be done.")
        now = datetime.now(UTC).isoformat(timespec="seconds")
        body = Filled(
            "m365-mcp doctor sent this mail to you at %(time)s, to see whether the server at %(url)s works.",
            time=now,
            url=self.url,
        )
        subject, text = self.language.translate(SUBJECT), self.language.translate(body)
        mail = {"to": [self._address], "subject": subject, "body": text, "content_type": "Text"}
        try:
            receipt = await self._call("send_mail", mail)
        except PermissionMissing as error:
            raise self._with_consent_url(error) from error
        if receipt.get("approval_url"):
            raise NotChecked(
                "The test mail was not sent, because it waits for your approval.",
                advice=Filled("Send or discard it at %(link)s", link=str(receipt["approval_url"])),
            )
        self.summary.append(Filled("The test mail is in your Inbox: %(subject)s", subject=subject))

    async def revoke(self) -> None:
        """Return when the server has ended the session (RFC 7009), so that no token is left."""
        information = self.oauth.context.client_info
        form = {"token": await self._token(), "client_id": str(information.client_id if information else "")}
        async with self.factory() as http:
            reply = await http.post(f"{self.url}/revoke", data=form)
            tried = await http.post(f"{self.url}/mcp", json={}, headers={"Authorization": f"Bearer {form['token']}"})
        if reply.status_code != 200 or tried.status_code != 401:
            raise UnexpectedResponse("The server did not end the session of the doctor.", advice=_LATER)
        await self.oauth.token_storage_adapter.clear()

    async def close(self) -> None:
        """End the session, if a check did not come to it."""
        with contextlib.suppress(Exception):
            if await self.oauth.token_storage_adapter.get_tokens() is not None:
                await self.revoke()

    def _client(self) -> Client[StreamableHttpTransport]:
        transport = StreamableHttpTransport(f"{self.url}/mcp", auth=self.oauth, httpx_client_factory=self.factory)
        return Client(transport)

    async def _token(self) -> str:
        tokens = await self.oauth.token_storage_adapter.get_tokens()
        return "" if tokens is None else tokens.access_token

    async def _call(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        try:
            async with self._client() as client:
                result = await client.call_tool(tool, arguments, raise_on_error=False)
        except Exception as error:
            if isinstance(error, httpx2.HTTPError):
                raise why_unreachable(error, self.url) from error
            ended = Filled("The call of %(tool)s ended with %(error)s.", tool=tool, error=type(error).__name__)
            raise UnexpectedResponse(ended, advice=_LATER) from error
        if not result.is_error:
            return result.structured_content or {}
        text = "".join(getattr(block, "text", "") for block in result.content)
        unexplained = Filled("The call of %(tool)s failed, with no reason.", tool=tool)
        raise error_of(text) or UnexpectedResponse(unexplained, advice=_LATER)

    def _with_consent_url(self, error: M365Error) -> M365Error:
        """Return a refusal that names the page where an administrator consents, if consent is what is missing."""
        if isinstance(error, ConsentMissing | PermissionMissing) and self.consent_url:
            error.for_administrator = Filled(
                "Have an administrator of the tenant consent at %(link)s", link=self.consent_url
            )
        return error
