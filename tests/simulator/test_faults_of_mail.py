"""Every change to a mailbox can fail before its effect, or after it so that the client does not know."""

import pytest

from m365_simulator import Simulator
from m365_simulator.mail import Message
from m365_simulator.transport import Mailbox

from .client import Client, Json, mail

FILE: Json = {"@odata.type": "#microsoft.graph.fileAttachment", "name": "a.txt", "contentBytes": "aGVsbG8="}
SESSION: Json = {"AttachmentItem": {"attachmentType": "file", "name": "a", "size": 3 * 1024 * 1024}}
CALLS: list[tuple[str, str, Json]] = [
    ("POST", "me/messages", mail()["message"]),
    ("PATCH", "me/messages/{id}", {"subject": "New"}),
    ("DELETE", "me/messages/{id}", {}),
    ("POST", "me/messages/{id}/send", {}),
    ("POST", "me/messages/{id}/attachments", FILE),
    ("POST", "me/messages/{id}/attachments/createUploadSession", SESSION),
    ("POST", "me/messages/{id}/createReply", {}),
    ("POST", "me/messages/{id}/createReplyAll", {}),
    ("POST", "me/messages/{id}/createForward", {}),
    ("POST", "me/messages/{id}/replyAll", {}),
    ("POST", "me/messages/{id}/forward", {"toRecipients": mail()["message"]["toRecipients"]}),
    ("POST", "me/sendMail", mail()),
]


def state(simulator: Simulator, box: Mailbox) -> tuple[list[Message], int, int]:
    """Return everything that a call may change."""
    tenant = simulator.tenant
    return list(box.items), len(tenant.mail.outbox), tenant.uploads.count


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("method", "path", "body"), CALLS)
async def test_failure_comes_before_or_after_the_effect(
    client: Client, simulator: Simulator, method: str, path: str, body: Json, when: str
) -> None:
    """The client sees 504 either way; only after the effect has anything changed."""
    headers = await client.mail_headers()
    draft = await client.draft(headers)
    fault = {"where": {"path": "/v1.0/me/*"}, "what": {"status": 504}, "when": when}
    await client.control("POST", "faults", fault)
    before = state(simulator, simulator.tenant.mail.mailbox("ada"))

    response = await client.graph(method, path.format(id=draft["id"]), headers, json=body)

    after = state(simulator, simulator.tenant.mail.mailbox("ada"))
    assert response.status_code == 504
    assert (after != before) is (when == "after")


@pytest.mark.parametrize(("when", "left"), [("before", 200), ("after", 404)])
async def test_cancelling_an_upload_fails_before_or_after(client: Client, when: str, left: int) -> None:
    """A DELETE of an upload session that fails has ended it, or not."""
    headers = await client.mail_headers()
    path = f"me/messages/{(await client.draft(headers))['id']}/attachments/createUploadSession"
    url = (await client.graph("POST", path, headers, json=SESSION)).json()["uploadUrl"]
    await client.control("POST", "faults", {"where": {"method": "DELETE"}, "what": {"status": 500}, "when": when})

    await client.uploads.delete(url)

    assert (await client.uploads.get(url)).status_code == left
