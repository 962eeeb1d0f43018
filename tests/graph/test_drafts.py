"""Drafts: which requests they take, what their answers mean, and which scheduled messages are found."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from m365_mcp.errors import (
    GraphUnavailable,
    MailboxMissing,
    MessageMissing,
    MessageRefused,
    MessageTooLarge,
    OutcomeUnknown,
    PermissionMissing,
    ReadRefused,
    Throttled,
)
from m365_mcp.graph import drafts
from m365_mcp.graph.drafts import Draft, Drafts, announcing, list_scheduled, marked
from m365_mcp.retries import RetryPolicy
from tests.graph.recording import IMMUTABLE, ITEM_QUERY, Recording, refuses, says

MARKER = "String {6f1c2b1e-9a57-4f0e-8f55-3b6d1a2c4e70} Name m365-mcp-id"
FILES = "String {6f1c2b1e-9a57-4f0e-8f55-3b6d1a2c4e70} Name m365-mcp-files"
MESSAGE = {"subject": "Grüße"}
LOST = [refuses(500), refuses(503, Retry_After="0"), httpx2.ReadError("broke off")]


def over(*answers: httpx2.Response | Exception) -> tuple[Recording, Drafts]:
    graph = Recording(*answers)
    return graph, Drafts(graph.mailbox())


def test_repeat_of_a_harmless_request_has_its_limits() -> None:
    """One repeat, after a lost request that took the whole time of a send."""
    assert RetryPolicy(seconds=25.0, first_pause=0.3, tries=2) == drafts.HARMLESS_REPEATS
    assert drafts.MESSAGES_PER_FOLDER == 100


def test_our_properties_join_those_of_the_message() -> None:
    """Our id, and the names of announced files, one a line, are extended properties beside the others."""
    both = announcing(marked({"subject": "x"}, "our-id"), ("a.txt", "b.txt"))

    assert both == {
        "subject": "x",
        "singleValueExtendedProperties": [{"id": MARKER, "value": "our-id"}, {"id": FILES, "value": "a.txt\nb.txt"}],
    }


async def test_draft_is_created_with_our_id() -> None:
    """The message goes to the Drafts folder with our id in it; Graph's id and link come back."""
    graph, one = over(says(201, {"id": "AAMk1", "webLink": "https://outlook/x"}))

    assert await one.create(MESSAGE, "our-id") == Draft("AAMk1", "https://outlook/x")
    assert graph.asked == [("POST", "/me/messages")]
    assert graph.bodies == [marked(MESSAGE, "our-id")]
    assert "Grüße".encode() in graph.requests[0].content
    assert graph.requests[0].headers["Prefer"] == IMMUTABLE
    assert graph.timed("createDraft") == 1


async def test_draft_may_have_no_link() -> None:
    """A link is not needed."""
    assert await over(says(201, {"id": 7}))[1].create(MESSAGE, "our-id") == Draft("7", None)


@pytest.mark.parametrize("lost", LOST, ids=repr)
async def test_lost_creation_is_repeated_once(lost: httpx2.Response | Exception) -> None:
    """An extra draft does no harm; a second loss is an outage and nothing was sent."""
    graph, one = over(lost, says(201, {"id": "AAMk1"}))
    away, other = over(lost)

    assert (await one.create(MESSAGE, "our-id")).id == "AAMk1"
    with pytest.raises(GraphUnavailable):
        await other.create(MESSAGE, "our-id")
    assert graph.bodies == away.bodies == [marked(MESSAGE, "our-id")] * 2


REFUSALS: list[tuple[httpx2.Response, type[Exception]]] = [
    (refuses(400, "ErrorInvalidRecipients"), MessageRefused),
    (refuses(400, "ErrorInvalidIdMalformed"), MessageMissing),
    (refuses(400, "ErrorInvalidMailboxItemId"), MessageMissing),
    (refuses(400, "ErrorItemNotFound"), MessageMissing),
    (refuses(404), MessageMissing),
    (refuses(404, "MailboxNotEnabledForRESTAPI"), MailboxMissing),
    (refuses(403, "ErrorAccessDenied"), PermissionMissing),
    (refuses(413), MessageTooLarge),
    (refuses(429, Retry_After="9"), Throttled),
    (refuses(408), GraphUnavailable),
    (says(201, {}), GraphUnavailable),
    (says(200, {"id": "AAMk1"}), GraphUnavailable),
]


@pytest.mark.parametrize(("answer", "kind"), REFUSALS)
async def test_refused_creation_has_an_error_that_says_that_nothing_was_sent(
    answer: httpx2.Response, kind: type[Exception]
) -> None:
    """Whatever the answer, no mail has left, so the outcome is never unknown; Graph's id is passed on."""
    with pytest.raises(kind) as caught:
        await over(answer)[1].make("/me/messages", "createDraft", MESSAGE)
    assert type(caught.value) is kind
    assert getattr(caught.value, "reference", None) == "the-id"


