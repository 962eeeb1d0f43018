"""Sending, end to end: what arrives is what was asked for, and what is told is what happened."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import random
import signal
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.e2e.grants import Grant, call_tool, signed_in, start_server
from tests.e2e.programs import Redis, Server, Simulator, delete_sends, forget_sends, free_port, make_redis
from tests.e2e.test_sending_once import said

pytestmark = pytest.mark.timeout(120)
MAIL: dict[str, Any] = {"to": ["grace@contoso.example"], "subject": "Hello", "body": "<p>Hi</p>"}


@pytest.fixture
async def ada(server: Server, simulator: Simulator) -> Grant:
    return await signed_in(server, simulator)


def content(reply: Any) -> dict[str, Any]:
    found: dict[str, Any] = reply.json()["result"]["structuredContent"]
    return found


async def test_h1_accepted_message_is_sent_and_its_receipt_says_all(
    server: Server, ada: Grant, simulator: Simulator
) -> None:
    """H1: 202: one mail, with our id in its headers; the receipt has the documented fields."""
    reply = content(await call_tool(server.url, ada.access, "send_mail", **MAIL))

    [mail] = simulator.outbox
    assert reply["status"] == "sent"
    assert {"name": "x-m365-mcp-id", "value": reply["message_id"]} in mail["headers"]
    assert reply["recipients"] == ["grace@contoso.example"]
    assert reply["duplicate_of"] is None
    assert reply["warnings"] == []
    assert reply["accepted_at"].endswith("+00:00")
    assert reply["request_id"] == mail["requestId"]


async def test_h11_h12_h18_keys_repeats_and_wanted_copies(server: Server, ada: Grant, simulator: Simulator) -> None:
    """H11, H12: a key makes a repeat explicit, and stands for one message; a wanted copy is sent."""

    async def send(**more: Any) -> httpx2.Response:
        return await call_tool(server.url, ada.access, "send_mail", **{**MAIL, **more})

    first = content(await send(idempotency_key="k-1"))
    again = content(await send(idempotency_key="k-1"))
    other = await send(idempotency_key="k-1", subject="Another")
    equal = content(await send())
    repeat = content(await send())
    copy = content(await send(allow_duplicate=True))

    assert again["duplicate_of"] == first["message_id"]
    assert "idempotency_key_reused" in other.json()["result"]["content"][0]["text"]
    assert equal["duplicate_of"] is None
    assert repeat["duplicate_of"] == equal["message_id"]
    assert copy["duplicate_of"] is None
    assert [one["status"] for one in (first, again, equal, repeat, copy)] == [
        "sent", "already_sent", "sent", "already_sent", "sent",
    ]  # fmt: skip
    assert len(simulator.outbox) == 3


@pytest.mark.parametrize("is_saved", [True, False])
async def test_k15_receipt_of_a_repeat_tells_of_the_mail_that_was_sent(
    server: Server, ada: Grant, simulator: Simulator, is_saved: bool
) -> None:
    """K15: a repeat that asks otherwise tells whether the first mail is in Sent Items."""

    async def send(save_to_sent: bool) -> dict[str, Any]:
        return content(await call_tool(server.url, ada.access, "send_mail", **MAIL, save_to_sent=save_to_sent))

    first, repeat = await send(is_saved), await send(not is_saved)

    [mail] = simulator.outbox
    assert mail["saveToSentItems"] is is_saved
    assert (first["saved_to_sent_items"], repeat["saved_to_sent_items"]) == (is_saved, is_saved)
    assert (first["status"], repeat["status"]) == ("sent", "already_sent")


async def test_h6_graph_out_of_reach_is_not_sent_and_may_be_sent_again(
    simulator: Simulator, shared_redis: Redis, tmp_path: Path
) -> None:
    """H6: nothing listens at Graph's address: not sent, at once; with the right address the same call sends."""
    forget_sends(shared_redis)
    away = start_server(
        tmp_path, simulator, REDIS_URL=shared_redis.url, GRAPH_BASE_URL=f"https://localhost:{free_port()}"
    )
    grant_away = await _signed_in_only(away, simulator)
    refused = await call_tool(away.url, grant_away.access, "send_mail", **MAIL)
    away.program.end()
    there = start_server(tmp_path, simulator, REDIS_URL=shared_redis.url)
    sent = await call_tool(there.url, (await signed_in(there, simulator)).access, "send_mail", **MAIL)
    there.program.end()

    assert said(refused) == "not sent"
    assert refused.elapsed.total_seconds() < 5
    assert said(sent) == "sent"
    assert len(simulator.outbox) == 1


async def _signed_in_only(server: Server, simulator: Simulator) -> Grant:
    from tests.e2e.grants import assistant_at, grant_of

    assistant = assistant_at(server, simulator)
    assert (await assistant.call("get_my_profile")).is_error
    return await grant_of(assistant)


