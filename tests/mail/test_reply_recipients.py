"""To whom a reply goes: to the writer, and for one's own mail to those who got it; never to oneself alone."""

from __future__ import annotations

import pytest

from m365_mcp.errors import InvalidArgument
from m365_mcp.mail import Original, Recipient, ReplyRecipients, choose_recipients
from m365_mcp.mail.report import Weight
from tests.mail.composing import refused

ADA, GRACE = Recipient("Ada@contoso.example", "Ada"), Recipient("grace@contoso.example", "Grace")
MARIE, LINUS = Recipient("marie@fabrikam.example"), Recipient("linus@contoso.example")
ALIAS, TEAM = Recipient("a.lovelace@contoso.example"), Recipient("team@contoso.example")
OWN = frozenset({"ada@contoso.example", "a.lovelace@contoso.example"})


def original(*senders: Recipient, to: tuple[Recipient, ...], is_sent: bool = False) -> Original:
    return Original(senders, to, (LINUS,), is_sent)


@pytest.mark.parametrize("to_all", [False, True])
@pytest.mark.parametrize(
    "mine",
    [
        original(ADA, to=(GRACE, MARIE), is_sent=True),
        original(ADA, to=(GRACE, MARIE)),
        original(ALIAS, to=(GRACE, MARIE)),
        original(TEAM, ADA, to=(GRACE, MARIE)),
        original(TEAM, to=(GRACE, MARIE), is_sent=True),
        original(TEAM, to=(TEAM, GRACE, ADA, MARIE, GRACE), is_sent=True),
    ],
    ids=[
        "sent",
        "received copy",
        "from an alias",
        "on behalf of a shared mailbox",
        "as a shared mailbox",
        "to oneself",
    ],
)
def test_k12_reply_to_own_mail_goes_to_its_first_recipients(mine: Original, to_all: bool) -> None:
    """K12: whoever sent it for the person, the reply goes to the recipients without the person, and says so."""
    chosen = choose_recipients(mine, ReplyRecipients((ADA,)), OWN, to_all=to_all)

    assert chosen.to == (GRACE, MARIE)
    assert chosen.cc == ((LINUS,) if to_all else ())
    assert [note.weight for note in chosen.notes] == [Weight.DETAIL]
    assert chosen.notes[0].sentence.startswith("The message is the person's own")


def test_k12_reply_to_others_goes_where_graph_says() -> None:
    """K12: a reply to another's mail keeps what the mailbox chose, and says nothing."""
    proposed = ReplyRecipients((MARIE, ADA))

    assert choose_recipients(original(GRACE, to=(ADA,)), proposed, OWN, to_all=False) == proposed
    assert proposed == ReplyRecipients((MARIE, ADA), (), ())


def test_k12_reply_to_all_leaves_out_every_address_of_the_person() -> None:
    """K12: an alias in the recipients of a reply to all is the person, too."""
    proposed = ReplyRecipients((GRACE, ALIAS), (LINUS, ADA))

    chosen = choose_recipients(original(GRACE, to=(ALIAS,)), proposed, OWN, to_all=True)

    assert chosen == ReplyRecipients((GRACE,), (LINUS,))


@pytest.mark.parametrize(
    ("to", "proposed", "sender"),
    [((ADA,), (ADA,), ADA), ((), (ADA,), ADA), ((ADA,), (ALIAS,), GRACE)],
    ids=["a note to oneself", "blind copies only", "answers to another's mail come back to the person"],
)
def test_k12_no_reply_goes_to_oneself_alone(
    to: tuple[Recipient, ...], proposed: tuple[Recipient, ...], sender: Recipient
) -> None:
    """K12: if nobody else is left, the reply is refused with advice."""
    with refused(InvalidArgument, match="invalid_argument: Nobody but the person would get this reply") as caught:
        choose_recipients(original(sender, to=to), ReplyRecipients(proposed), OWN, to_all=False)

    assert "reply_all=true" in caught.value.advice
    assert "Write a new mail" in caught.value.advice
