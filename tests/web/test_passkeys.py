"""Approving with a passkey: people add their own after a new sign-in, and its signature sends the one mail it is of."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console
from webauthn.helpers import bytes_to_base64url

from m365_mcp import settings
from m365_mcp.auth.passkey_challenges import CHALLENGE_SECONDS, PasskeyChallenges
from m365_mcp.auth.passkeys import MAX_PASSKEYS, Passkey, Passkeys
from m365_mcp.commands.passkeys import remove
from m365_mcp.commands.sessions import open_container
from m365_mcp.errors import PasskeyRefused, SettingsMistake
from m365_mcp.person import PersonId
from m365_mcp.sending.own_drafts import OwnDrafts
from tests.audit.reading import of_class, problems
from tests.ids import IDS
from tests.inprocess import ADA, GRACE, SERVER
from tests.sending.test_outbox import MARIE, send, to_grace
from tests.web.authenticator import Authenticator
from tests.web.passkey_people import PASSKEYS, AtBrowser, age_sign_ins, passkeys_needed
from tests.web.test_approvals import form_of, reach, text_of, waiting

pytestmark = pytest.mark.full


async def test_l6_gesture_sends_the_one_mail_that_it_is_of() -> None:
    """One signature sends one mail once, however often and wherever it is posted; another mail waits on."""
    async with passkeys_needed() as ada:
        phone = Authenticator()
        await ada.enrol(phone)
        other = (await send(ada.one.ada, to=[MARIE], subject="Other")).approval.url
        form, form_of_other = await ada.form(ada.one.url), await ada.form(other)
        answer = phone.get(await ada.asked(ada.one.url, form))
        await ada.asked(other, form_of_other)
        elsewhere = await ada.press(other, form_of_other, answer)
        pressed = await asyncio.gather(*(ada.press(ada.one.url, form, answer) for _ in range(5)))
        late = await ada.press(ada.one.url, form, answer)
        again = await ada.press(other, form_of_other, answer)
        sent = await ada.one.sent()

    assert sorted(one.status_code for one in pressed) == [200, 403, 403, 403, 403]
    assert [one.status_code for one in (elsewhere, late, again)] == [403, 403, 403]
    assert [mail["subject"] for mail in sent] == ["Lunch?"]


async def test_l6_page_leads_to_a_passkey_and_sends_nothing_without_one() -> None:
    """Somebody without a passkey sees where to add one, cannot press Send, and can discard the mail."""
    async with passkeys_needed() as ada:
        page = await reach(ada.http, ada.one.url)
        form = form_of(page)
        asked = await ada.fetch(ada.one.url, form)
        pressed = await ada.press(ada.one.url, form, "")
        discarded = await ada.http.post(ada.one.url, data={**form, "decision": "discard"})

        assert await ada.one.sent() == []
    assert 'value="send"' not in page.text
    assert 'href="/approvals/passkeys"' in page.text
    assert (asked.status_code, asked.json()["error"]) == (403, "passkey_needed")
    assert (pressed.status_code, discarded.status_code) == (403, 200)
    assert "Your passkey is needed" in text_of(pressed)


async def test_l6_page_says_what_a_browser_without_scripts_cannot_do() -> None:
    """The page admits its script by hash, connects to itself only, and says why Send needs scripts."""
    async with passkeys_needed() as ada:
        await ada.enrol(Authenticator())
        page = await reach(ada.http, ada.one.url)
        listed = await ada.http.get(f"{SERVER}/approvals")

    policy = page.headers["Content-Security-Policy"]
    assert re.search(r"script-src 'sha256-[^']+';", policy)
    assert "connect-src 'self'" in policy
    assert "unsafe" not in policy
    assert re.search(r"<noscript>.*needs scripts.*</noscript>", page.text)
    assert 'href="/approvals/passkeys"' in listed.text


@pytest.mark.parametrize("change", ["the draft", "the digest"])
async def test_l6_signature_is_of_the_content_that_the_page_showed(change: str) -> None:
    """A draft that changes after the gesture is not sent, and neither is a mail with another digest in the form."""
    async with passkeys_needed() as ada:
        phone = Authenticator()
        await ada.enrol(phone)
        _, draft = await OwnDrafts(ada.one.ada).create(await ada.one.ada.compose(to_grace(to=[MARIE])))
        _, receipt = await OwnDrafts(ada.one.ada).send(draft.id)
        assert receipt.approval is not None
        url = str(receipt.approval.url)
        before = await ada.form(url)
        answer = phone.get(await ada.asked(url, before))
        await ada.one.ada.drafts.change(draft.id, {"subject": "Changed"})
        form = before if change == "the draft" else await ada.form(url)
        refused = await ada.press(url, form, answer)
        stale = await ada.fetch(url, before)
        sent = await ada.one.sent()
        anew = await ada.approve(url, phone)

        assert len(await ada.one.sent()) == 1
    assert refused.status_code == (409 if change == "the draft" else 403)
    assert (stale.status_code, stale.json()["error"]) == (409, "approval_void")
    assert sent == []
    assert anew.status_code == 200


async def test_l6_passkeys_change_only_after_a_new_sign_in_and_once_for_each() -> None:
    """The page sends to a sign-in with prompt=login and max_age=0; each sign-in adds or removes one passkey."""
    async with passkeys_needed() as ada:
        await reach(ada.http, f"{SERVER}/approvals")
        to_entra = await ada.http.get(PASSKEYS)
        form = form_of(await reach(ada.http, PASSKEYS))
        added = await ada.enrol(Authenticator(), "Phone")
        spent = [
            await ada.fetch(PASSKEYS, {"token": form["token"]}),
            await ada.http.post(PASSKEYS, data={**form, "decision": "remove", "passkey": "x"}),
        ]
        page = await reach(ada.http, PASSKEYS)
        removal = {**form_of(page), "decision": "remove"}
        removed = await ada.http.post(PASSKEYS, data=removal)
        twice = await ada.http.post(PASSKEYS, data=removal)

    assert to_entra.status_code == 302
    assert "prompt=login&max_age=0" in to_entra.headers["Location"]
    assert "Phone" in text_of(added)
    assert "<form" not in added.text
    assert [one.status_code for one in spent] == [403, 403]
    assert "Not used yet." in text_of(page)
    assert (removed.status_code, "You have none yet." in text_of(removed)) == (200, True)
    assert twice.status_code == 403


@pytest.mark.parametrize("how", ["an older session", "no auth_time"])
async def test_l6_session_with_microsoft_is_no_new_sign_in(how: str) -> None:
    """Who takes prompt=login out of the address gets in with the session of the browser, and changes no passkey."""
    async with passkeys_needed() as ada:
        await reach(ada.http, f"{SERVER}/approvals")
        if how == "no auth_time":
            await ada.one.world.control("PATCH", "app", {"optional_claims": []})
        else:
            age_sign_ins(ada.one, 120.0)
        begun = await ada.http.get(PASSKEYS)
        silent = begun.headers["Location"].replace("prompt=login", "").replace("max_age=0", "")
        page = await reach(ada.http, silent)
        challenge = await ada.fetch(PASSKEYS, {"token": "x"})

    assert page.status_code == challenge.status_code == 403
    assert ("client_secret" in text_of(page), "<form" in page.text) == (False, False)
    assert ("auth_time" in text_of(page)) == (how == "no auth_time")


async def test_l6_passkeys_belong_to_one_person() -> None:
    """A passkey of a colleague approves nothing here, and nobody sees or removes another person's."""
    async with passkeys_needed() as ada, ada.one.browser() as http:
        grace = AtBrowser(ada.one, http, GRACE)
        hers, mine = Authenticator(), Authenticator()
        await ada.enrol(mine, "Ada's phone")
        await grace.enrol(hers, "Grace's phone")
        listed = await reach(http, PASSKEYS, GRACE)
        form = await ada.form(ada.one.url)
        foreign = await ada.press(ada.one.url, form, hers.get(await ada.asked(ada.one.url, form)))
        mine.handle = hers.handle
        confused = await ada.press(ada.one.url, form, mine.get(await ada.asked(ada.one.url, form)))

        assert await ada.one.sent() == []
    assert "Ada's phone" not in text_of(listed)
    assert (foreign.status_code, confused.status_code) == (403, 403)