async def test_h16_without_the_ledger_nothing_is_sent(simulator: Simulator, tmp_path: Path) -> None:
    """H16: Redis dies between sign-in and send: not sent, and Graph is not asked."""
    redis = make_redis(tmp_path)
    redis.start()
    server = start_server(tmp_path, simulator, REDIS_URL=redis.url)
    ada = await signed_in(server, simulator)
    redis.program.end(signal.SIGKILL)

    reply = await call_tool(server.url, ada.access, "send_mail", **MAIL)
    server.program.end()

    assert reply.status_code == 503
    assert simulator.outbox == []
    assert simulator.count(path="/v1.0/me/sendMail") == 0


async def test_h17_ledger_lost_in_a_failover_is_the_documented_bound(
    server: Server, ada: Grant, shared_redis: Redis, simulator: Simulator
) -> None:
    """H17: what the store forgets, only a process that saw it knows; without one, a repeat is sent again."""
    said_before = said(await call_tool(server.url, ada.access, "send_mail", **MAIL))
    delete_sends(shared_redis)
    known = said(await call_tool(server.url, ada.access, "send_mail", **MAIL))
    forget_sends(shared_redis)
    unknown = said(await call_tool(server.url, ada.access, "send_mail", **MAIL))

    assert [said_before, known, unknown] == ["sent", "repeat", "sent"]
    assert len(simulator.outbox) == 2
    assert "failover" in (Path(__file__).parents[2] / "docs" / "sending.md").read_text()


@pytest.mark.parametrize("name", ["sender", "from", "replyTo", "headers", "x"])
async def test_g21_argument_the_tool_does_not_have_is_refused(
    server: Server, ada: Grant, simulator: Simulator, name: str
) -> None:
    """G21: nobody gets another sender, or a header, in by the side door."""
    reply = await call_tool(server.url, ada.access, "send_mail", **MAIL, **{name: "eve@example.com"})

    assert f"'{name}': is not an argument of this tool" in reply.json()["result"]["content"][0]["text"]
    assert simulator.outbox == []


@pytest.mark.parametrize("mode", ["direct", "draft"])
async def test_g20_graph_receives_exactly_what_was_asked_for(simulator: Simulator, tmp_path: Path, mode: str) -> None:
    """G20: forty random messages with everything a mail can have arrive as they were asked for, in both modes."""
    server = start_server(tmp_path, simulator, M365_SEND_MODE=mode, M365_SEND_BCC="true", M365_SEND_HOURLY_LIMIT="0")
    ada = await signed_in(server, simulator)
    dice = random.Random(20261124)  # noqa: S311 - samples, no secret
    all_arguments = [_random_arguments(dice, number) for number in range(40)]

    replies = await asyncio.gather(
        *(call_tool(server.url, ada.access, "send_mail", **arguments) for arguments in all_arguments)
    )
    server.program.end()

    assert {said(reply) for reply in replies} == {"sent"}
    mails = {mail["subject"]: mail for mail in simulator.outbox}
    assert len(simulator.outbox) == len(all_arguments)
    for arguments in all_arguments:
        assert _as_sent(mails[arguments["subject"]]) == _as_asked(arguments)


def _random_arguments(dice: random.Random, number: int) -> dict[str, Any]:
    people = [f"{name}@{domain}" for name in ("a", "b", "c", "d", "e") for domain in ("contoso.example", "example.com")]
    dice.shuffle(people)
    files = [
        {"name": f"f{n}.txt", "content_base64": base64.b64encode(dice.randbytes(dice.randrange(3000))).decode()}
        for n in range(dice.randrange(3))
    ]
    return {
        "to": people[: dice.randrange(1, 4)],
        "cc": people[4 : 4 + dice.randrange(3)],
        "bcc": people[7 : 7 + dice.randrange(3)],
        "reply_to": people[9 : 9 + dice.randrange(2)],
        "subject": f"{number} " + "".join(dice.choices("abc äöü 會議 <>&\"'", k=dice.randrange(30))).strip(),
        "body": "".join(dice.choices("line\n\t <>&\"' 記錄 ü", k=dice.randrange(400))),
        "content_type": "Text",
        "importance": dice.choice(["low", "normal", "high"]),
        "request_read_receipt": dice.random() < 0.5,
        "attachments": files,
    }


def _as_asked(arguments: dict[str, Any]) -> dict[str, Any]:
    files = [(file["name"], base64.b64decode(file["content_base64"])) for file in arguments["attachments"]]
    return {
        **{name: sorted(arguments[name]) for name in ("to", "cc", "bcc", "reply_to")},
        "body": arguments["body"],
        "importance": arguments["importance"],
        "receipt": arguments["request_read_receipt"],
        "files": sorted((name, len(data), hashlib.sha256(data).hexdigest()) for name, data in files),
        "from": "ada@contoso.example",
    }


def _as_sent(mail: dict[str, Any]) -> dict[str, Any]:
    people = {"to": "to", "cc": "cc", "bcc": "bcc", "reply_to": "replyTo"}
    return {
        **{name: sorted(person["address"] for person in mail[key]) for name, key in people.items()},
        "body": mail["body"]["content"],
        "importance": mail["importance"],
        "receipt": mail["isReadReceiptRequested"],
        "files": sorted((file["name"], file["size"], file["sha256"]) for file in mail["attachments"]),
        "from": mail["from"]["address"],
    }
