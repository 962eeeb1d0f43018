"""What became of a send without a clear answer, by where its draft is found."""

from __future__ import annotations

import httpx2
import pytest

from m365_mcp.graph.drafts import Drafts
from m365_mcp.mail import MailRules, MessageRequest, compose_message
from m365_mcp.sending.strategies import DeferredSend, DirectSend, DraftSend, ExistingDraftSend
from tests.graph.mailboxes import mailbox_over

MESSAGE = compose_message(MessageRequest(to=["grace@contoso.example"], subject="Hi", body="x"), MailRules())


def unasked(request: httpx2.Request) -> httpx2.Response:
    raise AssertionError(f"Graph was asked: {request.method} {request.url}")


@pytest.mark.parametrize("kind", [DraftSend, DeferredSend])
async def test_draft_that_was_never_made_was_not_sent(kind: type[DraftSend]) -> None:
    """Without a draft in the ledger Graph was never asked to send, so the message may be sent again."""
    strategy = kind(Drafts(mailbox_over(unasked)), MESSAGE, looks=(0.0,))

    assert await strategy.reconcile("our-id", None) is False


async def test_existing_draft_that_was_never_offered_was_not_sent() -> None:
    """A call that died before it noted the draft has sent nothing."""
    strategy = ExistingDraftSend(Drafts(mailbox_over(unasked)), "AAMk1", "our-id", is_shown=True)

    assert await strategy.reconcile("our-id", None) is False


async def test_direct_send_stays_unclear() -> None:
    """With `Mail.Send` alone nothing can be looked up."""
    assert await DirectSend(mailbox_over(unasked), MESSAGE).reconcile("our-id", None) is None
