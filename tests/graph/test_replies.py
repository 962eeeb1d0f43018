"""The original of a reply: who is on it, and plain words when there is none."""

from __future__ import annotations

import httpx2
import pytest

from m365_mcp.errors import InvalidArgument, MailboxMissing, MessageMissing, PermissionMissing
from m365_mcp.graph.drafts import Drafts
from m365_mcp.graph.replies import ReplyDrafts
from m365_mcp.mail import Recipient
from tests.graph.mailboxes import mailbox_over

MAIL = {
    "id": "AAMk1",
    "isDraft": False,
    "parentFolderId": "AAMkSent=",
    "from": {"emailAddress": {"address": "team@contoso.example", "name": "Team"}},
    "sender": {"emailAddress": {"address": "ada@contoso.example"}},
    "toRecipients": [{"emailAddress": {"address": "grace@contoso.example", "name": "Grace"}}],
    "ccRecipients": [],
}


def replies(status: int = 200, code: str = "", folder: str = "AAMkSent=", **changes: object) -> ReplyDrafts:
    def graph(request: httpx2.Request) -> httpx2.Response:
        if "/mailFolders/sentitems" in request.url.path:
            return httpx2.Response(200, json={"id": folder})
        body = {**MAIL, **changes} if status == 200 else {"error": {"code": code, "message": "x"}}
        return httpx2.Response(status, json=body)

    return ReplyDrafts(Drafts(mailbox_over(graph)))


@pytest.mark.parametrize("folder", ["AAMkSent=", "AAMkOther="])
async def test_people_of_the_original_are_read(folder: str) -> None:
    """Both senders, the recipients with their names, and whether it is in Sent Items."""
    found = await replies(folder=folder).original("AAMk1")

    assert found.senders == (Recipient("team@contoso.example", "Team"), Recipient("ada@contoso.example"))
    assert found.to == (Recipient("grace@contoso.example", "Grace"),)
    assert found.is_sent == (folder == "AAMkSent=")


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "ErrorInvalidIdMalformed"),
        (400, "ErrorInvalidMailboxItemId"),
        (400, "ErrorInvalidIdNotAnItemAttachmentId"),
        (404, "ErrorItemNotFound"),
        (404, ""),
    ],
)
async def test_k12_missing_original_is_said_in_plain_words(status: int, code: str) -> None:
    """K12: a malformed, foreign or deleted id is message_missing with the tool that gives ids, not the recipients."""
    with pytest.raises(MessageMissing) as replying:
        await replies(status, code).original("AAMk1")
    with pytest.raises(MessageMissing) as forwarding:
        await replies(status, code).begin("AAMk1", "forward", "our-id")

    for caught in (replying, forwarding):
        assert "list_messages" in caught.value.advice
        assert "recipients" not in caught.value.explain()


@pytest.mark.parametrize("message_id", ["", "../me", "AAMk1?x", "Re: Lunch"])
async def test_k12_what_is_no_id_is_said_in_plain_words(message_id: str) -> None:
    """K12: a subject or a path in place of an id is message_missing before Graph is asked."""
    with pytest.raises(MessageMissing, match="list_messages"):
        await replies().original(message_id)
    with pytest.raises(MessageMissing, match="list_messages"):
        await replies().begin(message_id, "forward", "our-id")


async def test_other_refusals_are_not_taken_for_a_missing_message() -> None:
    """An account without a mailbox and a missing permission keep their own errors."""
    with pytest.raises(MailboxMissing):
        await replies(404, "MailboxNotEnabledForRESTAPI").original("AAMk1")
    with pytest.raises(MailboxMissing):
        await replies(404, "MailboxNotEnabledForRESTAPI").begin("AAMk1", "forward", "our-id")
    with pytest.raises(PermissionMissing):
        await replies(403, "ErrorAccessDenied").original("AAMk1")


async def test_nobody_can_reply_to_a_draft() -> None:
    """A message that was not sent has reached nobody."""
    with pytest.raises(InvalidArgument, match="has not been sent"):
        await replies(isDraft=True).original("AAMk1")
