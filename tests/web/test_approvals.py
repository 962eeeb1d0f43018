"""The pages of mail that waits: only its sender gets there, reads the exact mail, and sends or discards it once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import dataclass, replace
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from m365_mcp.app import assemble
from m365_mcp.commands.demo.sign_in import read_form
from m365_mcp.sending.outbox import Outbox
from m365_mcp.web.rate_limits import APPROVALS
from tests.inprocess import ADA, EVERY_TOOLSET, GRACE, SERVER, World, running
from tests.sending.test_outbox import FILE, MARIE, PICTURE, send

OUTSIDE = {"m365_send_approval": "external", "m365_internal_domains": "contoso.example"}
HTML = "text/html,application/xhtml+xml"


@dataclass
class Waiting:
    """A server at which a mail of Ada's waits, and the address of its page."""

    world: World
    ada: Outbox
    url: str

    def browser(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(transport=self.world.network, base_url=SERVER, headers={"Accept": HTML})

    async def sent(self) -> list[dict[str, Any]]:
        return await self.world.sent()


@asynccontextmanager
async def waiting(**changes: Any) -> AsyncIterator[Waiting]:
    message = changes.pop("message", {"to": [MARIE], "attachments": [FILE]})
    async with running(m365_toolsets=EVERY_TOOLSET, **{**OUTSIDE, **changes}) as world:
        ada = await world.outbox(await world.sign_in(ADA))
        receipt = await send(ada, **message)
        world.network.seen.clear()
        yield Waiting(world, ada, receipt.approval.url)


async def reach(http: httpx2.AsyncClient, url: str, username: str = ADA) -> httpx2.Response:
    """Open a page, and sign in with Microsoft where it asks for it; return the first page that is not Microsoft's."""
    page = await http.get(url)
    for _ in range(12):
        if "Location" in page.headers:
            page = await http.get(page.headers["Location"])
        elif str(page.url).startswith(SERVER):
            return page
        else:
            form = read_form(str(page.url), page.text)
            known = {("action", "accept"), ("username", username)}
            name, value = next(button for button in form.buttons if button in known)
            page = await http.post(form.action, data={**form.fields, name: value})
    raise AssertionError("The sign-in does not end.")


def form_of(page: httpx2.Response) -> dict[str, str]:
    return dict(read_form(str(page.url), page.text).fields)


def text_of(page: httpx2.Response) -> str:
    body = re.sub(r"<style>.*?</style>|<head>.*?</head>", "", page.text, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


async def test_i2_l1_person_reads_the_mail_and_sends_it_once() -> None:
    """The page shows who gets what and why it asks; Send sends at once, and a second press sends nothing."""
    async with waiting() as one, one.browser() as http, one.browser() as stranger:
        page = await reach(http, one.url)
        form = {**form_of(page), "decision": "send"}
        before = await one.sent()
        done = await http.post(one.url, data=form)
        again = await http.post(one.url, data=form)
        after = await one.sent()
        reload = await http.get(one.url)
        asked = await stranger.get(one.url)

    shown = text_of(page)
    assert page.status_code == 200
    assert "Send this mail?" in shown
    assert f"{MARIE} outside" in shown
    assert "Why you are asked: a recipient is outside your organisation." in shown
    assert "menu.txt" in shown
    assert before == []
    assert (done.status_code, "Sent" in text_of(done)) == (200, True)
    assert [mail["to"][0]["address"] for mail in after] == [MARIE]
    assert (again.status_code, reload.status_code) == (410, 410)
    assert "login_hint" not in asked.headers["Location"]  # recipients know the id from the header of the mail


async def test_page_marks_who_gets_mail_for_the_first_time(tmp_path: Path) -> None:
    """Where a policy reads `firstTimeCount`, such recipients have a mark of their own."""
    file = tmp_path / "policies.cedar"
    forbidding = 'forbid(principal, action == Action::"Send", resource) when { resource.firstTimeCount > 9 };'
    file.write_text(f'@id("new") {forbidding}')
    async with waiting(m365_policy_file=file) as one, one.browser() as http:
        page = await reach(http, one.url)

    assert f"{MARIE} outside first time" in text_of(page)


async def test_l1_discarded_mail_stays_here() -> None:
    """Discard says so, and Send does nothing after it."""
    async with waiting() as one, one.browser() as http:
        form = form_of(await reach(http, one.url))
        done = await http.post(one.url, data={**form, "decision": "discard"})
        late = await http.post(one.url, data={**form, "decision": "send"})

        assert await one.sent() == []
    assert "The mail was not sent." in text_of(done)
    assert late.status_code == 410


async def test_i5_l4_only_the_sender_sees_or_sends_it() -> None:
    """A colleague who signs in at the link, and a browser without a proof, see nothing of the mail and send nothing."""
    async with waiting() as one:
        async with one.browser() as ada:
            form = form_of(await reach(ada, one.url))
        async with one.browser() as grace:
            page = await reach(grace, one.url, GRACE)
            body = await grace.get(f"{one.url}/body")
            post = await grace.post(one.url, data={**form, "decision": "send"})
            listed = await reach(grace, f"{SERVER}/approvals", GRACE)
        async with one.browser() as nobody:
            bodies = [
                await nobody.get(f"{one.url}/body"),
                await nobody.post(one.url, data={**form, "decision": "send"}),
            ]

        assert await one.sent() == []
    assert [answer.status_code for answer in (page, body, post)] == [404, 404, 404]
    assert [answer.status_code for answer in bodies] == [403, 403]
    assert all("noon" not in answer.text and MARIE not in answer.text for answer in (page, body, listed, *bodies))
    assert "Nothing waits for you." in text_of(listed)


async def test_l4_form_of_another_site_sends_nothing() -> None:
    """Without the token of the page the form does nothing, whatever cookies the browser adds."""
    async with waiting() as one, one.browser() as http:
        form = form_of(await reach(http, one.url))
        forged = [{**form, "token": ""}, {**form, "token": "0" * 64}, {**form, "token": "é"}, {"digest": ""}]
        answers = [await http.post(one.url, data={**fields, "decision": "send"}) for fields in forged]
        large = await http.post(one.url, data={**form, "decision": "send", "more": "x" * 17_000})
        assert await one.sent() == []
        undecided = await http.post(one.url, data=form)
        callback = f"{SERVER}/auth/callback?state=approval.%C3%A9"
        odd = [
            await http.get(callback),
            await http.get(f"{callback}&code=x"),
            await http.get(f"{SERVER}/approvals/{'x' * 999}"),
        ]
        still = await http.get(one.url)

    assert [answer.status_code for answer in (*answers, large, undecided)] == [403] * 6
    assert [answer.status_code for answer in odd] == [403, 403, 404]
    assert still.status_code == 200


async def test_l4_sign_in_hints_at_the_account_and_goes_back_to_the_page() -> None:
    """Entra ID gets the sign-in name, a nonce and a challenge; the fresh sign-in besides asks for a new password."""
    for proof, fresh in (("browser", None), ("sign-in", ["login"])):
        async with waiting(m365_approval_proof=proof) as one, one.browser() as http:
            to_entra = await http.get(f"{one.url}?lang=zh-Hant")
            query = parse_qs(urlsplit(to_entra.headers["Location"]).query)
            page = await reach(http, one.url)

        assert (to_entra.status_code, page.status_code) == (302, 200)
        assert query["login_hint"] == [ADA]
        assert query["redirect_uri"] == [f"{SERVER}/auth/callback"]
        assert query["code_challenge_method"] == ["S256"]
        assert {"nonce", "state", "code_challenge"} <= set(query)
        assert (query.get("prompt"), query.get("max_age")) == (fresh, fresh and ["0"])


async def test_l4_fresh_sign_in_is_for_one_mail() -> None:
    """With `sign-in`, the proof for one mail shows and sends no other."""
    async with waiting(m365_approval_proof="sign-in") as one, one.browser() as http:
        other = await send(one.ada, to=[MARIE], subject="Other")
        form = form_of(await reach(http, one.url))
        body = await http.get(f"{other.approval.url}/body")
        refused = await http.post(other.approval.url, data={**form, "decision": "send"})
        asked = await http.get(other.approval.url)
        sent = await http.post(one.url, data={**form, "decision": "send"})

        assert len(await one.sent()) == 1
    assert (body.status_code, refused.status_code, asked.status_code, sent.status_code) == (403, 403, 302, 200)


async def test_l4_callback_of_another_browser_gives_no_proof() -> None:
    """A code that was made in one browser proves nothing in another: the state is bound to a cookie."""
    async with waiting() as one, one.browser() as ada, one.browser() as attacker:
        page = await ada.get(one.url)
        while "/auth/callback" not in page.headers.get("Location", ""):
            if "Location" in page.headers:
                page = await ada.get(page.headers["Location"])
                continue
            form = read_form(str(page.url), page.text)
            name, value = next(one for one in form.buttons if one in {("action", "accept"), ("username", ADA)})
            page = await ada.post(form.action, data={**form.fields, name: value})
        await attacker.get(one.url)
        stolen = await attacker.get(page.headers["Location"])
        after = await attacker.get(f"{one.url}/body")

    assert (stolen.status_code, after.status_code) == (403, 403)


async def test_i7_l5_text_of_the_mail_is_a_document_without_rights() -> None:
    """The page cannot be framed; the mail's text is in a sandbox without scripts, with the pictures of the mail."""
    picture = {"body": '<p>At <b>noon</b><img src="cid:logo" alt="logo"></p>', "attachments": [PICTURE]}
    async with waiting(message={"to": [MARIE], **picture}) as one, one.browser() as http:
        page = await reach(http, one.url)
        body = await http.get(f"{one.url}/body")

    policy, of_body = page.headers["Content-Security-Policy"], body.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy
    assert "frame-src 'self'" in policy
    assert page.headers["X-Frame-Options"] == "DENY"
    assert of_body.startswith("sandbox; default-src 'none';")
    assert "frame-ancestors 'self'" in of_body
    assert body.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert re.search(r'<iframe[^>]* sandbox src="/approvals/[0-9a-f]{32}/body">', page.text)
    assert "<b>noon</b>" in body.text
    assert 'src="data:image/png;base64,' in body.text
    assert "noon" not in page.text


async def test_lost_link_loses_nothing() -> None:
    """/approvals lists what waits for the person who signs in there, with a link to each."""
    async with waiting() as one, one.browser() as http:
        page = await reach(http, f"{SERVER}/approvals")
        link = re.search(r'href="(/approvals/[0-9a-f]{32})"', page.text)
        assert link is not None
        mail = await http.get(link[1])

    assert "Lunch?" in text_of(page)
    assert mail.status_code == 200


@pytest.mark.parametrize("mail_id", ["0" * 32, "x", "%2e%2e", "a/b"])
async def test_unknown_mail_is_told_only_to_people_who_are_signed_in(mail_id: str) -> None:
    """The link of a mail that never was leads through the same sign-in, so that nobody learns what exists."""
    async with waiting() as one, one.browser() as http:
        asked = await http.get(f"{SERVER}/approvals/{mail_id}")
        if mail_id != "a/b":
            page = await reach(http, f"{SERVER}/approvals/{mail_id}")
            assert page.status_code in (404, 200)
            assert "noon" not in page.text

    assert asked.status_code in (302, 404)


async def test_page_speaks_chinese() -> None:
    """No sentence of the three pages is left in English."""
    async with waiting() as one, one.browser() as http:
        http.headers["Accept-Language"] = "zh-TW"
        pages = [await reach(http, one.url), await http.get(f"{SERVER}/approvals")]
        pages.append(await http.post(one.url, data={**form_of(pages[0]), "decision": "send"}))

    for page in pages:
        assert '<html lang="zh-Hant">' in page.text
        assert re.findall(r"[A-Za-z]+ [a-z]+ [a-z]+", text_of(page).replace("M365 MCP Server", "")) == []


@pytest.mark.parametrize(
    ("message", "lines"),
    [
        ({"importance": "high", "request_read_receipt": True}, "Importance high Asks for a receipt when it is read"),
        pytest.param({"importance": "low"}, "Importance low", marks=pytest.mark.full),
    ],
)
async def test_l2_page_says_what_else_the_mail_asks_of_its_recipients(message: dict[str, Any], lines: str) -> None:
    """Importance and receipts are part of what is approved, so the page names them where they are not the usual."""
    async with waiting(message={"to": [MARIE], **message}) as one, one.browser() as http:
        shown = text_of(await reach(http, one.url))
    async with waiting() as one, one.browser() as http:
        usual = text_of(await reach(http, one.url))

    assert lines in shown
    assert "Importance" not in usual
    assert "Asks for" not in usual


@pytest.mark.parametrize("language", ["en", pytest.param("zh-TW", marks=pytest.mark.full)])
@pytest.mark.full
async def test_l4_flood_of_the_pages_is_refused_with_a_page(language: str) -> None:
    """429 with Retry-After in the person's language, on each of the pages; the mail waits on, and so does a form."""
    now = [0.0]
    async with waiting() as one, one.browser() as http, one.browser() as stranger:
        one.world.network.transports["server"] = httpx2.ASGITransport(assemble(one.world.container, lambda: now[0]))
        http.headers["Accept-Language"] = language
        form = form_of(await reach(http, one.url))
        statuses = [(await http.get(f"{SERVER}/approvals/x")).status_code for _ in range(APPROVALS.person)]
        pages = [
            await http.get(f"{SERVER}/approvals"),
            await http.get(one.url),
            await http.get(f"{one.url}/body"),
            await http.post(one.url, data={**form, "decision": "send"}),
        ]
        other = await stranger.get(one.url)
        program = await http.get(one.url, headers={"Accept": "application/json"})

        assert await one.sent() == []
        now[0] += int(pages[1].headers["Retry-After"])
        later = await http.get(one.url)
    assert Counter(statuses) == {404: APPROVALS.person - 1, 429: 1}  # the first of all was the page itself
    assert ([page.status_code for page in pages], later.status_code) == ([429] * 4, 200)
    assert all(int(page.headers["Retry-After"]) >= 1 for page in pages)
    assert ("Wait a moment" if language == "en" else "請稍候") in text_of(pages[1])
    assert other.status_code == 302
    assert program.json()["error"] == "approval_too_often"


async def test_a22_two_servers_on_one_host_keep_their_proofs_apart() -> None:
    """The cookies have a digest of the server's address in their names, so that none hides another's."""
    async with waiting() as one:
        proofs = one.world.container.proofs
    below = copy(proofs)
    below._client = replace(proofs._client, base_url=f"{SERVER}/b")

    names = ("m365-approval-proof", "m365-approval-sign-in")
    assert {proofs._name(name) for name in names} & {below._name(name) for name in names} == set()