async def test_l6_person_has_a_few_passkeys_and_a_removed_one_sends_nothing() -> None:
    """What is over the limit or known already is refused; a passkey that was removed approves nothing any more."""
    async with passkeys_needed() as ada:
        phones = [Authenticator() for _ in range(MAX_PASSKEYS)]
        for number, phone in enumerate(phones):
            assert (await ada.enrol(phone, f"Phone {number}")).status_code == 200
            if number == 0:
                assert (await ada.enrol(phone)).status_code == 403
        form = form_of(page := await reach(ada.http, PASSKEYS))
        full = await ada.fetch(PASSKEYS, form)
        await ada.http.post(PASSKEYS, data={**form, "decision": "remove", "passkey": bytes_to_base64url(phones[0].id)})
        of_mail = await ada.form(ada.one.url)
        asked = await ada.asked(ada.one.url, of_mail)
        gone = await ada.press(ada.one.url, of_mail, phones[0].get(asked))

        assert await ada.one.sent() == []
    assert "To add another one, remove one first." in text_of(page)
    assert (full.status_code, full.json()["error"]) == (409, "too_many_passkeys")
    assert len(asked["allowCredentials"]) == MAX_PASSKEYS - 1
    assert asked["userVerification"] == "required"
    assert gone.status_code == 403