async def test_draft_is_changed() -> None:
    """The changes go to the draft, and a lost request is repeated."""
    graph, one = over(refuses(503), says(200))

    await one.change("AAMk+1", {"subject": "y"})

    assert graph.asked == [("PATCH", "/me/messages/AAMk+1")] * 2
    assert graph.bodies == [{"subject": "y"}] * 2
    assert graph.requests[0].headers["Prefer"] == IMMUTABLE
    assert graph.timed("changeDraft") == 2


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(refuses(400), MessageRefused), (says(204), GraphUnavailable), (refuses(503), GraphUnavailable)],
)
async def test_change_that_graph_does_not_confirm_is_an_error(answer: httpx2.Response, kind: type[Exception]) -> None:
    """Only 200 means that the draft is as we want it."""
    with pytest.raises(kind):
        await over(answer)[1].change("AAMk1", {})


async def test_small_file_is_attached_once() -> None:
    """A repeat would attach it twice."""
    graph, one = over(says(201))
    lost, other = over(httpx2.ReadError("broke off"))

    await one.attach("AAMk1", {"name": "a.txt"})
    with pytest.raises(GraphUnavailable):
        await other.attach("AAMk1", {"name": "a.txt"})

    assert graph.asked == lost.asked == [("POST", "/me/messages/AAMk1/attachments")]
    assert graph.bodies == [{"name": "a.txt"}]
    assert graph.requests[0].headers["Prefer"] == IMMUTABLE
    assert graph.timed("addAttachment") == 1


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(refuses(503), GraphUnavailable), (refuses(400), MessageRefused), (says(200), GraphUnavailable)],
)
async def test_attachment_that_graph_does_not_confirm_is_an_error(
    answer: httpx2.Response, kind: type[Exception]
) -> None:
    """Only 201 means that the file is there; nothing was sent."""
    with pytest.raises(kind) as caught:
        await over(answer)[1].attach("AAMk1", {})
    assert getattr(caught.value, "reference", None) == "the-id"


async def test_message_is_found_with_all_that_is_read() -> None:
    """The query asks for the fields and our properties."""
    graph, one = over(says(200, {"id": "AAMk1", "isDraft": False}))

    found = await one.find("AAMk1")

    assert (found.id, found.is_draft) == ("AAMk1", False)
    assert graph.asked == [("GET", f"/me/messages/AAMk1?{ITEM_QUERY}")]
    assert graph.requests[0].headers["Prefer"] == IMMUTABLE
    assert graph.timed("getMessage") == 1


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refuses(400), MessageMissing),
        (refuses(404), MessageMissing),
        (refuses(404, "MailboxNotEnabledForRESTAPI"), MailboxMissing),
        (refuses(405), ReadRefused),
        (refuses(403), PermissionMissing),
        (says(204), GraphUnavailable),
    ],
)
async def test_message_that_is_not_there_is_told_from_other_refusals(
    answer: httpx2.Response, kind: type[Exception]
) -> None:
    """Of such a request only the id can be wrong."""
    with pytest.raises(kind) as caught:
        await over(answer)[1].find("AAMk1")
    assert type(caught.value) is kind
    assert getattr(caught.value, "reference", None) == "the-id"


async def test_draft_is_sent_with_an_empty_body() -> None:
    """One request, whose id is returned."""
    graph, one = over(says(202))

    assert await one.send("AAMk1") == "the-id"
    assert graph.asked == [("POST", "/me/messages/AAMk1/send")]
    assert graph.requests[0].content == b""
    assert graph.requests[0].headers["Prefer"] == IMMUTABLE
    assert graph.timed("sendDraft") == 1


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refuses(404, "ErrorItemNotFound"), OutcomeUnknown),
        (refuses(500), OutcomeUnknown),
        (says(200), OutcomeUnknown),
        (refuses(429), Throttled),
        (refuses(403, "ErrorSendAsDenied"), PermissionMissing),
        (refuses(400, "ErrorQuotaExceeded"), MessageRefused),
    ],
)
async def test_send_that_graph_does_not_accept_is_an_error(answer: httpx2.Response, kind: type[Exception]) -> None:
    """A draft that is gone may have been sent by an earlier try; a refusal has sent nothing."""
    graph, one = over(answer)

    with pytest.raises(kind) as caught:
        await one.send("AAMk1")
    assert type(caught.value) is kind
    assert getattr(caught.value, "reference", None) == "the-id"
    assert len(graph.requests) == 1


IN_SENT_ITEMS = (
    "/me/mailFolders/sentitems/messages?$top=1&$select=id&$filter="
    f"singleValueExtendedProperties/Any(ep: ep/id eq '{MARKER}' and ep/value eq 'our-id')"
)


