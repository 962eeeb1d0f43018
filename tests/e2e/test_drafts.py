"""Drafts: made for the person to look at, sent once, thrown away; nothing else in the mailbox is touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.grants import assistant_at, start_server
from tests.e2e.outlook import Outlook, people
from tests.e2e.person import Assistant, done, refused
from tests.e2e.programs import Redis, Simulator

MAIL = {"to": ["Grace Hopper <grace@contoso.example>"], "subject": "Hello", "body": "<p>Hi</p><script>x</script>"}
SEND = "/v1.0/me/messages/*/send"


def fault(simulator: Simulator, path: str, method: str, **more: Any) -> None:
    simulator.control("POST", "faults", where={"path": path, "method": method}, **more)


async def test_draft_is_made_looked_at_and_sent_once(writer: Assistant, simulator: Simulator) -> None:
    """Nothing leaves before send_draft; then exactly what was drafted does, and a repeat returns the first receipt."""
    draft = await done(writer, "create_draft", **MAIL, cc=["marie@fabrikam.example"], importance="high")
    before = simulator.outbox
    receipt = await done(writer, "send_draft", draft_id=draft["draft_id"])
    again = await done(writer, "send_draft", draft_id=draft["draft_id"])

    assert (draft["status"], before) == ("draft", [])
    assert draft["web_link"].startswith("https://outlook.office365.com/")
    assert draft["warnings"]
    [sent] = simulator.outbox
    assert (sent["via"], sent["subject"], sent["importance"]) == ("draft", "Hello", "high")
    assert sent["body"] == {"contentType": "HTML", "content": "<p>Hi</p>"}
    assert sent["headers"] == [{"name": "x-m365-mcp-id", "value": draft["message_id"]}]
    assert receipt["status"] == "sent"
    assert receipt["message_id"] == draft["message_id"]
    assert receipt["recipients"] == draft["recipients"] == ["grace@contoso.example", "marie@fabrikam.example"]
    assert receipt["duplicate_of"] is None
    assert again == {**receipt, "status": "already_sent", "duplicate_of": receipt["message_id"]}


async def test_discarded_draft_is_not_sent(writer: Assistant, simulator: Simulator) -> None:
    """After discard_draft there is nothing to send and nothing to discard."""
    draft = await done(writer, "create_draft", **MAIL)

    gone = await done(writer, "discard_draft", draft_id=draft["draft_id"])
    sending = await refused(writer, "send_draft", draft_id=draft["draft_id"])
    discarding = await refused(writer, "discard_draft", draft_id=draft["draft_id"])

    assert gone["status"] == "discarded"
    assert sending.startswith("message_missing: ")
    assert "Nothing was sent." in sending
    assert discarding.startswith("message_missing: ")
    assert simulator.outbox == []


@pytest.mark.parametrize("times", [1, 2], ids=["to Deleted Items", "for good"])
async def test_draft_that_the_person_deleted_is_not_sent(
    writer: Assistant, simulator: Simulator, outlook: Outlook, times: int
) -> None:
    """send_draft sends nothing from Deleted Items, although Graph would; the draft stays where the person put it."""
    draft = await done(writer, "create_draft", **MAIL)
    for _ in range(times):
        await outlook.delete(draft["draft_id"])

    said = await refused(writer, "send_draft", draft_id=draft["draft_id"])

    assert said.startswith("message_missing: ")
    assert "Nothing was sent." in said
    assert simulator.outbox == []
    assert simulator.count(method="POST", path=f"/v1.0/me/messages/{draft['draft_id']}/send") == 0
    assert len(await outlook.subjects("deleteditems")) == 2 - times


async def test_draft_in_deleted_items_is_left_there(writer: Assistant, outlook: Outlook) -> None:
    """discard_draft moves a draft to Deleted Items once; what lies there is the person's to bring back."""
    draft = await done(writer, "create_draft", **MAIL)
    await done(writer, "discard_draft", draft_id=draft["draft_id"])

    said = await refused(writer, "discard_draft", draft_id=draft["draft_id"])

    assert said.startswith("message_missing: ")
    assert await outlook.subjects("deleteditems") == ["Hello"]


