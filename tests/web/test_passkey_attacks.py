"""A program that has the person's cookies, bearer token and every page gets no mail out without a gesture."""

from __future__ import annotations

import json
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from itertools import count

import httpx2
import pytest

from tests.inprocess import SERVER
from tests.sending.test_outbox import MARIE, send
from tests.web.authenticator import PRESENT, VERIFIED, Authenticator, changed
from tests.web.passkey_people import PASSKEYS, AtBrowser, age_sign_ins, passkeys_needed
from tests.web.test_approvals import form_of, reach

EVIL = "https://evil.example"


@dataclass
class Attacker:
    """A program in Ada's browser.

    Attributes:
        ada: the browser, with all its cookies.
        target: the page of the mail that it wants to leave.
        other: the page of another mail that waits.
        passkey: Ada's; the program gets only what its authenticator would sign without her, or elsewhere.
        own: a key of the program's own.
        recorded: the answer with which Ada has approved an earlier mail.
    """

    ada: AtBrowser
    target: str
    other: str
    passkey: Authenticator
    own: Authenticator = field(default_factory=Authenticator)
    recorded: str = ""

    async def post(self, answer: str, **changes: str) -> httpx2.Response:
        form = {**await self.ada.form(self.target), **changes}
        return await self.ada.press(self.target, form, answer)

    async def signed(self, by: Authenticator, **changes: object) -> httpx2.Response:
        form = await self.ada.form(self.target)
        options = await self.ada.asked(self.target, form)
        return await self.ada.press(self.target, form, by.get(options, **changes))  # type: ignore[arg-type]

    async def try_plain_form(self) -> httpx2.Response:
        return await self.post("")

    async def try_garbage(self) -> httpx2.Response:
        await self.ada.asked(self.target, await self.ada.form(self.target))
        name = json.loads(self.recorded)["id"]
        found = [
            "{",
            "[]",
            "null",
            "1",
            '{"id": 1}',
            json.dumps({"id": name}),
            json.dumps({"id": name, "response": []}),
        ]
        return await self.post(random.choice(found))  # noqa: S311

    async def try_replay(self) -> httpx2.Response:
        await self.ada.asked(self.target, await self.ada.form(self.target))
        return await self.post(self.recorded)

    async def try_replay_with_new_challenge(self) -> httpx2.Response:
        form = await self.ada.form(self.target)
        options = await self.ada.asked(self.target, form)
        return await self.ada.press(self.target, form, changed(self.recorded, challenge=options["challenge"]))

    async def try_own_key(self) -> httpx2.Response:
        return await self.signed(self.own)

    async def try_own_key_in_her_name(self) -> httpx2.Response:
        return await self.signed(replace(self.own, id=self.passkey.id, count=self.passkey.count + 10))

    async def try_nobody_verified(self) -> httpx2.Response:
        return await self.signed(self.passkey, flags=PRESENT)

    async def try_nobody_present(self) -> httpx2.Response:
        return await self.signed(self.passkey, flags=VERIFIED)

    async def try_other_origin(self) -> httpx2.Response:
        return await self.signed(self.passkey, origin=random.choice([EVIL, f"{SERVER}.evil.example", "null"]))  # noqa: S311

    async def try_other_rp_id(self) -> httpx2.Response:
        return await self.signed(self.passkey, rp_id="evil.example")

    async def try_frame_of_another_site(self) -> httpx2.Response:
        found: list[dict[str, object]] = [{"crossOrigin": True}, {"topOrigin": EVIL}]
        return await self.signed(self.passkey, **random.choice(found))  # noqa: S311

    async def try_other_kind(self) -> httpx2.Response:
        return await self.signed(self.passkey, type="webauthn.create")

    async def try_other_mail(self) -> httpx2.Response:
        form = await self.ada.form(self.other)
        options = await self.ada.asked(self.other, form)
        await self.ada.asked(self.target, await self.ada.form(self.target))
        return await self.post(self.passkey.get(options))

    async def try_digest_of_another_mail(self) -> httpx2.Response:
        form, of_other = await self.ada.form(self.target), await self.ada.form(self.other)
        options = await self.ada.asked(self.target, form)
        return await self.ada.press(self.target, {**form, "digest": of_other["digest"]}, self.own.get(options))

    async def try_earlier_challenge(self) -> httpx2.Response:
        form = await self.ada.form(self.target)
        stale = await self.ada.asked(self.target, form)
        await self.ada.asked(self.target, form)
        return await self.ada.press(self.target, form, self.passkey.get(stale))

    async def try_changed_client_data(self) -> httpx2.Response:
        form = await self.ada.form(self.target)
        stale = self.passkey.get(await self.ada.asked(self.target, form))
        asked = await self.ada.asked(self.target, form)
        return await self.ada.press(self.target, form, changed(stale, challenge=asked["challenge"]))

    async def try_counter_that_goes_back(self) -> httpx2.Response:
        return await self.signed(replace(self.passkey, count=0))

    async def try_enrol_with_the_proof_at_hand(self) -> httpx2.Response:
        form = await self.ada.form(self.target)
        assert (await self.ada.fetch(PASSKEYS, form)).status_code == 403
        options = {"rp": {"id": "localhost"}, "user": {"id": "eA"}, "challenge": "eA"}
        new = {"token": form["token"], "decision": "add", "answer": self.own.create(options)}
        assert (await self.ada.http.post(PASSKEYS, data=new)).status_code == 403
        return await self.signed(self.own)

    async def try_enrol_with_the_session_at_microsoft(self) -> httpx2.Response:
        age_sign_ins(self.ada.one)
        begun = await self.ada.http.get(PASSKEYS)
        page = await reach(self.ada.http, begun.headers["Location"].replace("prompt=login&max_age=0", ""))
        assert page.status_code == 403
        return await self.signed(self.own)

    async def try_call_the_tools(self) -> httpx2.Response:
        await send(self.ada.one.ada, to=[MARIE], attachments=[], copy=True, subject="Lunch?")
        return await self.post("")

    async def try_other_page_of_the_server(self) -> httpx2.Response:
        form = form_of(await reach(self.ada.http, self.target))
        return await self.ada.http.post(f"{self.target}/body", data={**form, "decision": "send"})