async def test_l6_pages_of_passkeys_speak_chinese() -> None:
    """No sentence of the pages is left in English, nor is a refusal that the script shows."""
    async with passkeys_needed() as ada:
        ada.http.headers["Accept-Language"] = "zh-TW"
        pages = [await reach(ada.http, PASSKEYS), await ada.enrol(Authenticator(), ""), await reach(ada.http, PASSKEYS)]
        pages += [await reach(ada.http, ada.one.url), await ada.http.get(f"{SERVER}/approvals")]
        form = form_of(pages[3])
        pages.append(await ada.press(ada.one.url, form, ""))
        told = await ada.fetch(ada.one.url, {**form, "digest": "x"})

    for page in pages:
        assert '<html lang="zh-Hant">' in page.text
        shown = re.sub(r"<(script|style)>.*?</\1>", "", page.text, flags=re.DOTALL).replace("M365 MCP Server", "")
        assert re.findall(r"[A-Za-z]+ [a-z]+ [a-z]+", re.sub(r"<[^>]+>", " ", shown.partition("<body>")[2])) == []
        assert re.findall(r"&#34;[^&]*[a-z]+ [a-z]+[^&]*&#34;", shown) == []
    assert re.fullmatch(r"[^A-Za-z]+", told.json()["message"])


async def test_l6_approval_record_names_the_proof_and_changes_of_passkeys_are_records(tmp_path: Path) -> None:
    """The record of the mail says that a passkey approved it; a passkey added, removed or refused is a record."""
    file = tmp_path / "audit"
    async with passkeys_needed(m365_audit=f"file:{file}") as ada:
        phone = Authenticator()
        await ada.enrol(phone)
        form = await ada.form(ada.one.url)
        await ada.press(ada.one.url, form, "{}")
        await ada.approve(ada.one.url, phone)
        removal = {**form_of(await reach(ada.http, PASSKEYS)), "decision": "remove"}
        await ada.http.post(PASSKEYS, data=removal)

    sent, changes = of_class(file, 4009), [one for one in of_class(file, 6003) if "passkey" in one["api"]["operation"]]
    assert [problem for record in (*sent, *changes) for problem in problems(record)] == []
    assert sent[-1]["unmapped"]["approval_proof"] == "passkey"
    assert [one["api"]["operation"] for one in changes] == ["passkey.added", "passkey.refused", "passkey.removed"]
    assert {one["actor"]["user"]["uid"] for one in changes} == {sent[-1]["actor"]["user"]["uid"]}


