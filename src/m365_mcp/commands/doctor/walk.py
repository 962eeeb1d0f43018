"""What `doctor --sign-in` adds to an examination: the checks of a sign-in, and what they need while they run."""

from __future__ import annotations

import logging
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import httpx2

from m365_mcp.commands.doctor.browser import TerminalOAuth, listen_on_loopback
from m365_mcp.commands.doctor.consents import consent_url, lacking_consent
from m365_mcp.commands.doctor.sign_in import SignInChecks
from m365_mcp.container import Container
from m365_mcp.loopback import is_loopback
from m365_mcp.web.pages.languages import ENGLISH, Language

_REQUEST_SECONDS = 60.0  # a send may wait for Microsoft


@dataclass(frozen=True)
class Walk:
    """What the person has chosen.

    Attributes:
        opens_browser: whether a browser is opened.
        sends: whether a test mail is sent.
        language: what the person is told in.
    """

    opens_browser: bool = True
    sends: bool = True
    language: Language = ENGLISH

    @asynccontextmanager
    async def checks(
        self, url: str, trust: ssl.SSLContext, container: Container | None = None
    ) -> AsyncIterator[SignInChecks]:
        """Yield the checks of a sign-in at the server with this public URL; no token is left when the block ends.

        Args:
            url: the public URL.
            trust: what the server is verified with.
            container: of the settings of that server; None where they are not known.
        """
        logging.getLogger("mcp").setLevel(logging.CRITICAL)  # the SDK logs a refused sign-in with a traceback
        with listen_on_loopback() as listener:
            factory: Callable[..., httpx2.AsyncClient] = partial(
                _client, trust, not is_loopback(urlsplit(url).hostname)
            )
            oauth = TerminalOAuth(listener, self.say, factory, opens_browser=self.opens_browser, language=self.language)
            walk = SignInChecks(url, oauth, factory, sends=self.sends, language=self.language)
            if container is not None:
                walk.consent_url = consent_url(container)
                walk.lacking_consent = partial(lacking_consent, container)
            try:
                yield walk
            finally:
                await walk.close()

    def say(self, *sentences: str) -> None:
        """Tell the person at the terminal something; the report alone is on standard output."""
        sys.stderr.write("".join(f"{self.language.translate(sentence)}\n" for sentence in sentences))
        sys.stderr.flush()


def _client(
    trust: ssl.SSLContext,
    uses_proxy: bool,
    headers: dict[str, str] | None = None,
    timeout: httpx2.Timeout | None = None,
    auth: httpx2.Auth | None = None,
    **_: Any,
) -> httpx2.AsyncClient:
    """Return a client as the MCP SDK asks for one."""
    return httpx2.AsyncClient(
        headers=headers, timeout=timeout or _REQUEST_SECONDS, auth=auth, verify=trust, trust_env=uses_proxy
    )