MOVES: list[Callable[[Attacker], Awaitable[httpx2.Response]]]
MOVES = [move for name, move in vars(Attacker).items() if name.startswith("try_")]


@pytest.mark.parametrize("attempts", [22, pytest.param(500, marks=pytest.mark.full)])
async def test_l6_without_a_gesture_no_attempt_gets_a_mail_out(attempts: int) -> None:
    """Forged, replayed, foreign and changed answers, forms without one and keys of the attacker's own send nothing."""
    later = count()  # a minute for each request, so that no rate limit does the work of the passkey
    async with passkeys_needed(clock=lambda: 60.0 * next(later)) as ada:
        phone = Authenticator()
        await ada.enrol(phone)
        first = (await send(ada.one.ada, to=[MARIE], subject="Approved")).approval.url
        other = (await send(ada.one.ada, to=[MARIE], subject="Other")).approval.url
        form = await ada.form(first)
        recorded = phone.get(await ada.asked(first, form))
        assert (await ada.press(first, form, recorded)).status_code == 200
        attacker = Attacker(ada, ada.one.url, other, phone, recorded=recorded)

        order = random.Random(attempts)  # noqa: S311
        moves = [*MOVES, *order.choices(MOVES, k=attempts)][:attempts]
        answers = [await move(attacker) for move in moves]
        subjects = [mail["subject"] for mail in await ada.one.sent()]
        approved = await ada.approve(ada.one.url, phone)

        assert [mail["subject"] for mail in await ada.one.sent()] == ["Approved", "Lunch?"]
    assert len(MOVES) <= attempts
    assert [move.__name__ for move, answer in zip(moves, answers, strict=True) if answer.status_code < 400] == []
    assert subjects == ["Approved"]
    assert approved.status_code == 200
