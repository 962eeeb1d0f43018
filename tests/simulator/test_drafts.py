"""Drafts: what is made, changed, deleted and sent, which id finds them when, and what is refused."""

import asyncio
from typing import Any

import pytest

from m365_simulator import Simulator

from .client import Client, Json, mail, until

IMMUTABLE = {"Prefer": 'IdType="ImmutableId"'}
FOLDERS = "me/mailFolders"


async def subjects(client: Client, headers: dict[str, str], folder: str) -> list[str]:
    """Return what stands in a folder."""
    response = await client.graph("GET", f"{FOLDERS}/{folder}/messages", headers)
    return [message["subject"] for message in response.json()["value"]]


async def test_draft_is_created_as_graph_writes_it(client: Client) -> None:
    """201 has ids, etag, times and the flag of a draft; nothing is sent."""
    headers = await client.mail_headers()

    response = await client.graph("POST", "me/messages", headers, json=mail(importance="high")["message"])

    draft = response.json()
    assert response.status_code == 201
    assert {"id", "changeKey", "internetMessageId", "conversationId", "webLink", "parentFolderId"} <= draft.keys()
    assert (draft["isDraft"], draft["createdDateTime"]) == (True, "2027-01-15T08:00:00Z")
    assert draft["@odata.etag"] == response.headers["etag"]
    assert (draft["importance"], draft["body"]["content"]) == ("high", "<p>It weaves.</p>")
    assert "internetMessageHeaders" not in draft
    assert await client.outbox() == []


async def test_draft_is_read_changed_and_deleted(client: Client) -> None:
    """PATCH replaces what it names and changes the key; DELETE is 204, and then the id finds nothing."""
    headers = await client.mail_headers()
    draft = await client.draft(headers, internetMessageHeaders=[{"name": "x-a", "value": "1"}])
    path = f"me/messages/{draft['id']}"

    changed = await client.graph("PATCH", path, headers, json={"subject": "New"})
    read = await client.graph("GET", f"{path}?$select=subject,toRecipients,internetMessageHeaders", headers)
    gone = await client.graph("DELETE", path, headers)

    assert (changed.status_code, changed.json()["subject"]) == (200, "New")
    assert changed.json()["changeKey"] != draft["changeKey"]
    assert read.json()["subject"] == "New"
    assert read.json()["toRecipients"][0]["emailAddress"]["address"] == "grace@contoso.example"
    assert read.json()["internetMessageHeaders"] == [{"name": "x-a", "value": "1"}]
    assert "body" not in read.json()
    assert gone.status_code == 204
    for method in ("GET", "PATCH", "DELETE"):
        missing = await client.graph(method, path, headers, json={})
        assert (missing.status_code, missing.json()["error"]["code"]) == (404, "ErrorItemNotFound")


@pytest.mark.parametrize("prefer", [{}, IMMUTABLE], ids=["default", "immutable"])
async def test_deleted_draft_lies_in_deleted_items(client: Client, prefer: dict[str, str]) -> None:
    """DELETE moves it: it is a draft in another folder, found by its immutable id, or by the one it has there."""
    headers = await client.mail_headers() | prefer
    draft = await client.draft(headers)

    deleted = await client.graph("DELETE", f"me/messages/{draft['id']}", headers)
    by_old_id = await client.graph("GET", f"me/messages/{draft['id']}", headers)
    (listed,) = (await client.graph("GET", f"{FOLDERS}/deleteditems/messages", headers)).json()["value"]
    read = (await client.graph("GET", f"me/messages/{listed['id']}", headers)).json()
    everywhere = (await client.graph("GET", "me/messages", headers)).json()["value"]

    assert deleted.status_code == 204
    assert by_old_id.status_code == (200 if prefer else 404)
    assert (listed["id"] == draft["id"]) == bool(prefer)
    assert (read["isDraft"], read["subject"]) == (True, draft["subject"])
    assert read["parentFolderId"] != draft["parentFolderId"]
    assert [one["id"] for one in everywhere] == [listed["id"]]
    assert await subjects(client, headers, "drafts") == []
    assert await client.outbox() == []


