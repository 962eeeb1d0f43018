"""Deferred send: where a message waits, when it leaves, and how it is called back."""

import pytest

from m365_simulator import Simulator

from .client import Client, Json, mail

LATER: Json = {"singleValueExtendedProperties": [{"id": "SystemTime 0x3FEF", "value": "2027-01-15T09:00:00Z"}]}
HOUR = {"offset_seconds": 3600}


async def in_folder(client: Client, headers: dict[str, str], folder: str) -> list[Json]:
    """Return the messages of a folder."""
    response = await client.graph("GET", f"me/mailFolders/{folder}/messages", headers)
    return list(response.json()["value"])


@pytest.mark.parametrize("folder", ["outbox", "drafts"])
@pytest.mark.parametrize("by_draft", [True, False])
async def test_message_waits_until_its_time(client: Client, simulator: Simulator, folder: str, by_draft: bool) -> None:
    """Before its time it waits in the folder of the switch; when the clock passes it, it is sent and arrives."""
    await client.control("PATCH", "switches", {"deferred_folder": folder})
    headers = await client.mail_headers() | {"Prefer": 'IdType="ImmutableId"'}
    if by_draft:
        draft = await client.draft(headers, **LATER)
        await client.graph("POST", f"me/messages/{draft['id']}/send", headers)
    else:
        await client.send(headers, mail(**LATER))

    (waiting,) = await in_folder(client, headers, folder)
    early = len(simulator.tenant.mail.mailbox("grace").inbox)
    await client.control("PATCH", "clock", HOUR)
    (sent,) = await in_folder(client, headers, "sentitems")

    assert (waiting["isDraft"], sent["isDraft"]) == (True, False)
    assert (early, len(simulator.tenant.mail.mailbox("grace").inbox)) == (0, 1)
    assert await in_folder(client, headers, folder) == []
    assert sent["id"] == waiting["id"]
    assert sent["sentDateTime"] == "2027-01-15T09:00:00Z"
    (mailed,) = await client.outbox()
    assert (mailed["sentAt"], mailed["deliverAt"]) == ("2027-01-15T08:00:00.000Z", "2027-01-15T09:00:00.000Z")


async def test_deleted_message_never_arrives(client: Client, simulator: Simulator) -> None:
    """DELETE before the time calls the message back; it does not count as sent and lies in Deleted Items."""
    headers = await client.mail_headers()
    await client.send(headers, mail(**LATER))
    (waiting,) = await in_folder(client, headers, "outbox")
    path = f"me/messages/{waiting['id']}"

    sent_again = await client.graph("POST", f"{path}/send", headers)
    deleted = await client.graph("DELETE", path, headers)
    await client.control("PATCH", "clock", HOUR)

    assert (sent_again.status_code, deleted.status_code) == (404, 204)
    assert await client.outbox() == []
    assert await in_folder(client, headers, "sentitems") == []
    assert await in_folder(client, headers, "outbox") == []
    (called_back,) = await in_folder(client, headers, "deleteditems")
    assert called_back["isDraft"] is True
    assert simulator.tenant.mail.mailbox("grace").inbox == []


async def test_message_that_left_cannot_be_called_back(client: Client) -> None:
    """Its old id finds nothing after its time, and deleting the copy in Sent Items changes nothing."""
    headers = await client.mail_headers()
    await client.send(headers, mail(**LATER))
    (waiting,) = await in_folder(client, headers, "outbox")
    await client.control("PATCH", "clock", HOUR)

    late = await client.graph("DELETE", f"me/messages/{waiting['id']}", headers)
    (sent,) = await in_folder(client, headers, "sentitems")
    await client.graph("DELETE", f"me/messages/{sent['id']}", headers)

    assert late.status_code == 404
    assert len(await client.outbox()) == 1


async def test_time_in_the_past_is_now(client: Client, simulator: Simulator) -> None:
    """A deferred time that has passed, and one without a zone, are taken as UTC and sent when due."""
    headers = await client.mail_headers()
    for value in ("2027-01-15T07:00:00Z", "2027-01-15T08:00:00"):
        await client.send(headers, mail(singleValueExtendedProperties=[{"id": "systemtime 0x3fef", "value": value}]))

    assert len(simulator.tenant.mail.mailbox("grace").inbox) == 2


async def test_draft_can_be_deferred_later(client: Client) -> None:
    """PATCH may set the time of a draft, and another property leaves it alone."""
    headers = await client.mail_headers()
    draft = await client.draft(headers)
    path = f"me/messages/{draft['id']}"
    await client.graph("PATCH", path, headers, json=LATER)
    other = {"singleValueExtendedProperties": [{"id": "String 0x7001", "value": "x"}]}
    await client.graph("PATCH", path, headers, json=other)

    await client.graph("POST", f"{path}/send", headers)

    assert len(await in_folder(client, headers, "outbox")) == 1


async def test_page_shows_what_waits_and_when_it_leaves(client: Client) -> None:
    """The mailbox page has drafts and the Outbox, and moves the message when it is due."""
    headers = await client.mail_headers()
    await client.draft(headers, subject="In the making")
    await client.send(headers, mail(subject="Tomorrow", **LATER))

    drafts = (await client.tester.get("/?person=ada&folder=drafts")).text
    waiting = (await client.tester.get("/?person=ada&folder=outbox")).text
    none = (await client.tester.get("/?person=ada&folder=sent")).text
    (sent,) = await client.outbox()
    opened = await client.tester.get(
        "/", params={"person": "ada", "folder": "outbox", "message": sent["internetMessageId"]}
    )
    await client.control("PATCH", "clock", HOUR)
    later = (await client.tester.get("/?person=ada&folder=sent")).text

    assert "In the making" in drafts
    assert "Tomorrow" not in drafts
    assert "Tomorrow" in waiting
    assert "Tomorrow" not in none
    assert "<dt>To be sent</dt>" in opened.text
    assert "15 January 2027, 09:00:00 UTC" in opened.text
    assert "Tomorrow" in later
