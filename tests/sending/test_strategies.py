"""The outcome of a send without a clear response, by the folder of its draft."""

from __future__ import annotations

import httpx2
import pytest

from m365_mcp.graph.drafts import Drafts
from m365_mcp.mail import MailRules, MessageRequest, compose_message
from m365_mcp.sending.strategies import DeferredSend, DirectSend, DraftSend, ExistingDraftSend
from tests.graph.mailboxes import mailbox_over

MESSAGE = compose_message(MessageRequest(to=["grace@contoso.example"], subject="Hi", body="x"), MailRules())


def refuse_requests(request: httpx2.Request) -> httpx2.Response:
    raise AssertionError(f"Graph got a request: {request.method} {request.url}")


@pytest.mark.parametrize("kind", [DraftSend, DeferredSend])
async def test_send_without_a_draft_was_not_sent(kind: type[DraftSend]) -> None:
    """Without a draft in the ledger no request to send went out, so a repeat may send the message."""
    strategy = kind(Drafts(mailbox_over(refuse_requests)), MESSAGE, poll_pauses=(0.0,))

    assert await strategy.reconcile("our-id", None) is False


async def test_existing_draft_without_a_record_was_not_sent() -> None:
    """A call that died before it recorded the draft has sent nothing."""
    strategy = ExistingDraftSend(Drafts(mailbox_over(refuse_requests)), "AAMk1", "our-id")

    assert await strategy.reconcile("our-id", None) is False


async def test_direct_send_stays_unknown() -> None:
    """With `Mail.Send` alone the server cannot look up an outcome."""
    assert await DirectSend(mailbox_over(refuse_requests), MESSAGE).reconcile("our-id", None) is None


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


async def test_draft_that_the_person_deleted_is_not_sent_once_more() -> None:
    """In Deleted Items a message is still a draft that Graph would send; its outcome stays unknown."""
    methods: list[str] = []

    def graph(request: httpx2.Request) -> httpx2.Response:
        methods.append(request.method)
        found: dict[str, object] = {"value": []} if "mailFolders" in request.url.path else {"isDraft": True}
        return httpx2.Response(200, json=found)

    strategy = DraftSend(Drafts(mailbox_over(graph)), MESSAGE, poll_pauses=(0.0,))

    assert await strategy.reconcile("our-id", "AAMk1") is None
    assert set(methods) == {"GET"}