async def test_l6_counter_never_goes_back_however_many_replicas_verify() -> None:
    """Of two answers with the same counter one is taken, and one with a smaller counter never is."""
    async with passkeys_needed() as ada:
        store, person = Passkeys(ada.one.world.container.storage.records), PersonId("tenant", "person")
        await store.add(person, ADA, Passkey(id="p", public_key="k", sign_count=4, added_at=0.0))

        def verify(count: int, passkey: Passkey) -> int:
            if count <= passkey.sign_count:
                raise PasskeyRefused
            return count

        tries = [store.use(person, "p", partial(verify, count)) for count in (5, 5, 3)]
        results = await asyncio.gather(*tries, return_exceptions=True)
        [kept] = await store.of(person)

    assert [type(one) for one in results].count(PasskeyRefused) == 2
    assert kept.sign_count == 5


async def test_l6_operator_removes_the_passkeys_of_one_person(tmp_path: Path) -> None:
    """The command takes all passkeys of the named person away, and nobody else's."""
    chosen = settings.load(**{**IDS, "_env_file": None, "mcp_data_dir": tmp_path})
    ada, grace = PersonId("tenant", "ada-id"), PersonId("tenant", "grace-id")
    async with open_container(chosen) as container:
        store = Passkeys(container.storage.records)
        for person, name in ((ada, ADA), (grace, GRACE)):
            await store.add(person, name, Passkey(id="p", public_key="k", sign_count=0, added_at=0.0))
    console = Console(record=True)
    await remove(chosen, console, "ADA@contoso.example")
    await remove(chosen, console, "nobody@contoso.example")
    async with open_container(chosen) as container:
        left = [owner.person async for owner in Passkeys(container.storage.records).owners()]

    assert left == [grace]
    assert [line for line in console.export_text().splitlines() if "removed" in line] == [
        "1 passkey(s) removed",
        "0 passkey(s) removed",
    ]


async def test_l6_challenge_counts_once_and_ends_soon() -> None:
    """A challenge is redeemed once, by one of many who try, for what it was made for, and not after its time."""
    async with passkeys_needed() as ada:
        now = [1000.0]
        challenges = PasskeyChallenges(ada.one.world.container.storage.records, lambda: now[0])
        made = await challenges.make("k", "send", "a")
        tries = await asyncio.gather(*(challenges.redeem("k", "send", "a") for _ in range(4)), return_exceptions=True)
        replaced = await challenges.make("k", "send", "a")
        await challenges.make("k", "send", "a")
        other = await challenges.redeem("k", "send", "b")
        await challenges.make("k", "send", "a")
        now[0] += CHALLENGE_SECONDS
        with pytest.raises(PasskeyRefused):
            await challenges.redeem("k", "send", "a")

    assert [one for one in tries if isinstance(one, bytes)] == [made]
    assert len({made, replaced, other}) == 3


@pytest.mark.parametrize(
    ("url", "is_possible"),
    [
        ("https://mcp.example.com/mail", True),
        ("http://localhost:8000", True),
        ("https://192.0.2.1", False),
        ("https://[2001:db8::1]", False),
        ("http://127.0.0.1:8000", False),
        ("http://[::1]:8000", False),
    ],
)
def test_l6_address_in_place_of_a_host_name_stops_the_start(url: str, is_possible: bool) -> None:
    """Browsers bind passkeys to a host name, so an address in the public URL is a row of the settings table."""
    chosen = {**IDS, "_env_file": None, "mcp_server_base_url": url, "m365_approval_proof": "passkey"}
    if is_possible:
        assert settings.load(**chosen).m365_approval_proof == "passkey"
        return
    with pytest.raises(SettingsMistake) as caught:
        settings.load(**chosen)
    [(name, sentence)] = caught.value.mistakes
    assert name == "M365_APPROVAL_PROOF"
    assert "browsers bind passkeys to a host name" in sentence


@pytest.mark.full
async def test_l6_library_is_loaded_only_where_passkeys_are_asked_for() -> None:
    """A server with another proof does without the library, and has no page of passkeys."""
    program = "import sys, m365_mcp.app; sys.exit('webauthn' in sys.modules)"
    async with waiting() as one, one.browser() as http:
        page = await reach(http, PASSKEYS)

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
    assert page.status_code == 404