@pytest.mark.parametrize("draft_id", ["", "..", "../../me", "AAMk1?$select=id", "x" * 2000, "AAMk\n1"])
async def test_what_is_no_id_reaches_no_other_address(writer: Assistant, simulator: Simulator, draft_id: str) -> None:
    """An id that is a path, a query or too long is refused before Graph is asked."""
    await done(writer, "get_my_profile")
    simulator.control("DELETE", "requests")

    assert (await refused(writer, "discard_draft", draft_id=draft_id)).startswith("message_missing: ")
    assert simulator.control("GET", "requests") == []


async def test_sent_mail_can_be_neither_discarded_nor_sent_again(writer: Assistant, simulator: Simulator) -> None:
    """discard_draft throws away no sent mail, and says that it has left."""
    draft = await done(writer, "create_draft", **MAIL)
    await done(writer, "send_draft", draft_id=draft["draft_id"])

    said = await refused(writer, "discard_draft", draft_id=draft["draft_id"])

    assert said.startswith("already_sent: ")
    assert "Nothing was sent." not in said
    assert simulator.count(method="DELETE") == 0


async def test_messages_of_others_making_are_left_alone(writer: Assistant, simulator: Simulator) -> None:
    """A received mail, and a draft made elsewhere, is neither discarded nor sent."""
    await done(writer, "send_mail", to=["ada@contoso.example"], subject="To myself", body="x")
    [received] = (await done(writer, "list_messages"))["messages"]

    for tool in ("discard_draft", "send_draft"):
        said = await refused(writer, tool, draft_id=received["message_id"])
        assert said.startswith("invalid_argument: This server did not create this message")
    assert len((await done(writer, "list_messages"))["messages"]) == 1


@pytest.mark.parametrize("settling", ["draft", pytest.param("nothing", marks=pytest.mark.full)])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.sample(1)
async def test_unclear_answer_is_settled_by_looking(
    writer: Assistant, simulator: Simulator, when: str, settling: str
) -> None:
    """A connection that breaks while the draft is sent ends in one mail and a receipt, before and after the effect."""
    simulator.control("PATCH", "switches", send_settles_seconds=0.5, settling_shows=settling)
    draft = await done(writer, "create_draft", **MAIL)
    fault(simulator, SEND, "POST", what={"reset": True}, when=when)

    receipt = await done(writer, "send_draft", draft_id=draft["draft_id"])
    again = await done(writer, "send_draft", draft_id=draft["draft_id"])

    assert receipt["status"] == "sent"
    assert again["duplicate_of"] == receipt["message_id"]
    assert len(simulator.outbox) == 1


async def test_lost_answer_to_a_new_draft_is_no_error_and_no_mail(writer: Assistant, simulator: Simulator) -> None:
    """Making a draft is repeated once; a draft too many is sent to nobody."""
    fault(simulator, "/v1.0/me/messages", "POST", what={"reset": True}, when="after")

    draft = await done(writer, "create_draft", **MAIL)
    await done(writer, "send_draft", draft_id=draft["draft_id"])

    assert len(simulator.outbox) == 1


async def test_draft_that_graph_refuses_is_kept_for_the_person(writer: Assistant, simulator: Simulator) -> None:
    """After a refusal the draft is still there, nothing was sent, and it can be sent later."""
    draft = await done(writer, "create_draft", **MAIL)
    body = {"error": {"code": "ErrorQuotaExceeded", "message": "x"}}
    fault(simulator, SEND, "POST", what={"status": 400, "body": body})

    said = await refused(writer, "send_draft", draft_id=draft["draft_id"])
    receipt = await done(writer, "send_draft", draft_id=draft["draft_id"])

    assert "Nothing was sent." in said
    assert receipt["duplicate_of"] is None
    assert len(simulator.outbox) == 1


async def test_rules_hold_for_drafts_when_they_are_made_and_when_they_are_sent(
    simulator: Simulator, shared_redis: Redis, tmp_path: Path
) -> None:
    """A draft to an address outside the allowed domains is not made, and one made before the rule is not sent."""
    free = start_server(tmp_path, simulator, REDIS_URL=shared_redis.url, M365_TOOLSETS="drafts")
    draft = await done(assistant_at(free, simulator), "create_draft", **{**MAIL, "to": ["marie@fabrikam.example"]})
    rules = {"M365_TOOLSETS": "drafts", "M365_SEND_ALLOWED_DOMAINS": "contoso.example"}
    strict = assistant_at(start_server(tmp_path, simulator, REDIS_URL=shared_redis.url, **rules), simulator)

    making = await refused(strict, "create_draft", **{**MAIL, "to": ["marie@fabrikam.example"]})
    sending = await refused(strict, "send_draft", draft_id=draft["draft_id"])

    assert making.startswith("recipient_not_allowed: ")
    assert sending.startswith("recipient_not_allowed: ")
    assert simulator.outbox == []


