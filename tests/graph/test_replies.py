"""The original of a reply: who is on it, and plain words when there is none."""

from __future__ import annotations

import httpx2
import pytest

from m365_mcp.errors import InvalidArgument, MailboxMissing, MessageMissing, PermissionMissing
from m365_mcp.graph.drafts import Drafts
from m365_mcp.graph.items import Item
from m365_mcp.graph.replies import MessageSummary, ReplyDraft, ReplyDrafts
from m365_mcp.mail import Original, Recipient, ReplyKind
from tests.graph.mailboxes import mailbox_over
from tests.graph.recording import IMMUTABLE, Recording, person, refuses, says

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


FULL_ORIGINAL = {**MAIL, "ccRecipients": [person("c@x.example")]}


async def test_original_is_asked_for_what_is_read() -> None:
    """One request for the people and the folder, one for the id of Sent Items."""
    graph = Recording(says(200, FULL_ORIGINAL), says(200, {"id": "AAMkSent="}))

    found = await ReplyDrafts(Drafts(graph.mailbox())).original("AAMk1")

    assert found == Original(
        (Recipient("team@contoso.example", "Team"), Recipient("ada@contoso.example")),
        (Recipient("grace@contoso.example", "Grace"),),
        (Recipient("c@x.example"),),
        is_sent=True,
    )
    assert graph.asked == [
        ("GET", "/me/messages/AAMk1?$select=isDraft,parentFolderId,from,sender,toRecipients,ccRecipients"),
        ("GET", "/me/mailFolders/sentitems?$select=id"),
    ]
    assert graph.requests[0].headers["Prefer"] == IMMUTABLE
    assert (graph.timed("getOriginal"), graph.timed("getFolder")) == (1, 1)


async def test_original_may_have_nobody() -> None:
    """A message without people has none, and one without a folder is not in Sent Items."""
    found = await ReplyDrafts(Drafts(Recording(says(200, {}), says(200, {"id": "x"})).mailbox())).original("AAMk1")

    assert found == Original((), (), (), is_sent=False)


async def test_folder_that_graph_does_not_tell_is_an_error() -> None:
    """Without it nobody knows whether the person wrote the original."""
    with pytest.raises(PermissionMissing):
        await ReplyDrafts(Drafts(Recording(says(200, MAIL), refuses(403)).mailbox())).original("AAMk1")


async def test_advice_for_a_missing_original_keeps_the_reference() -> None:
    """Sentence, advice and Graph's id are all there, in both ways to ask."""
    for asked in ("original", "begin"):
        one = ReplyDrafts(Drafts(Recording(refuses(404)).mailbox()))
        with pytest.raises(MessageMissing) as caught:
            await (one.original("AAMk1") if asked == "original" else one.begin("AAMk1", "forward", "our-id"))
        assert caught.value.sentence == MessageMissing.sentence
        assert caught.value.advice == (
            "Call list_messages for the ids. The message may have been deleted or moved since the last list."
        )
        assert caught.value.reference == "the-id"


async def test_reply_to_a_draft_has_the_same_advice() -> None:
    """The sentence says why, the advice where the ids are."""
    with pytest.raises(InvalidArgument) as caught:
        await replies(isDraft=True).original("AAMk1")
    assert caught.value.sentence == "This message has not been sent, so nobody can reply to it."
    assert caught.value.advice.startswith("Call list_messages for the ids.")


@pytest.mark.parametrize(
    ("kind", "action"), [("reply", "createReply"), ("reply_all", "createReplyAll"), ("forward", "createForward")]
)
async def test_reply_begins_as_a_draft_with_our_id(kind: ReplyKind, action: str) -> None:
    """Graph makes the draft in the thread; our id is in its headers, and its text is read."""
    created = {"id": "AAMk2", "subject": "RE: x", "body": {"contentType": "html", "content": "<p>x</p>"}}
    graph = Recording(says(201, created))

    draft = await ReplyDrafts(Drafts(graph.mailbox())).begin("AAMk1", kind, "our-id")

    assert draft == ReplyDraft(Item("AAMk2", "RE: x", is_draft=True), "html", "<p>x</p>")
    assert graph.asked == [("POST", f"/me/messages/AAMk1/{action}")]
    assert graph.bodies == [{"message": {"internetMessageHeaders": [{"name": "x-m365-mcp-id", "value": "our-id"}]}}]
    assert graph.timed(action) == 1


@pytest.mark.parametrize("body", [None, {}, {"contentType": None, "content": None}])
async def test_draft_without_a_text_has_an_empty_one(body: object) -> None:
    """A forward of an empty message quotes nothing, as text."""
    graph = Recording(says(201, {"id": "AAMk2", "body": body}))

    draft = await ReplyDrafts(Drafts(graph.mailbox())).begin("AAMk1", "forward", "our-id")

    assert (draft.content_type, draft.content) == ("text", "")


@pytest.mark.parametrize(("previews", "more"), [(False, ""), (True, ",bodyPreview")])
async def test_messages_are_listed_newest_first(previews: bool, more: str) -> None:
    """The query asks for as many as wanted; what a message lacks is empty."""
    full = {
        "id": "AAMk1",
        "subject": "Lunch",
        "from": person("grace@x.example", "Grace"),
        "receivedDateTime": "2027-01-01T00:00:00Z",
        "isRead": True,
        "bodyPreview": "At noon",
    }
    graph = Recording(says(200, {"value": [full, {"id": "AAMk2", "from": None}, {"id": "AAMk3", "from": {}}]}))

    found = await ReplyDrafts(Drafts(graph.mailbox())).list("inbox", 5, previews=previews)

    assert found == (
        MessageSummary("AAMk1", "Lunch", "Grace", "grace@x.example", "2027-01-01T00:00:00Z", True, "At noon"),
        MessageSummary("AAMk2", "", None, None, None, False),
        MessageSummary("AAMk3", "", None, None, None, False),
    )
    path = "/me/mailFolders/inbox/messages?$top=5&$select=subject,from,receivedDateTime,isRead"
    assert graph.asked == [("GET", f"{path}{more}&$orderby=receivedDateTime desc")]
    assert graph.requests[0].headers["Prefer"] == IMMUTABLE
    assert graph.timed("listMessages") == 1


async def test_empty_folder_and_refused_folder() -> None:
    """Nothing is an empty list, and a refusal an error."""
    assert await ReplyDrafts(Drafts(Recording(says(200, {})).mailbox())).list("inbox", 5, previews=False) == ()
    with pytest.raises(PermissionMissing):
        await ReplyDrafts(Drafts(Recording(refuses(403)).mailbox())).list("inbox", 5, previews=False)