async def test_what_lies_in_deleted_items_is_deleted_for_good(client: Client) -> None:
    """A second DELETE leaves nothing, under either id."""
    headers = await client.mail_headers() | IMMUTABLE
    path = f"me/messages/{(await client.draft(headers))['id']}"

    answers = [(await client.graph("DELETE", path, headers)).status_code for _ in range(3)]
    read = await client.graph("GET", path, headers)

    assert answers == [204, 204, 404]
    assert (read.status_code, read.json()["error"]["code"]) == (404, "ErrorItemNotFound")
    assert await subjects(client, headers, "deleteditems") == []


async def test_deleted_draft_can_still_be_sent(client: Client, simulator: Simulator) -> None:
    """Graph sends a draft from any folder: one in Deleted Items leaves, and is in Sent Items afterwards."""
    headers = await client.mail_headers() | IMMUTABLE
    path = f"me/messages/{(await client.draft(headers))['id']}"
    await client.graph("DELETE", path, headers)

    sent = await client.graph("POST", f"{path}/send", headers)

    assert sent.status_code == 202
    assert len(simulator.tenant.mail.mailbox("grace").inbox) == 1
    assert await subjects(client, headers, "deleteditems") == []
    assert len(await subjects(client, headers, "sentitems")) == 1


async def test_deleted_mail_is_no_draft(client: Client) -> None:
    """What was received or sent can be deleted, stays readable and is not sent again."""
    headers = await client.mail_headers() | IMMUTABLE
    await client.send(headers, mail("ada@contoso.example"))
    for folder in ("inbox", "sentitems"):
        (item,) = (await client.graph("GET", f"{FOLDERS}/{folder}/messages", headers)).json()["value"]
        await client.graph("DELETE", f"me/messages/{item['id']}", headers)

        read = await client.graph("GET", f"me/messages/{item['id']}", headers)
        again = await client.graph("POST", f"me/messages/{item['id']}/send", headers)

        assert read.json()["isDraft"] is False
        assert again.status_code == 404
    assert len(await subjects(client, headers, "deleteditems")) == 2
    assert len(await client.outbox()) == 1


async def test_sent_draft_is_in_sent_items_under_another_id(client: Client, simulator: Simulator) -> None:
    """202 is empty; the default id finds nothing after it, and a second send is 404."""
    headers = await client.mail_headers()
    draft = await client.draft(headers)

    sent = await client.graph("POST", f"me/messages/{draft['id']}/send", headers)
    again = await client.graph("POST", f"me/messages/{draft['id']}/send", headers)
    read = await client.graph("GET", f"me/messages/{draft['id']}", headers)

    (mailed,) = await client.outbox()
    assert (sent.status_code, sent.content) == (202, b"")
    assert [again.status_code, read.status_code] == [404, 404]
    assert again.json()["error"]["code"] == "ErrorItemNotFound"
    assert (mailed["via"], mailed["internetMessageId"]) == ("draft", draft["internetMessageId"])
    found = (await client.graph("GET", f"me/messages/{mailed['id']}", headers)).json()
    assert (found["isDraft"], found["conversationId"]) == (False, draft["conversationId"])
    assert len(simulator.tenant.mail.mailbox("grace").inbox) == 1
    assert await subjects(client, headers, "drafts") == []