async def strict_writer(simulator: Simulator, shared_redis: Redis, folder: Path, **rules: str) -> Assistant:
    """Return Ada's assistant at another server with the same store and stricter rules."""
    settings = {"M365_TOOLSETS": "drafts,schedule", "M365_SEND_ALLOWED_DOMAINS": "contoso.example", **rules}
    return assistant_at(start_server(folder, simulator, REDIS_URL=shared_redis.url, **settings), simulator)


async def test_h18_reply_to_and_edits_are_checked_when_the_draft_is_sent(
    writer: Assistant, simulator: Simulator, outlook: Outlook, shared_redis: Redis, tmp_path: Path
) -> None:
    """H18, H4: a reply-to address, a recipient and a file that the rules of now forbid keep the draft back."""
    strict = await strict_writer(simulator, shared_redis, tmp_path)
    reply_to = await done(writer, "create_draft", **MAIL, reply_to=["m@evil.example"])
    edited = await done(writer, "create_draft", **MAIL)
    await outlook.change(edited["draft_id"], ccRecipients=people("m@evil.example"))
    filed = await done(writer, "create_draft", **MAIL)
    await outlook.attach(filed["draft_id"], "setup.exe")

    said = [await refused(strict, "send_draft", draft_id=one["draft_id"]) for one in (reply_to, edited, filed)]

    assert [text.partition(":")[0] for text in said] == ["recipient_not_allowed"] * 2 + ["invalid_argument"]
    assert "'reply_to' entry 1" in said[0]
    assert "Attachment 1 of the draft" in said[2]
    assert all("Nothing was sent." in text and "evil" not in text for text in said)
    assert simulator.outbox == []
    assert len(await outlook.subjects("drafts")) == 3


async def test_h18_shared_mailbox_is_checked_when_the_draft_is_sent(
    writer: Assistant, simulator: Simulator, outlook: Outlook
) -> None:
    """H18: a draft whose sender the person changed is not sent where from_ is switched off."""
    simulator.control("POST", "send-as", person="ada", address="team@contoso.example")
    draft = await done(writer, "create_draft", **MAIL)
    await outlook.change(draft["draft_id"], **{"from": people("team@contoso.example")[0]})

    said = await refused(writer, "send_draft", draft_id=draft["draft_id"])

    assert "'from_' is switched off" in said
    assert simulator.outbox == []


async def test_h4_receipt_names_the_recipients_that_the_draft_had_when_it_was_sent(
    writer: Assistant, simulator: Simulator, outlook: Outlook
) -> None:
    """H4: the person changed the recipients; the receipt and its repeat name those who got the mail."""
    draft = await done(writer, "create_draft", **MAIL)
    await outlook.change(draft["draft_id"], toRecipients=people("marie@fabrikam.example"), subject="", body={})

    receipt = await done(writer, "send_draft", draft_id=draft["draft_id"])
    again = await done(writer, "send_draft", draft_id=draft["draft_id"])

    assert receipt["recipients"] == again["recipients"] == ["marie@fabrikam.example"]
    assert again["duplicate_of"] == receipt["message_id"]
    assert [one["address"] for one in simulator.outbox[0]["to"]] == ["marie@fabrikam.example"]


async def test_h4_repeat_of_a_sent_draft_needs_no_rules(
    writer: Assistant, simulator: Simulator, shared_redis: Redis, tmp_path: Path
) -> None:
    """H4: what was sent stays sent: a repeat under stricter rules returns the first receipt."""
    draft = await done(writer, "create_draft", **{**MAIL, "to": ["marie@fabrikam.example"]})
    receipt = await done(writer, "send_draft", draft_id=draft["draft_id"])
    strict = await strict_writer(simulator, shared_redis, tmp_path)

    again = await done(strict, "send_draft", draft_id=draft["draft_id"])

    assert again["duplicate_of"] == receipt["message_id"]
    assert len(simulator.outbox) == 1
