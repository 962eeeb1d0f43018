"""How long `m365-mcp doctor --sign-in` waits for a person."""

from __future__ import annotations

import pytest

from m365_mcp.commands.doctor import browser
from m365_mcp.commands.doctor.browser import TerminalOAuth, listen_on_loopback
from m365_mcp.commands.doctor.sign_in import SignInChecks
from m365_mcp.errors import SignInExpired
from tests.e2e.person import direct_client


async def test_wait_ends_with_a_refusal_and_a_closed_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody comes: the sign-in has expired, which the report says, and a browser that comes late meets nobody."""
    monkeypatch.setattr(browser, "WAIT_SECONDS", 0.0)
    said: list[str] = []
    with listen_on_loopback() as listener:
        oauth = TerminalOAuth(listener, said.append, direct_client, opens_browser=False)
        await oauth.redirect_handler("http://localhost:8000/authorize?state=s")
        was_open = oauth._server.is_serving()
        with pytest.raises(SignInExpired):
            await oauth.callback_handler()

    assert isinstance(oauth.refusal, SignInExpired)
    assert (was_open, oauth._server.is_serving()) == (True, False)
    assert said[0].endswith("http://localhost:8000/authorize?state=s")


async def test_limit_of_the_check_is_longer_than_the_wait() -> None:
    """So the report says that nobody signed in, and not that a check did not end."""
    with listen_on_loopback() as listener:
        oauth = TerminalOAuth(listener, print, direct_client, opens_browser=False)
        first = next(SignInChecks("http://localhost:8000", oauth, direct_client).checks())

    assert first.name == "sign_in"
    assert first.seconds > browser.WAIT_SECONDS >= 300