@pytest.mark.parametrize("survives", [True, False])
async def test_immutable_id_finds_the_sent_message(client: Client, survives: bool) -> None:
    """With the Prefer header the draft's id finds the copy in Sent Items, unless the switch says otherwise."""
    await client.control("PATCH", "switches", {"immutable_id_survives_send": survives})
    headers = await client.mail_headers() | IMMUTABLE
    created = await client.graph("POST", "me/messages", headers, json=mail()["message"])
    path = f"me/messages/{created.json()['id']}"
    mutable = (await client.graph("GET", f"{FOLDERS}/drafts/messages", headers | {"Prefer": "x"})).json()["value"][0]

    await client.graph("POST", f"{path}/send", headers)
    read = await client.graph("GET", path, headers)
    again = await client.graph("POST", f"{path}/send", headers)

    assert created.headers["preference-applied"] == 'IdType="ImmutableId"'
    assert mutable["id"] != created.json()["id"]
    assert read.status_code == (200 if survives else 404)
    assert again.status_code == 404
    assert read.json().get("isDraft", False) is False


async def test_sent_draft_may_take_time_to_settle(client: Client, simulator: Simulator) -> None:
    """While a send settles the draft still shows as one and cannot be sent, changed or deleted again."""
    await client.control("PATCH", "switches", {"send_settles_seconds": 5})
    headers = await client.mail_headers() | IMMUTABLE
    draft = await client.draft(headers)
    path = f"me/messages/{draft['id']}"
    await client.graph("POST", f"{path}/send", headers)

    early = (await client.graph("GET", path, headers)).json()
    refused = [
        (await client.graph(method, where, headers, json={})).status_code
        for method, where in (("POST", f"{path}/send"), ("PATCH", path), ("DELETE", path))
    ]
    arrived_early = len(simulator.tenant.mail.mailbox("grace").inbox)
    await client.control("PATCH", "clock", {"offset_seconds": 5})
    late = (await client.graph("GET", path, headers)).json()

    assert (early["isDraft"], late["isDraft"]) == (True, False)
    assert refused == [404, 404, 404]
    assert (arrived_early, len(simulator.tenant.mail.mailbox("grace").inbox)) == (0, 1)
    assert len(await client.outbox()) == 1


async def test_settling_draft_may_be_gone_or_send_twice(client: Client) -> None:
    """By switch a settling draft is not found, or a second send makes a second mail."""
    await client.control("PATCH", "switches", {"send_settles_seconds": 5, "settling_shows": "nothing"})
    headers = await client.mail_headers() | IMMUTABLE
    first = f"me/messages/{(await client.draft(headers))['id']}"
    await client.graph("POST", f"{first}/send", headers)
    hidden = await client.graph("GET", first, headers)
    await client.control("PATCH", "switches", {"settling_shows": "draft", "settling_draft_sends_again": True})
    second = f"me/messages/{(await client.draft(headers))['id']}"
    answers = [await client.graph("POST", f"{second}/send", headers) for _ in range(2)]

    await client.control("PATCH", "clock", {"offset_seconds": 5})

    assert hidden.status_code == 404
    assert (await client.graph("GET", first, headers)).status_code == 200
    assert [answer.status_code for answer in answers] == [202, 202]
    assert len(await client.outbox()) == 3


