"""The outcome of a send without a clear response, by the folder of its draft."""

from __future__ import annotations

import httpx2
import pytest

from m365_mcp.errors import MessageRefused, OutcomeUnknown, StorageUnavailable, Throttled
from m365_mcp.graph.drafts import Drafts, marked
from m365_mcp.graph.items import MARKER
from m365_mcp.mail import MailRules, MessageRequest, compose_message
from m365_mcp.sending.draft_inspection import DraftInspection
from m365_mcp.sending.strategies import DeferredSend, DirectSend, DraftSend, ExistingDraftSend
from tests.graph.mailboxes import mailbox_over
from tests.graph.recording import Recording, person, refuses, says
from tests.sending.policies import no_policies, permitted

MESSAGE = compose_message(MessageRequest(to=["grace@contoso.example"], subject="Hi", body="x"), MailRules())


def refuse_requests(request: httpx2.Request) -> httpx2.Response:
    raise AssertionError(f"Graph got a request: {request.method} {request.url}")


@pytest.mark.parametrize("kind", [DraftSend, DeferredSend])
async def test_send_without_a_draft_was_not_sent(kind: type[DraftSend]) -> None:
    """Without a draft in the ledger no request to send went out, so a repeat may send the message."""
    strategy = kind(Drafts(mailbox_over(refuse_requests)), MESSAGE, permitted, poll_pauses=(0.0,))

    assert await strategy.reconcile("our-id", None) is False


async def test_existing_draft_without_a_record_was_not_sent() -> None:
    """A call that died before it recorded the draft has sent nothing."""
    strategy = ExistingDraftSend(Drafts(mailbox_over(refuse_requests)), "AAMk1", "our-id")

    assert await strategy.reconcile("our-id", None) is False


async def test_direct_send_stays_unknown() -> None:
    """With `Mail.Send` alone the server cannot look up an outcome."""
    assert await DirectSend(mailbox_over(refuse_requests), MESSAGE, permitted).reconcile("our-id", None) is None


async def test_draft_of_an_earlier_call_is_looked_up_by_its_own_id() -> None:
    """A repeat of a reply has another draft; what became of the first is asked with the first one's ids."""
    asked: list[str] = []

    def graph(request: httpx2.Request) -> httpx2.Response:
        asked.append(str(request.url))
        if "mailFolders" in request.url.path:
            return httpx2.Response(200, json={"value": [{"id": "AAMkSent"}] if "sentitems" in request.url.path else []})
        return httpx2.Response(404, json={"error": {"code": "ErrorItemNotFound", "message": "x"}})

    strategy = ExistingDraftSend(Drafts(mailbox_over(graph)), "AAMkNew", "new-id", poll_pauses=(0.0,))

    assert await strategy.reconcile("first-id", "AAMkFirst") is True
    assert "AAMkFirst" in asked[0]
    assert "first-id" in asked[1]


def over(*answers: httpx2.Response | Exception) -> tuple[Recording, Drafts]:
    graph = Recording(*answers)
    return graph, Drafts(graph.mailbox())


async def no_record(_: str) -> None:
    return


CREATED = says(201, {"id": "AAMk1"})
IS_DRAFT, IS_SENT, GONE = says(200, {"isDraft": True}), says(200, {"isDraft": False}), refuses(404)
FOUND, NOT_FOUND = says(200, {"value": [{"id": "x"}]}), says(200, {"value": []})
QUICK = (0.0, 0.0)


def shortened(graph: Recording) -> list[str]:
    """Return method and last part of the path of every request."""
    return [f"{method} {path.partition('?')[0].rpartition('/')[2]}" for method, path in graph.asked]


def test_mailbox_is_polled_for_eight_seconds() -> None:
    """Graph takes a moment to move a sent message out of the drafts."""
    drafts = over(CREATED)[1]

    assert DraftSend(drafts, MESSAGE, permitted).poll_pauses == (0.3, 0.7, 1.0, 2.0, 4.0)
    assert ExistingDraftSend(drafts, "AAMk1", None).poll_pauses == (0.3, 0.7, 1.0, 2.0, 4.0)
    assert (DirectSend.records_draft, DraftSend.records_draft, ExistingDraftSend.records_draft) == (False, True, True)


async def test_direct_send_is_one_request() -> None:
    """The message with our id goes to sendMail."""
    graph = Recording(says(202))

    assert await DirectSend(graph.mailbox(), MESSAGE, permitted).send("our-id", no_record) == "the-id"
    assert graph.asked == [("POST", "/me/sendMail")]
    assert graph.requests[0].content == MESSAGE.encode("our-id")


async def test_draft_is_recorded_before_it_is_sent() -> None:
    """Should the process die in between, the ledger knows which draft to look for."""
    graph, drafts = over(CREATED, says(202))
    recorded: list[tuple[str, int]] = []

    async def record(draft_id: str) -> None:
        recorded.append((draft_id, len(graph.requests)))

    assert await DraftSend(drafts, MESSAGE, permitted).send("our-id", record) == "the-id"
    assert recorded == [("AAMk1", 1)]
    assert shortened(graph) == ["POST messages", "POST send"]
    assert graph.bodies[0] == marked(MESSAGE.draft_as_graph("our-id"), "our-id")


