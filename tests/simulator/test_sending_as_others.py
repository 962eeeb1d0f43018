"""Sending in the name of a shared mailbox: who may, and whose names the message bears."""

import base64
from typing import Any

import pytest

from .client import Client, mail

TEAM = "team@contoso.example"
FROM_TEAM: dict[str, Any] = {"from": {"emailAddress": {"address": TEAM}}}
ADA = {"address": "ada@contoso.example", "name": "Ada Lovelace"}


async def grant(client: Client, kind: str) -> Any:
    """Let Ada send in the name of the team."""
    return await client.control(
        "POST", "send-as", {"person": "ada", "address": TEAM, "kind": kind, "display_name": "Team"}
    )


@pytest.mark.parametrize(("kind", "sender"), [("as", {"address": TEAM, "name": "Team"}), ("on_behalf", ADA)])
async def test_right_decides_whose_names_are_shown(client: Client, kind: str, sender: dict[str, str]) -> None:
    """Send As hides the person, Send on Behalf names both; sendMail and drafts alike."""
    await grant(client, kind)
    headers = await client.mail_headers("ada@contoso.example", "Mail.ReadWrite", "Mail.Send.Shared")
    draft = await client.draft(headers, **FROM_TEAM)

    answers = [
        await client.send(headers, mail(**FROM_TEAM)),
        await client.graph("POST", f"me/messages/{draft['id']}/send", headers),
    ]

    assert [answer.status_code for answer in answers] == [202, 202]
    for sent in await client.outbox():
        assert sent["from"] == {"address": TEAM, "name": "Team"}
        assert sent["sender"] == sender


@pytest.mark.parametrize(("granted", "scope"), [(False, "Mail.Send.Shared"), (True, "Mail.Send")])
async def test_right_and_permission_are_both_needed(client: Client, granted: bool, scope: str) -> None:
    """Without the grant, or without Mail.Send.Shared, it is 403 ErrorSendAsDenied and the draft stays."""
    if granted:
        await grant(client, "as")
    headers = await client.mail_headers("ada@contoso.example", "Mail.ReadWrite", scope)
    draft = await client.draft(headers, **FROM_TEAM)
    mime = headers | {"Content-Type": "text/plain"}
    content = base64.b64encode(f"From: {TEAM}\r\nTo: grace@contoso.example\r\n\r\nx".encode())

    answers = [
        await client.send(headers, mail(**FROM_TEAM)),
        await client.graph("POST", f"me/messages/{draft['id']}/send", headers),
        await client.microsoft.post("/v1.0/me/sendMail", headers=mime, content=content),
    ]

    assert [answer.status_code for answer in answers] == [403] * 3
    assert {answer.json()["error"]["code"] for answer in answers} == {"ErrorSendAsDenied"}
    assert await client.outbox() == []


async def test_right_is_of_one_person_and_can_be_withdrawn(client: Client) -> None:
    """Grace may not do what Ada may, and Ada not any more."""
    await grant(client, "as")
    scopes = ("Mail.Send", "Mail.Send.Shared")
    ada = await client.mail_headers("ada@contoso.example", *scopes)
    grace = await client.mail_headers("grace@contoso.example", *scopes)

    statuses = [(await client.send(headers, mail(**FROM_TEAM))).status_code for headers in (grace, ada)]
    shown = (await client.control("GET", "state"))["send_as"]
    left = await client.control("DELETE", "send-as", {"person": "ada", "address": TEAM.upper()})

    assert statuses == [403, 202]
    assert shown == [{"person": "ada", "address": TEAM, "kind": "as", "display_name": "Team"}]
    assert left == []
    assert (await client.send(ada, mail(**FROM_TEAM))).status_code == 403


async def test_mail_to_the_shared_address_arrives(client: Client) -> None:
    """A shared address exists, so nothing comes back for it."""
    await grant(client, "as")
    headers = await client.mail_headers()

    await client.send(headers, mail(TEAM))

    assert (await client.graph("GET", "me/mailFolders/inbox/messages", headers)).json()["value"] == []


async def test_foreign_sender_beside_a_granted_name(client: Client) -> None:
    """`sender` may not name a third party."""
    await grant(client, "on_behalf")
    headers = await client.mail_headers("ada@contoso.example", "Mail.Send.Shared")

    response = await client.send(
        headers, mail(**FROM_TEAM, sender={"emailAddress": {"address": "grace@contoso.example"}})
    )

    assert response.status_code == 403


async def test_misspelt_right_is_refused(client: Client) -> None:
    """Kind, person and address must be real ones."""
    good = {"person": "ada", "address": TEAM, "kind": "as"}

    for change in ({"kind": "for"}, {"person": "charles"}, {"address": "team"}):
        assert (await client.tester.post("/_control/send-as", json=good | change)).status_code in (400, 404)