@pytest.mark.parametrize(
    ("scopes", "method", "path"),
    [
        (("Mail.Send", "Mail.Read"), "POST", "me/messages"),
        (("Mail.Send", "Mail.Read"), "PATCH", "me/messages/{id}"),
        (("Mail.Send", "Mail.Read"), "DELETE", "me/messages/{id}"),
        (("Mail.Send",), "GET", "me/messages/{id}"),
        (("Mail.Send",), "GET", "me/messages"),
        (("Mail.ReadWrite",), "POST", "me/messages/{id}/send"),
        (("Mail.Send", "Mail.Read"), "POST", "me/messages/{id}/attachments"),
        (("Mail.Send", "Mail.ReadBasic"), "GET", "me/messages/{id}/attachments"),
        (("Mail.Send", "Mail.Read"), "POST", "me/messages/{id}/attachments/createUploadSession"),
        (("Mail.Send", "Mail.Read"), "POST", "me/messages/{id}/createReply"),
        (("Mail.ReadWrite",), "POST", "me/messages/{id}/reply"),
        (("Mail.ReadWrite",), "POST", "me/messages/{id}/forward"),
        (("Mail.Read",), "GET", "me/people"),
    ],
)
async def test_each_call_needs_its_permission(client: Client, scopes: tuple[str, ...], method: str, path: str) -> None:
    """Without the right delegated permission a call is 403 ErrorAccessDenied, and nothing happens."""
    draft = await client.draft(await client.mail_headers())
    headers = await client.mail_headers("ada@contoso.example", *scopes)

    refused = await client.graph(method, path.format(id=draft["id"]), headers, json={})

    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "ErrorAccessDenied")
    assert await client.outbox() == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"attachments": []}, "ErrorInvalidPropertySet"),
        ({"internetMessageHeaders": [{"name": "x-a", "value": "1"}]}, "ErrorInvalidPropertySet"),
        ({"isDraft": False}, "ErrorInvalidPropertySet"),
        ({"shoeSize": 43}, "RequestBodyRead"),
        ({"subject": 7}, "UnableToDeserializePostBody"),
        ({"singleValueExtendedProperties": [{"id": "Colour", "value": "red"}]}, "ErrorInvalidProperty"),
    ],
)
async def test_wrong_change_is_refused(client: Client, change: Json, code: str) -> None:
    """What a draft cannot become is 400."""
    headers = await client.mail_headers()
    draft = await client.draft(headers)

    response = await client.graph("PATCH", f"me/messages/{draft['id']}", headers, json=change)

    assert (response.status_code, response.json()["error"]["code"]) == (400, code)


async def test_sent_message_is_hardly_changed_and_can_be_deleted(client: Client) -> None:
    """Of what was sent only flags and categories change; deleting it sends nothing back."""
    headers = await client.mail_headers()
    await client.send(headers)
    path = f"me/messages/{(await client.outbox())[0]['id']}"

    subject = await client.graph("PATCH", path, headers, json={"subject": "x"})
    category = await client.graph("PATCH", path, headers, json={"categories": ["Blue"]})
    attach = await client.graph("POST", f"{path}/attachments", headers, json={})
    deleted = await client.graph("DELETE", path, headers)

    assert [subject.status_code, category.status_code, attach.status_code, deleted.status_code] == [400, 200, 400, 204]
    assert category.json()["categories"] == ["Blue"]
    assert len(await client.outbox()) == 1


async def test_condition_on_the_etag(client: Client) -> None:
    """`If-Match` with an old etag is 412."""
    headers = await client.mail_headers()
    draft = await client.draft(headers)
    path = f"me/messages/{draft['id']}"
    await client.graph("PATCH", path, headers, json={"subject": "New"})

    late = await client.graph("PATCH", path, headers | {"If-Match": draft["@odata.etag"]}, json={})

    assert (late.status_code, late.json()["error"]["code"]) == (412, "ErrorIrresolvableConflict")


@pytest.mark.parametrize(
    "recipients", [[], [{"emailAddress": {"address": "bad"}}], [{"emailAddress": {"address": "a@b.example;c@d.e"}}]]
)
async def test_recipients_are_asked_for_when_a_draft_is_sent(client: Client, recipients: list[Any]) -> None:
    """A draft may have no or wrong recipients; sending it is then 400, and it stays a draft."""
    headers = await client.mail_headers()
    draft = await client.draft(headers, toRecipients=recipients)

    response = await client.graph("POST", f"me/messages/{draft['id']}/send", headers)

    assert (response.status_code, response.json()["error"]["code"]) == (400, "ErrorInvalidRecipients")
    assert (await client.graph("GET", f"me/messages/{draft['id']}", headers)).json()["isDraft"] is True