@pytest.mark.parametrize("deletion", [says(204), refuses(403)])
async def test_draft_that_graph_refuses_is_deleted(deletion: httpx2.Response) -> None:
    """The refusal is told, also when the draft cannot be deleted."""
    graph, drafts = over(CREATED, refuses(400, "ErrorQuotaExceeded"), deletion)

    with pytest.raises(MessageRefused, match="The mailbox is full"):
        await DraftSend(drafts, MESSAGE, permitted).send("our-id", no_record)
    assert shortened(graph) == ["POST messages", "POST send", "DELETE AAMk1"]


async def test_draft_with_an_unknown_outcome_is_left() -> None:
    """It may have been sent."""
    graph, drafts = over(CREATED, refuses(503))

    with pytest.raises(OutcomeUnknown):
        await DraftSend(drafts, MESSAGE, permitted).send("our-id", no_record)
    assert shortened(graph) == ["POST messages", "POST send"]


async def test_draft_that_cannot_be_recorded_is_not_sent() -> None:
    """Without the record nothing goes out, and the draft goes."""

    async def fail(_: str) -> None:
        raise StorageUnavailable

    graph, drafts = over(CREATED, says(204))
    with pytest.raises(StorageUnavailable):
        await DraftSend(drafts, MESSAGE, permitted).send("our-id", fail)
    assert shortened(graph) == ["POST messages", "DELETE AAMk1"]


@pytest.mark.parametrize(
    ("looks", "sent"),
    [((IS_SENT,), True), ((IS_DRAFT, IS_SENT), True), ((IS_DRAFT, IS_DRAFT, says(204)), False)],
)
async def test_throttled_draft_may_have_been_sent(looks: tuple[httpx2.Response, ...], sent: bool) -> None:
    """A message that left all the same is sent; one that stayed is deleted, and the caller hears to wait."""
    graph, drafts = over(CREATED, refuses(429, Retry_After="60"), *looks)
    strategy = DraftSend(drafts, MESSAGE, permitted, poll_pauses=QUICK)

    if sent:
        assert await strategy.send("our-id", no_record) == "the-id"
    else:
        with pytest.raises(Throttled):
            await strategy.send("our-id", no_record)
    assert ("DELETE AAMk1" in shortened(graph)) is not sent
    assert len(graph.requests) == 2 + len(looks)


@pytest.mark.parametrize(
    ("answers", "outcome", "asked"),
    [
        ((IS_SENT,), True, ["GET AAMk1"]),
        ((GONE, FOUND), True, ["GET AAMk1", "GET messages"]),
        ((IS_DRAFT, IS_SENT), True, ["GET AAMk1"] * 2),
        (
            (IS_DRAFT, IS_DRAFT, NOT_FOUND),
            None,
            ["GET AAMk1", "GET AAMk1", "GET messages"],
        ),
        (
            (IS_DRAFT, IS_DRAFT, FOUND, says(202)),
            True,
            ["GET AAMk1", "GET AAMk1", "GET messages", "POST send"],
        ),
        (
            (IS_DRAFT, IS_DRAFT, FOUND, refuses(503), IS_SENT),
            True,
            ["GET AAMk1", "GET AAMk1", "GET messages", "POST send", "GET AAMk1"],
        ),
        (
            (IS_DRAFT, IS_DRAFT, FOUND, refuses(503), IS_DRAFT),
            None,
            ["GET AAMk1", "GET AAMk1", "GET messages", "POST send", "GET AAMk1", "GET AAMk1"],
        ),
    ],
    ids=["sent", "in Sent Items", "sent later", "deleted", "sent once more", "lost and sent", "lost again"],
)
@pytest.mark.parametrize("kind", [DraftSend, ExistingDraftSend])
async def test_unknown_outcome_of_a_draft_is_looked_up(
    kind: type, answers: tuple[httpx2.Response, ...], outcome: bool | None, asked: list[str]
) -> None:
    """What left the drafts is sent; a draft that stays there is sent once more; one that is elsewhere stays unknown."""
    graph, drafts = over(*answers)
    if kind is DraftSend:
        strategy: DraftSend | ExistingDraftSend = DraftSend(drafts, MESSAGE, permitted, poll_pauses=QUICK)
    else:
        strategy = ExistingDraftSend(drafts, "AAMk1", "our-id", poll_pauses=QUICK)

    assert await strategy.reconcile("our-id", "AAMk1") is outcome
    assert shortened(graph) == asked
    searches = [path for _, path in graph.asked if "$filter" in path]
    assert all("ep/value eq 'our-id'" in path for path in searches)
    assert [path.split("/")[3] for path in searches] in ([], ["drafts"], ["sentitems"])


