"""Composing the caller's part of a reply, and the rules for the recipients that the mailbox chose."""

from dataclasses import replace

import pytest

from m365_mcp.errors import InvalidArgument, RecipientNotAllowed
from m365_mcp.mail import MailRules, Recipient, ReplyRequest, check_recipients, compose_reply
from m365_mcp.mail.report import Weight
from tests.mail.composing import refused

GRACE = Recipient("grace@contoso.example")


def test_forward_needs_a_recipient_and_bcc_needs_the_operator() -> None:
    """A forward without a recipient, and blind copies while they are off, are refused."""
    with refused(InvalidArgument, match="no recipient"):
        compose_reply(ReplyRequest(kind="forward", original="m1", body="Hi"), MailRules())
    with refused(InvalidArgument, match="M365_SEND_BCC"):
        compose_reply(
            ReplyRequest(kind="forward", original="m1", body="Hi", to=["a@b.example"], bcc=["c@d.example"]), MailRules()
        )


def test_recipients_that_the_mailbox_chose_are_checked() -> None:
    """Domains, number and blind copies count for a reply as for any mail; the address is not repeated."""
    with pytest.raises(RecipientNotAllowed, match="'cc' entry 1") as caught:
        check_recipients(MailRules(allowed_domains=("contoso.example",)), to=[GRACE], cc=[Recipient("eve@example.com")])
    with refused(InvalidArgument, match="no recipient"):
        check_recipients(MailRules(), to=[], cc=[])
    with refused(InvalidArgument, match="2 recipients"):
        check_recipients(MailRules(max_recipients=1), to=[GRACE, Recipient("ada@contoso.example")])
    with refused(InvalidArgument, match="M365_SEND_BCC"):
        check_recipients(MailRules(), to=[GRACE], bcc=[Recipient("ada@contoso.example")])
    assert "eve@" not in str(caught.value)


def test_h18_reply_to_addresses_of_a_draft_are_checked() -> None:
    """H18: a reply-to address outside the allowed domains is refused, and it is no recipient."""
    rules = MailRules(allowed_domains=("contoso.example",), max_recipients=1)

    with pytest.raises(RecipientNotAllowed, match="'reply_to' entry 1"):
        check_recipients(rules, to=[GRACE], reply_to=[Recipient("eve@example.com")])
    with refused(InvalidArgument, match="no recipient"):
        check_recipients(rules, to=[], reply_to=[GRACE])
    check_recipients(rules, to=[GRACE], reply_to=[GRACE])


def test_k12_picture_of_the_quote_may_stand_in_the_text() -> None:
    """K12: a cid: that the quote has is fine; one that nobody has is refused, or reported if it is meant."""
    request = ReplyRequest(kind="reply", original="m1", body='<p><img src="cid:logo">x</p>')
    reply = compose_reply(request, MailRules())
    meant = compose_reply(replace(request, as_written=True), MailRules())

    assert reply.notes == ()
    assert compose_reply(replace(request, body="**a** <b>b", as_written=True), MailRules()).body.notes == ()
    assert compose_reply(replace(request, body="- a\n- b"), MailRules()).body.notes
    assert compose_reply(replace(request, body="- a\n- b", as_written=True), MailRules()).body.content == "- a\n- b"
    assert reply.check_images(frozenset({"logo", "other"})) == ()
    with refused(InvalidArgument, match="'body' shows an image .* With as_written=true"):
        reply.check_images(frozenset({"other"}))
    assert [note.weight for note in meant.check_images(frozenset())] == [Weight.LOST]