async def test_sending_and_drafts_take_every_extra(client: Client) -> None:
    """Receipts, importance, reply-to, headers and categories arrive in the outbox by either way."""
    extras = {
        "isReadReceiptRequested": True,
        "isDeliveryReceiptRequested": True,
        "importance": "Low",
        "replyTo": [{"emailAddress": {"address": "desk@contoso.example"}}],
        "bccRecipients": [{"emailAddress": {"address": "blind@fabrikam.example"}}],
        "internetMessageHeaders": [{"name": f"x-{n}", "value": "v"} for n in range(5)],
        "internetMessageId": "<own@contoso.example>",
        "singleValueExtendedProperties": [{"id": "String 0x7001", "value": "k"}],
        "categories": ["Blue"],
    }
    headers = await client.mail_headers()
    draft = await client.draft(headers, **extras)
    await client.graph("POST", f"me/messages/{draft['id']}/send", headers)
    await client.send(headers, mail(**extras))

    first, second = await client.outbox()
    for sent in (first, second):
        assert (sent["isReadReceiptRequested"], sent["isDeliveryReceiptRequested"]) == (True, True)
        assert (sent["importance"], sent["categories"], len(sent["headers"])) == ("low", ["Blue"], 5)
        assert sent["replyTo"][0]["address"] == "desk@contoso.example"
        assert sent["bcc"][0]["address"] == "blind@fabrikam.example"
        assert sent["internetMessageId"] == "<own@contoso.example>"
        assert sent["extendedProperties"] == [{"id": "String 0x7001", "value": "k"}]
        assert (sent["from"], sent["from"]) == (
            sent["sender"],
            {"address": "ada@contoso.example", "name": "Ada Lovelace"},
        )
    assert [first["via"], second["via"]] == ["draft", "sendMail"]


async def test_draft_from_mime(client: Client) -> None:
    """A draft may come as base64 MIME; other content types are 415."""
    headers = await client.mail_headers()
    mime, other = headers | {"Content-Type": "text/plain"}, headers | {"Content-Type": "text/html"}

    made = await client.graph("POST", "me/messages", mime, content=b"U3ViamVjdDogTUlNRQ0KDQp4")
    wrong = await client.graph("POST", "me/messages", other, content=b"x")

    assert (made.status_code, made.json()["subject"]) == (201, "MIME")
    assert wrong.status_code == 415


async def test_four_requests_at_a_time_whatever_they_are(client: Client, simulator: Simulator) -> None:
    """Sends of drafts hold their places, and reading is throttled with them."""
    await client.control("PATCH", "switches", {"send_seconds": 0.5})
    headers = await client.mail_headers()
    drafts = [await client.draft(headers) for _ in range(4)]
    counted = simulator.tenant.mail.mailbox("ada").requests
    before = len(counted)

    sending = [
        asyncio.create_task(client.graph("POST", f"me/messages/{draft['id']}/send", headers)) for draft in drafts
    ]
    await until(lambda: len(counted) == before + 4)
    reading = await client.graph("GET", "me/messages", headers)

    assert (reading.status_code, reading.json()["error"]["code"]) == (429, "ApplicationThrottled")
    assert [answer.status_code for answer in await asyncio.gather(*sending)] == [202] * 4


@pytest.mark.parametrize(("when", "sent"), [("before", 0), ("after", 1)])
async def test_fault_strikes_the_send_of_a_draft(client: Client, when: str, sent: int) -> None:
    """A failure before the effect leaves the draft, one after it hides that it was sent."""
    headers = await client.mail_headers() | IMMUTABLE
    path = f"me/messages/{(await client.draft(headers))['id']}"
    fault = {"where": {"path": "/v1.0/me/messages/*/send"}, "what": {"status": 503}, "when": when}
    await client.control("POST", "faults", fault)

    response = await client.graph("POST", f"{path}/send", headers)

    assert response.status_code == 503
    assert len(await client.outbox()) == sent
    assert (await client.graph("GET", path, headers)).json()["isDraft"] is (sent == 0)