@pytest.mark.parametrize(
    ("answers", "outcome", "asked"),
    [
        ((FOUND,), True, ["GET messages"]),
        ((NOT_FOUND, IS_SENT), True, ["GET messages", "GET AAMk1"]),
        ((NOT_FOUND, IS_DRAFT, says(204)), False, ["GET messages", "GET AAMk1", "DELETE AAMk1"]),
        ((NOT_FOUND, GONE, NOT_FOUND), None, ["GET messages", "GET AAMk1", "GET messages"]),
    ],
    ids=["in the Outbox", "sent", "still a draft", "gone"],
)
async def test_unknown_outcome_of_a_scheduled_message_is_looked_up(
    answers: tuple[httpx2.Response, ...], outcome: bool | None, asked: list[str]
) -> None:
    """In the Outbox it is scheduled; as a draft it is not, and must not be sent later all the same."""
    graph, drafts = over(*answers)

    assert await DeferredSend(drafts, MESSAGE, permitted, poll_pauses=QUICK).reconcile("our-id", "AAMk1") is outcome
    assert shortened(graph) == asked
    assert "/me/mailFolders/outbox/messages" in graph.asked[0][1]
    assert "ep/value eq 'our-id'" in graph.asked[0][1]


async def test_existing_draft_is_recorded_and_sent() -> None:
    """The strategy knows that it has begun, so that whoever made the draft does not delete it."""
    graph, drafts = over(says(202))
    strategy = ExistingDraftSend(drafts, "AAMk1", "our-id")
    recorded: list[str] = []

    async def record(draft_id: str) -> None:
        recorded.append(draft_id)

    assert strategy.has_started is False
    assert strategy.inspected is None
    assert await strategy.send("another-id", record) == "the-id"
    assert strategy.has_started is True
    assert recorded == ["AAMk1"]
    assert shortened(graph) == ["POST send"]


def test_progress_of_a_strategy_is_no_argument() -> None:
    """Whoever makes the strategy cannot say what it has done."""
    fields = ExistingDraftSend.__dataclass_fields__

    assert [name for name, field in fields.items() if not field.init] == ["has_started", "inspected"]


@pytest.mark.parametrize("deletion", [says(204), refuses(403)])
async def test_existing_draft_of_this_call_is_deleted_when_it_is_refused(deletion: httpx2.Response) -> None:
    """Nobody else knows the draft; one with an unknown outcome is left."""
    graph, drafts = over(refuses(400, "ErrorQuotaExceeded"), deletion)
    with pytest.raises(MessageRefused, match="The mailbox is full"):
        await ExistingDraftSend(drafts, "AAMk1", "our-id").send("our-id", no_record)
    lost, others = over(refuses(503))
    with pytest.raises(OutcomeUnknown):
        await ExistingDraftSend(others, "AAMk1", "our-id").send("our-id", no_record)

    assert shortened(graph) == ["POST send", "DELETE AAMk1"]
    assert shortened(lost) == ["POST send"]


async def test_draft_that_the_person_knows_stays_when_it_is_refused() -> None:
    """It is inspected first, and is the person's to change."""
    item = {"id": "AAMk1", "isDraft": True, "toRecipients": [person("grace@contoso.example")]}
    item["singleValueExtendedProperties"] = [{"id": MARKER, "value": "our-id"}]
    graph, drafts = over(says(200, item), FOUND, NOT_FOUND, refuses(400, "ErrorQuotaExceeded"))
    strategy = ExistingDraftSend(drafts, "AAMk1", "our-id", DraftInspection(drafts, MailRules(), no_policies(drafts)))

    with pytest.raises(MessageRefused):
        await strategy.send("our-id", no_record)
    assert shortened(graph) == ["GET AAMk1", "GET messages", "GET attachments", "POST send"]
    assert strategy.inspected is not None
    assert strategy.inspected.addresses == ("grace@contoso.example",)


@pytest.mark.parametrize(
    ("known", "draft_id", "looked_for"),
    [("new-id", "AAMk1", "new-id"), (None, "AAMk1", "first-id"), ("new-id", "AAMkFirst", "first-id")],
)
async def test_message_is_looked_for_by_the_id_that_it_has(known: str | None, draft_id: str, looked_for: str) -> None:
    """Our own draft has its own id; a draft of an earlier call has the ledger's."""
    graph, drafts = over(GONE, FOUND)

    assert await ExistingDraftSend(drafts, "AAMk1", known, poll_pauses=(0.0,)).reconcile("first-id", draft_id)
    assert graph.asked[0][1].startswith(f"/me/messages/{draft_id}?")
    assert f"ep/value eq '{looked_for}'" in graph.asked[1][1]


async def test_draft_that_the_person_deleted_is_not_sent_once_more() -> None:
    """In Deleted Items a message is still a draft that Graph would send; its outcome stays unknown."""
    methods: list[str] = []

    def graph(request: httpx2.Request) -> httpx2.Response:
        methods.append(request.method)
        found: dict[str, object] = {"value": []} if "mailFolders" in request.url.path else {"isDraft": True}
        return httpx2.Response(200, json=found)

    strategy = DraftSend(Drafts(mailbox_over(graph)), MESSAGE, permitted, poll_pauses=(0.0,))

    assert await strategy.reconcile("our-id", "AAMk1") is None
    assert set(methods) == {"GET"}