@pytest.mark.parametrize(
    ("answers", "where", "looked"),
    [
        ((says(200, {"isDraft": True}),), "draft", False),
        ((says(200, {}),), "draft", False),
        ((says(200, {"isDraft": False}),), "sent", False),
        ((refuses(404), says(200, {"value": [{"id": "x"}]})), "sent", True),
        ((refuses(404), says(200, {"value": []})), "gone", True),
    ],
)
async def test_message_is_looked_for_by_both_ids(
    answers: tuple[httpx2.Response, ...], where: str, looked: bool
) -> None:
    """Graph's id shows a draft or a sent message; when it names nothing, ours is looked for in Sent Items."""
    graph, one = over(*answers)

    assert await one.location("AAMk1", "our-id") == where
    expected = [("GET", "/me/messages/AAMk1?$select=isDraft")]
    assert graph.asked == expected + [("GET", IN_SENT_ITEMS)] * looked
    assert graph.requests[0].headers["Prefer"] == IMMUTABLE
    assert (graph.timed("getMessage"), graph.timed("findInFolder")) == (1, int(looked))


@pytest.mark.parametrize("answers", [(refuses(403),), (refuses(404), refuses(403))])
async def test_place_that_graph_does_not_tell_is_an_error(answers: tuple[httpx2.Response, ...]) -> None:
    """A refusal to look is no answer to the question."""
    with pytest.raises(PermissionMissing):
        await over(*answers)[1].location("AAMk1", "our-id")
    with pytest.raises(ReadRefused):
        await over(refuses(400))[1].is_in("drafts", "our-id")


async def test_folder_is_asked_for_our_id() -> None:
    """Whether a message is in a folder depends on one entry."""
    graph, one = over(says(200, {"value": [{"id": "x"}]}), says(200, {}))

    assert [await one.is_in("drafts", "our-id"), await one.is_in("outbox", "our-id")] == [True, False]
    assert [path.split("?")[0] for _, path in graph.asked] == [
        "/me/mailFolders/drafts/messages",
        "/me/mailFolders/outbox/messages",
    ]


@pytest.mark.parametrize("answer", [says(204), refuses(404)])
async def test_draft_is_deleted(answer: httpx2.Response) -> None:
    """One that is gone already is as good as deleted."""
    graph, one = over(answer)

    await one.delete("AAMk1")

    assert graph.asked == [("DELETE", "/me/messages/AAMk1")]
    assert graph.bodies == [None]
    assert graph.requests[0].headers["Prefer"] == IMMUTABLE
    assert graph.timed("deleteMessage") == 1


@pytest.mark.parametrize(("answer", "kind"), [(refuses(403), PermissionMissing), (says(200), GraphUnavailable)])
async def test_deletion_that_graph_does_not_confirm_is_an_error(answer: httpx2.Response, kind: type[Exception]) -> None:
    """Any other answer leaves the draft where it may be sent from."""
    with pytest.raises(kind):
        await over(answer)[1].delete("AAMk1")


NOW = datetime(2027, 1, 1, 12, tzinfo=UTC)


def waiting(name: str, send_at: str | None, message_id: str | None = "our-id") -> dict[str, Any]:
    properties = [{"id": "SystemTime 0x3FEF", "value": send_at}] if send_at else []
    properties += [{"id": MARKER, "value": message_id}] if message_id else []
    return {"id": name, "singleValueExtendedProperties": properties}


async def test_scheduled_messages_are_ours_and_in_the_future() -> None:
    """From the Outbox and the drafts, the next first; not those of others, of the past, or with a broken time."""
    outbox = [waiting("late", "2027-01-03T00:00:00Z"), waiting("past", "2027-01-01T12:00:00Z")]
    outbox += [waiting("foreign", "2027-01-02T00:00:00Z", None), waiting("unscheduled", None)]
    stored = [
        waiting("soon", "2027-01-01T12:00:01Z"),
        waiting("broken", "soon"),
        waiting("local", "2027-01-02T00:00:00"),
    ]
    graph = Recording(says(200, {"value": outbox}), says(200, {"value": stored}))

    found = await list_scheduled(graph.mailbox(), NOW)

    assert [item.id for item in found] == ["soon", "late"]
    assert graph.asked == [
        ("GET", f"/me/mailFolders/outbox/messages?$top=100&{ITEM_QUERY}"),
        ("GET", f"/me/mailFolders/drafts/messages?$top=100&{ITEM_QUERY}"),
    ]
    assert graph.requests[0].headers["Prefer"] == IMMUTABLE
    assert graph.timed("listScheduled") == 2


async def test_no_folder_no_list() -> None:
    """An empty answer is an empty list, and a refusal is an error."""
    assert await list_scheduled(Recording(says(200, {})).mailbox(), NOW) == ()
    with pytest.raises(PermissionMissing):
        await list_scheduled(Recording(refuses(403)).mailbox(), NOW)
