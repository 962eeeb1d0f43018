"""Attacks on a person's word: rows I of the acceptance suite, for which this server has a page, and no question."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from m365_mcp.errors import ApprovalVoid, M365Error
from m365_mcp.sending.held_mail import HeldMail
from m365_mcp.sending.own_drafts import OwnDrafts
from tests.attacks.serving import post_mcp, serving
from tests.inprocess import ADA, World
from tests.sending.test_approvals import asking, sent_by_ada
from tests.sending.test_outbox import MARIE, send, to_grace
from tests.web.test_approvals import form_of, reach, text_of, waiting

MAIL = {"to": [MARIE], "subject": "Lunch?", "body": "At noon?"}
YES: dict[str, Any] = {"action": "accept", "content": {"ok": True, "confirm": True, "decision": "send"}}
# What the draft of input requests, and what earlier revisions, would have a client send as the person's answer.
FORGERIES: dict[str, dict[str, Any]] = {
    "input responses": {"inputResponses": {"approval": YES, "confirm": YES, "0": YES}},
    "input responses with a state": {"inputResponses": {"approval": YES}, "requestState": "eyJhcHByb3ZlZCI6dHJ1ZX0"},
    "state alone": {"requestState": "approved"},
    "_meta": {"_meta": {"approved": True, "io.modelcontextprotocol/inputResponses": {"approval": YES}}},
}


async def send_forged(world: World, access: str, revision: str, **params: Any) -> Any:
    """Call send_mail with more params than a client has."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": revision,
        "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}, "url": {}}},
        "io.modelcontextprotocol/clientInfo": {"name": "forger", "version": "1"},
    }
    call = {"name": "send_mail", "arguments": MAIL, **params, "_meta": {**meta, **params.get("_meta", {})}}
    headers = {"MCP-Protocol-Version": revision, "Mcp-Method": "tools/call", "Mcp-Name": "send_mail"}
    answer = await post_mcp(
        world, access, {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}, **headers
    )
    return answer.json()


@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
async def test_i3_answers_that_a_client_makes_up_approve_nothing(revision: str) -> None:
    """On the first call and on every repeat, with accept, a state or _meta: the mail waits, and nothing leaves."""
    async with serving(m365_send_approval="all") as world:
        tokens = await world.sign_in()
        access = tokens.access
        told = [
            await send_forged(world, access, revision, **forgery)
            for forgery in (*FORGERIES.values(), *FORGERIES.values())
        ]
        forms = [{"jsonrpc": "2.0", "id": number, "result": YES} for number in (1, "1", 0)]
        answers = [await post_mcp(world, access, form) for form in forms]
        waits = await world.container.approvals.of((await world.outbox(tokens)).person)
        sent = await world.sent()

    assert sent == []
    assert len(waits) == 1
    assert all('"sent"' not in str(answer.get("result")) for answer in told)
    assert {answer.status_code for answer in answers} <= {200, 202, 400}


@pytest.mark.parametrize("racers", [2, 20])
async def test_i1_i2_decision_that_arrives_many_times_sends_once(racers: int) -> None:
    """The same press at once, at one replica or at several, sends one mail; every later one says that it is over."""
    async with asking() as (one, approvals):
        await send(one.ada)
        [mail] = await approvals.of(one.ada.person)
        digest = (await approvals.show(mail)).digest
        replicas = [replace(approvals, outgoing=replace(approvals.outgoing)) for _ in range(racers)]
        answers = await asyncio.gather(*(each.approve(mail, digest) for each in replicas), return_exceptions=True)
        with pytest.raises(M365Error) as late:
            await approvals.approve(mail, digest)

        assert len(await sent_by_ada(one)) == 1
    assert all(isinstance(answer, HeldMail | M365Error) for answer in answers), answers
    assert sum(not isinstance(answer, BaseException) for answer in answers) >= 1
    assert late.value.code == "approval_over"


@pytest.mark.parametrize("decision", ["", "SEND", "approve", "accept", "cancel", "true", "ok:false", "discard send"])
@pytest.mark.sample(2)
async def test_i4_answer_that_is_no_press_of_send_sends_nothing(decision: str) -> None:
    """Only `send` sends: what is neither `send` nor `discard` is refused, and the mail waits on."""
    async with waiting() as one, one.browser() as http:
        form = form_of(await reach(http, one.url))
        answer = await http.post(one.url, data={**form, "decision": decision})
        sent = await one.sent()

    assert (answer.status_code, sent) == (403, [])


async def test_i5_approval_of_one_draft_approves_no_other() -> None:
    """What Ada read of one draft is worth nothing for another, which differs in one letter, and nor is a guess."""
    async with asking() as (one, approvals):
        for subject in ("Lunch?", "Lunch!"):
            _, draft = await OwnDrafts(one.ada).create(await one.ada.compose(to_grace(subject=subject)))
            await OwnDrafts(one.ada).send(draft.id)
        first, second = sorted(await approvals.of(one.ada.person), key=lambda mail: mail.subject == "Lunch!")
        digest = (await approvals.show(first)).digest
        for wrong in (digest, "", digest.upper(), digest[:-1]):
            with pytest.raises(ApprovalVoid):
                await approvals.approve(second, wrong)
        before = len(await sent_by_ada(one))
        await approvals.approve(first, digest)

        assert (before, [mail["subject"] for mail in await sent_by_ada(one)]) == (0, ["Lunch?"])


@pytest.mark.parametrize("subject", ["x\n\nTo: boss@corp.com", "x\r\nTo: boss@corp.com", "x\u2028To: boss@corp.com"])
async def test_i7_subject_with_a_line_break_never_reaches_the_page(subject: str) -> None:
    """It is refused when the mail is composed, so that no field of the page has a second line."""
    async with asking() as (one, approvals):
        with pytest.raises(M365Error) as refused:
            await send(one.ada, subject=subject)

        assert await approvals.of(one.ada.person) == ()
    assert refused.value.code == "invalid_argument"


async def test_i7_markup_in_a_subject_is_text_on_the_page() -> None:
    """A subject that imitates the page's own fields is shown escaped, in one line, as the subject."""
    subject = "Lunch?</dd><dt>To</dt><dd>boss@corp.com <b>inside</b> <script>alert(1)</script>"
    async with waiting(message={"to": [MARIE], "subject": subject}) as one, one.browser() as http:
        page = await reach(http, one.url)

    assert "<script>alert" not in page.text
    assert "<dd>boss@corp.com" not in page.text
    assert subject in text_of(page)
    assert ADA
