"""Approving with a passkey in Chromium, whose virtual authenticator confirms by itself, or never."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx2
import pytest
from playwright.async_api import CDPSession, Page, Route, expect

from tests.browsers import NEEDS_CHROMIUM, open_profile
from tests.inprocess import ADA
from tests.sending.test_outbox import MARIE, send
from tests.web.passkey_people import PASSKEYS, AtBrowser, passkeys_needed

pytestmark = [*NEEDS_CHROMIUM, pytest.mark.full, pytest.mark.xdist_group("chromium pages")]
AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}
# Each attempt asks for a challenge, and sends no answer, a forged one, or what the authenticator gives by itself.
ATTACK = """async count => {
  const form = document.getElementById("ceremony"), results = [];
  const bytes = text => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), one => one.charCodeAt(0));
  const text = value => btoa(value).replace(/\\+/g, "-").replace(/\\//g, "_").replace(/=+$/, "");
  const post = (path, more) => fetch(path, {
    method: "POST", body: new URLSearchParams({ ...Object.fromEntries(new FormData(form)), ...more })
  });
  for (let attempt = 0; attempt < count; attempt++) {
    const asked = await (await post(form.dataset.challenge, {})).json(), known = asked.allowCredentials[0].id;
    let answer = "";
    if (attempt % 3 === 1) {
      const data = { type: "webauthn.get", challenge: asked.challenge, origin: location.origin, crossOrigin: false };
      const authenticatorData = text("x".repeat(37)), clientDataJSON = text(JSON.stringify(data));
      const response = { clientDataJSON, authenticatorData, signature: "AA" };
      answer = JSON.stringify({ id: known, rawId: known, type: "public-key", response });
    }
    if (attempt % 3 === 2) {
      const allowCredentials = [{ id: bytes(known), type: "public-key" }];
      const userVerification = attempt % 2 ? "required" : "discouraged";
      const publicKey = { challenge: bytes(asked.challenge), allowCredentials, userVerification };
      const stop = new AbortController();
      setTimeout(() => stop.abort(), 30);
      try {
        answer = JSON.stringify((await navigator.credentials.get({ publicKey, signal: stop.signal })).toJSON());
      } catch (problem) { results.push(problem.name); }
    }
    results.push((await post(location.pathname, { decision: "send", answer })).status);
  }
  document.getElementById("confirm").click();
  return results;
}"""
# Sends the answer of the person's one gesture to every page of a mail, before the page itself can.
STEAL = """async others => {
  const forms = [];
  for (const url of others) {
    const page = new DOMParser().parseFromString(await (await fetch(url)).text(), "text/html");
    forms.push([url, Object.fromEntries(new FormData(page.getElementById("ceremony")))]);
  }
  const real = navigator.credentials.get.bind(navigator.credentials);
  const base64 = bytes => btoa(String.fromCharCode(...new Uint8Array(bytes)));
  const text = bytes => base64(bytes).replace(/\\+/g, "-").replace(/\\//g, "_").replace(/=+$/, "");
  navigator.credentials.get = async options => {
    const found = await real(options), { response } = found;
    const names = ["clientDataJSON", "authenticatorData", "signature"];
    const answer = JSON.stringify({ id: found.id, rawId: text(found.rawId), type: found.type,
      response: Object.fromEntries(names.map(name => [name, text(response[name])])) });
    for (const [url, fields] of forms) {
      const body = new URLSearchParams({ ...fields, decision: "send", answer });
      await fetch(url, { method: "POST", body });
    }
    return found;
  };
}"""


@dataclass
class Window:
    """A page in Chromium with a virtual authenticator."""

    ada: AtBrowser
    page: Page
    session: CDPSession
    authenticator: str

    async def open(self, url: str) -> None:
        """Open a page, and sign in with Microsoft where it asks for it."""
        await self.page.goto(url)
        account = self.page.locator(f'button[value="{ADA}"]')
        await expect(account.or_(self.page.locator(".sheet"))).to_be_visible()
        if await account.count():
            await account.click()
        await expect(self.page.locator(".sheet")).to_be_visible()

    async def enrol(self) -> None:
        """Add a passkey."""
        await self.open(PASSKEYS)
        await self.page.get_by_label("A name for it").fill("Phone")
        await self.page.get_by_role("button", name="Add a passkey").click()
        await expect(self.page.get_by_text("Your change is saved.")).to_be_visible()

    async def confirms(self, *, by_itself: bool) -> None:
        """Have the authenticator confirm, or wait for a gesture that never comes."""
        chosen = {"authenticatorId": self.authenticator, "enabled": by_itself}
        await self.session.send("WebAuthn.setAutomaticPresenceSimulation", chosen)


@asynccontextmanager
async def window() -> AsyncIterator[Window]:
    """Open Chromium; the server and Microsoft are in this process, and nothing listens on a port."""
    async with (
        passkeys_needed() as ada,
        httpx2.AsyncClient(transport=ada.one.world.network) as http,
        open_profile(viewport={"width": 390, "height": 800}) as profile,
    ):

        async def answer(route: Route) -> None:
            asked = route.request
            headers = {name: value for name, value in (await asked.all_headers()).items() if not name.startswith(":")}
            sent = await http.request(asked.method, asked.url, headers=headers, content=asked.post_data_buffer)
            http.cookies.clear()  # Chromium keeps them
            answered = dict(sent.headers)
            if "set-cookie" in answered:
                answered["set-cookie"] = "\n".join(sent.headers.get_list("set-cookie"))
            if "location" in answered:  # Playwright routes no request that follows a redirect
                target = json.dumps(answered.pop("location"))
                kept = {name: value for name, value in answered.items() if name == "set-cookie"}
                go_on = f"<script>location.replace({target})</script>"
                await route.fulfill(status=200, headers={**kept, "content-type": "text/html"}, body=go_on)
                return
            await route.fulfill(status=sent.status_code, headers=answered, body=sent.content)

        await profile.route("**/*", answer)
        page = await profile.new_page()
        session = await profile.new_cdp_session(page)
        await session.send("WebAuthn.enable")
        made = await session.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
        yield Window(ada, page, session, made["authenticatorId"])


async def test_l6_person_adds_a_passkey_and_sends_a_mail_with_it() -> None:
    """One press, by keyboard, and one gesture send the mail; until then the page says what it waits for."""
    async with window() as one:
        await one.open(one.ada.one.url)
        await expect(one.page.get_by_role("button", name="Send")).to_have_count(0)
        await one.enrol()
        await one.open(one.ada.one.url)
        await one.confirms(by_itself=False)
        button = one.page.get_by_role("button", name="Send with your passkey")
        await button.focus()
        await one.page.keyboard.press("Enter")
        await expect(one.page.get_by_role("status")).to_have_text("Confirm with your passkey…")
        assert await one.ada.one.sent() == []
        await one.page.reload()  # a request that waits already would not hear of the change
        await one.confirms(by_itself=True)
        await button.focus()
        await one.page.keyboard.press("Enter")
        await expect(one.page.get_by_role("heading", name="Sent")).to_be_visible()

        assert len(await one.ada.one.sent()) == 1


async def test_l6_without_presence_no_attempt_of_a_script_sends_a_mail() -> None:
    """While nobody touches the authenticator, 60 attempts of a script send nothing; one gesture sends one mail."""
    async with window() as one:
        await one.enrol()
        await one.open(one.ada.one.url)
        await one.confirms(by_itself=False)
        results = await one.page.evaluate(ATTACK, 60)
        before = await one.ada.one.sent()
        await one.page.reload()
        await one.confirms(by_itself=True)
        await one.page.get_by_role("button", name="Send with your passkey").click()
        await expect(one.page.get_by_role("heading", name="Sent")).to_be_visible()

        assert len(await one.ada.one.sent()) == 1
    assert before == []
    assert [status for status in results if isinstance(status, int)] == [403] * 60
    assert results.count("AbortError") + results.count("NotAllowedError") == 20


async def test_l6_stolen_answer_sends_no_other_mail_and_none_twice() -> None:
    """A script that takes the answer of the one gesture, and posts it everywhere first, sends the signed mail once."""
    async with window() as one:
        other = (await send(one.ada.one.ada, to=[MARIE], subject="Other")).approval.url
        await one.enrol()
        await one.open(one.ada.one.url)
        await one.page.evaluate(STEAL, [other, one.ada.one.url, one.ada.one.url])
        await one.page.get_by_role("button", name="Send with your passkey").click()
        await expect(one.page.get_by_role("heading", name="Your passkey was not accepted")).to_be_visible()

        assert [mail["subject"] for mail in await one.ada.one.sent()] == ["Lunch?"]


async def test_l6_browser_without_passkeys_is_told_so() -> None:
    """Where the browser has no WebAuthn, Send is switched off and a sentence says why; Discard works."""
    async with window() as one:
        await one.enrol()
        await one.page.add_init_script("delete window.PublicKeyCredential")
        await one.open(one.ada.one.url)

        await expect(one.page.get_by_role("status")).to_contain_text("This browser has no passkeys.")
        await expect(one.page.get_by_role("button", name="Send with your passkey")).to_be_disabled()
        await one.page.get_by_role("button", name="Discard").click()
        await expect(one.page.get_by_role("heading", name="Discarded")).to_be_visible()
        assert await one.ada.one.sent() == []


async def test_l6_gesture_that_was_cancelled_can_be_tried_again() -> None:
    """A person who is not recognised reads that nothing was sent, and presses again."""
    async with window() as one:
        await one.enrol()
        await one.open(one.ada.one.url)
        await one.session.send(
            "WebAuthn.setUserVerified", {"authenticatorId": one.authenticator, "isUserVerified": False}
        )
        button = one.page.get_by_role("button", name="Send with your passkey")
        await button.click()
        await expect(one.page.get_by_role("status")).to_contain_text("Nothing was sent.")
        await one.session.send(
            "WebAuthn.setUserVerified", {"authenticatorId": one.authenticator, "isUserVerified": True}
        )
        await button.click()
        await expect(one.page.get_by_role("heading", name="Sent")).to_be_visible()
