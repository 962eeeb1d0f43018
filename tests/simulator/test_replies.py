"""Replies and forwards: subject, recipients, thread, quoted text, as a draft and at once."""

from typing import Any

import pytest

from .client import Client, Json, mail

LINUS = {"emailAddress": {"address": "linus@fabrikam.example"}}


def addresses(recipients: list[Json]) -> list[str]:
    """Return the addresses of recipients as Graph writes them, or the outbox."""
    return [one.get("emailAddress", one)["address"] for one in recipients]


async def received(client: Client, **changes: Any) -> tuple[dict[str, str], Json]:
    """Let Ada write to Grace and others; return Grace's headers and the message in her Inbox."""
    body = mail(("grace@contoso.example", "x@fabrikam.example"), ccRecipients=[LINUS], **changes)
    assert (await client.send(await client.mail_headers(), body)).status_code == 202
    grace = await client.mail_headers("grace@contoso.example")
    (message,) = (await client.graph("GET", "me/mailFolders/inbox/messages", grace)).json()["value"]
    return grace, message


@pytest.mark.parametrize(
    ("action", "subject", "to", "cc"),
    [
        ("createReply", "RE: Engine", ["ada@contoso.example"], []),
        ("createReplyAll", "RE: Engine", ["ada@contoso.example", "x@fabrikam.example"], ["linus@fabrikam.example"]),
        ("createForward", "FW: Engine", [], []),
    ],
)
async def test_draft_of_an_answer(client: Client, action: str, subject: str, to: list[str], cc: list[str]) -> None:
    """The draft is in the same conversation, quotes the original, and is addressed to whom it concerns."""
    grace, message = await received(client)

    response = await client.graph("POST", f"me/messages/{message['id']}/{action}", grace)

    draft = response.json()
    assert (response.status_code, draft["isDraft"], draft["subject"]) == (201, True, subject)
    assert draft["conversationId"] == message["conversationId"]
    assert (addresses(draft["toRecipients"]), addresses(draft["ccRecipients"])) == (to, cc)
    assert draft["body"]["contentType"] == "html"
    assert "It weaves." in draft["body"]["content"]
    assert "<b>From:</b> Ada Lovelace &lt;ada@contoso.example&gt;" in draft["body"]["content"]


async def test_sent_answer_keeps_the_thread(client: Client) -> None:
    """A reply names what it answers, a reply to the reply names both, and the subject is prefixed once."""
    grace, message = await received(client)
    reply = await client.graph("POST", f"me/messages/{message['id']}/reply", grace, json={"comment": "Good"})
    ada = await client.mail_headers()
    (answer,) = (await client.graph("GET", "me/mailFolders/inbox/messages", ada)).json()["value"]
    await client.graph("POST", f"me/messages/{answer['id']}/replyAll", ada, json={"comment": "Better"})

    first, second, third = await client.outbox()
    headers = await client.graph("GET", f"me/messages/{answer['id']}?$select=internetMessageHeaders", ada)
    assert (reply.status_code, reply.content) == (202, b"")
    assert (second["via"], second["subject"], third["subject"]) == ("reply", "RE: Engine", "RE: Engine")
    assert second["inReplyTo"] == first["internetMessageId"]
    assert third["references"] == [first["internetMessageId"], second["internetMessageId"]]
    assert {sent["conversationId"] for sent in (first, second, third)} == {first["conversationId"]}
    assert second["body"]["content"].index("Good") < second["body"]["content"].index("It weaves.")
    assert headers.json()["internetMessageHeaders"][0] == {"name": "In-Reply-To", "value": first["internetMessageId"]}


async def test_forward_takes_files_along(client: Client) -> None:
    """A forward has the attachments and a recipient of its own; a reply leaves files behind."""
    file = {"@odata.type": "#microsoft.graph.fileAttachment", "name": "a.txt", "contentBytes": "aGVsbG8="}
    grace, message = await received(client, attachments=[file])
    path = f"me/messages/{message['id']}"

    forward = await client.graph("POST", f"{path}/forward", grace, json={"toRecipients": [LINUS], "comment": "FYI"})
    by_message = await client.graph("POST", f"{path}/forward", grace, json={"message": {"toRecipients": [LINUS]}})
    await client.graph("POST", f"{path}/reply", grace)

    _, first, second, reply = await client.outbox()
    assert [forward.status_code, by_message.status_code] == [202, 202]
    assert addresses(first["to"]) == addresses(second["to"]) == ["linus@fabrikam.example"]
    assert [len(sent["attachments"]) for sent in (first, second, reply)] == [1, 1, 0]


async def test_reply_goes_where_the_writer_wants_it(client: Client) -> None:
    """`replyTo` of the original is honoured."""
    grace, message = await received(client, replyTo=[LINUS])

    response = await client.graph("POST", f"me/messages/{message['id']}/createReply", grace)

    assert addresses(response.json()["toRecipients"]) == ["linus@fabrikam.example"]


@pytest.mark.parametrize("keeps", [False, True])
async def test_own_body_takes_the_place_of_the_quote(client: Client, keeps: bool) -> None:
    """`message.body` replaces the quoted original, unless the switch says otherwise; other properties are set."""
    await client.control("PATCH", "switches", {"reply_body_keeps_quote": keeps})
    grace, message = await received(client)
    own = {"body": {"contentType": "HTML", "content": "<p>Mine</p>"}, "importance": "high"}

    response = await client.graph("POST", f"me/messages/{message['id']}/createReply", grace, json={"message": own})

    draft = response.json()
    assert "Mine" in draft["body"]["content"]
    assert ("It weaves." in draft["body"]["content"]) is keeps
    assert (draft["importance"], draft["subject"]) == ("high", "RE: Engine")


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("reply", {"comment": "x", "message": {"body": {"contentType": "Text", "content": "y"}}}),
        ("forward", {"comment": "x"}),
        ("forward", {"toRecipients": [LINUS], "message": {"toRecipients": [LINUS]}}),
        ("reply", {"toRecipients": [LINUS]}),
        ("createReply", {"text": "x"}),
        ("createReply", {"comment": 7}),
        ("createForward", {"message": "x"}),
        ("createReply", {"message": {"shoeSize": 43}}),
    ],
)
async def test_wrong_answer_is_refused(client: Client, action: str, body: Json) -> None:
    """Comment and body together, no recipient or two kinds, and unknown parameters are 400."""
    grace, message = await received(client)

    response = await client.graph("POST", f"me/messages/{message['id']}/{action}", grace, json=body)

    assert response.status_code == 400
    assert len(await client.outbox()) == 1


async def test_answer_to_nothing(client: Client) -> None:
    """An id that finds nothing is 404."""
    headers = await client.mail_headers()

    assert (await client.graph("POST", "me/messages/AAMkNone=/createReply", headers)).status_code == 404
