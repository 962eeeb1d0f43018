"""The sign-in of `doctor --sign-in`: FastMCP's OAuth client, with a callback that hears why a sign-in was refused.

FastMCP 4.2's own callback server forgets the description of `access_denied`, and listens only after the browser opens.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import webbrowser
from collections.abc import Callable
from urllib.parse import parse_qsl, urlsplit

from fastmcp.client.auth import OAuth
from key_value.aio.stores.memory import MemoryStore
from key_value.aio.wrappers.prefix_keys import PrefixKeysWrapper
from mcp.shared._httpx_utils import McpHttpClientFactory
from mcp.shared.auth import AuthorizationCodeResult

from m365_mcp.commands.doctor.told import error_of
from m365_mcp.errors import Filled, M365Error, MicrosoftRefused, PersonDeclined, SignInExpired
from m365_mcp.loopback import HOSTS
from m365_mcp.web.pages.languages import ENGLISH, Language

WAIT_SECONDS = 300.0
_HEAD_SECONDS = 5.0
_MAX_LINE = 16_384
_PAGE = (
    b"HTTP/1.1 %s\r\nContent-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n%s"
)
_WAITING = "Waiting for the sign-in in the browser; Ctrl-C ends it."
_AGAIN = "Run it again; if Microsoft's page shows an AADSTS number, docs/entra-refusals.md says what to do."
_ERROR_PAGE = Filled(
    "If the browser shows an error page of the server, press '%(button)s' there.",
    button=Filled("Tell the app that it did not work"),
)
_DONE = "Go back to the terminal. You can close this page."


class TerminalOAuth(OAuth):
    """FastMCP's OAuth client for a person at a terminal; its tokens are in memory only.

    Args:
        listener: listens at a loopback address for the end of the sign-in.
        say: is told what the person has to do.
        opens_browser: whether a browser is opened; the address is printed in any case.
        factory: makes the HTTP clients.
        language: what the browser shows at the end.

    Attributes:
        refusal: why there is no sign-in.
    """

    def __init__(
        self,
        listener: socket.socket,
        say: Callable[[str], None],
        factory: McpHttpClientFactory,
        *,
        opens_browser: bool,
        language: Language = ENGLISH,
    ) -> None:
        super().__init__(
            client_name="m365-mcp doctor",
            # Wrapped, because the client warns about a bare MemoryStore.
            token_storage=PrefixKeysWrapper(MemoryStore(), "doctor"),
            callback_host=HOSTS[1],
            callback_port=listener.getsockname()[1],
            httpx_client_factory=factory,
        )
        self.refusal: M365Error | None = None
        self._listener = listener
        self._say = say
        self._opens_browser = opens_browser
        self._done = language.translate(_DONE).encode()
        self._state = ""
        self._returned: asyncio.Future[dict[str, str] | None] = asyncio.get_running_loop().create_future()

    async def redirect_handler(self, authorization_url: str) -> None:
        """Print the address, and open a browser there."""
        self._state = dict(parse_qsl(urlsplit(authorization_url).query)).get("state", "")
        self._server = await asyncio.start_server(self._answer, sock=self._listener)
        with contextlib.suppress(NotImplementedError):  # Windows: there Ctrl-C ends the program at once
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, self._end)
        self._say(Filled("Sign in here:\n%(link)s", link=authorization_url))
        if self._opens_browser and _has_window():
            webbrowser.open(authorization_url)
        self._say(_WAITING)
        self._say(_ERROR_PAGE)

    async def callback_handler(self) -> AuthorizationCodeResult:
        """Return the code. Raises M365Error, and keeps it, where there is none."""
        try:
            query = await asyncio.wait_for(self._returned, WAIT_SECONDS)
        except TimeoutError:
            self.refusal = SignInExpired(
                Filled("Nobody finished the sign-in within %(minutes)s minutes.", minutes=f"{WAIT_SECONDS / 60:.0f}"),
                advice=_AGAIN,
            )
            raise self.refusal from None
        finally:
            with contextlib.suppress(NotImplementedError):
                asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)
            self._server.close()
        return self._read(query)

    def _end(self) -> None:
        if not self._returned.done():
            self._returned.set_result(None)

    def _read(self, query: dict[str, str] | None) -> AuthorizationCodeResult:
        if query is not None and "code" in query:
            return AuthorizationCodeResult(code=query["code"], state=query.get("state"), iss=query.get("iss"))
        if query is None:
            self.refusal = PersonDeclined("The sign-in was ended at the terminal.", advice=_AGAIN)
        else:
            told = error_of(query.get("error_description", ""))
            self.refusal = told or (PersonDeclined() if query["error"] == "access_denied" else MicrosoftRefused())
        raise self.refusal

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request of a browser; only the one with the state of this sign-in counts."""
        with contextlib.suppress(OSError, ValueError, asyncio.IncompleteReadError, TimeoutError):
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _HEAD_SECONDS)
            target = urlsplit(head.split(b" ", 2)[1].decode("ascii")[:_MAX_LINE])
            query = dict(parse_qsl(target.query))
            is_ours = target.path == "/callback" and self._state and query.get("state") == self._state
            if is_ours and ("code" in query or "error" in query):
                writer.write(_PAGE % (b"200 OK", self._done))
                if not self._returned.done():
                    self._returned.set_result(query)
            else:
                writer.write(_PAGE % (b"404 Not Found", b"Nothing is here."))
            await writer.drain()
        writer.close()


def listen_on_loopback() -> socket.socket:
    """Return a socket that listens on loopback at a free port."""
    return socket.create_server((HOSTS[1], 0))


def _has_window() -> bool:
    """Return whether there is a browser with a window; one in the terminal would take the terminal."""
    try:
        return type(webbrowser.get()) is not webbrowser.GenericBrowser
    except webbrowser.Error:
        return False
