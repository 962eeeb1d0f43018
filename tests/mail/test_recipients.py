"""Recipients: how they are read, counted and compared with the operator's list."""

from typing import Any

import idna
import pytest

from m365_mcp.errors import InvalidArgument, RecipientNotAllowed
from m365_mcp.mail import MAX_RECIPIENTS, MailRules, check_recipients
from tests.mail.composing import build, refused, sentence_of

LOOKS_ALIKE = idna.encode("соntoso.example").decode()  # its first two letters are Cyrillic
CONTOSO = MailRules(allowed_domains=("contoso.example",), allow_bcc=True)


def addresses(*given: str, **fields: Any) -> list[str]:
    return [recipient.address for recipient in build(to=list(given), **fields).to]


def test_several_recipients_keep_their_order() -> None:
    """Recipients stand in the order they were given."""
    assert addresses("b@contoso.example", "a@contoso.example") == ["b@contoso.example", "a@contoso.example"]


def test_copy_recipients_have_their_own_field() -> None:
    """cc goes to ccRecipients; an empty list equals no list."""
    sent = build(cc=["ada@contoso.example"]).as_graph()

    assert sent["message"]["ccRecipients"] == [{"emailAddress": {"address": "ada@contoso.example"}}]
    assert "ccRecipients" not in build(cc=[]).as_graph()["message"]


def test_display_name_is_separate_from_the_address() -> None:
    """`Name <a@b>` is parsed, quotes and commas included."""
    message = build(to=['"Hopper, Grace" <grace@contoso.example>'])

    assert message.as_graph()["message"]["toRecipients"] == [
        {"emailAddress": {"address": "grace@contoso.example", "name": "Hopper, Grace"}}
    ]


@pytest.mark.parametrize(
    "address", ["grace@bücher.example", "grace@xn--bcher-kva.example", "小明@例え.jp", "ada@mail.test"]
)
def test_internationalised_domain_keeps_the_spelling_it_was_given(address: str) -> None:
    """Graph gets the form the caller chose, in letters or in ASCII."""
    assert addresses(address) == [address]


def test_punctuation_in_a_quoted_name_is_part_of_the_name() -> None:
    """A semicolon or a comma between quotes separates nothing."""
    assert build(to=['"Hopper; Grace" <grace@contoso.example>']).to[0].name == "Hopper; Grace"


@pytest.mark.parametrize(
    "address",
    [
        "grace",
        "@contoso.example",
        "grace@",
        "grace@@contoso.example",
        "gra ce@contoso.example",
        "grace@contoso..example",
        "grace@contoso.example..",
        "",
        "   ",
        "Grace <grace@contoso.example",
        "Grace grace@contoso.example>",
        "<>",
        "grace@contoso.example, eve@example.com",
        "grace@contoso.example;eve@example.com",
        "grace@contoso.example eve@example.com",
        "Grace <grace@contoso.example>, Eve <eve@example.com>",
        "grace@contoso.example\r\nBcc: eve@example.com",
        "grace@contoso.example\r\nRCPT TO:<eve@example.com>",
        "Grace\n <grace@contoso.example>",
        "grace@contoso.example\x00",
        "grace@contoso.example\u2028",
        "grace@contoso\u200b.example",
        "\u202egrace@contoso.example",
    ],
)
@pytest.mark.parametrize("field", ["to", "cc", "bcc", "reply_to"])
def test_g2_entry_that_is_not_exactly_one_address_is_refused(field: str, address: str) -> None:
    """An entry that is not one address is refused; the error names the field and does not repeat the address."""
    with refused(InvalidArgument) as caught:
        build(MailRules(allow_bcc=True), **{field: ["ada@contoso.example", address]})

    assert f"'{field}' entry 2" in caught.value.sentence
    assert len(address.strip()) < 3 or address not in caught.value.explain()


@pytest.mark.parametrize(
    "address",
    [
        '"boss@contoso.example" <eve@example.com>',
        "boss@contoso.example <eve@example.com>",
        "boss＠contoso.example <eve@example.com>",
        "=?utf-8?q?boss=40contoso.example?= <eve@example.com>",
        f"{'a' * 300} <eve@example.com>",
    ],
)
def test_g3_display_name_that_shows_another_address_is_refused(address: str) -> None:
    """A display name holds no address in any disguise, and its length is limited."""
    with refused(InvalidArgument, match="'to' entry 1"):
        build(to=[address])


def test_g3_operators_list_checks_the_address_and_not_the_name() -> None:
    """A listed domain in the display name does not allow the address."""
    with pytest.raises(RecipientNotAllowed):
        build(CONTOSO, to=["contoso.example <eve@example.com>"])


@pytest.mark.parametrize("address", ["bob@соntoso.example", f"bob@{LOOKS_ALIKE}", "bob@contoso.еxample"])
def test_g4_domain_that_only_looks_alike_is_another_one(address: str) -> None:
    """Cyrillic letters make an A-label of their own, whether spelled out or not."""
    with pytest.raises(RecipientNotAllowed):
        build(CONTOSO, to=[address])


@pytest.mark.parametrize("allowed", ["bücher.example", "xn--bcher-kva.example", "BÜCHER.example.", "ｂücher.example"])
@pytest.mark.parametrize("address", ["a@bücher.example", "a@xn--bcher-kva.example", "a@XN--BCHER-KVA.example"])
def test_g4_domain_is_the_same_in_unicode_and_in_ascii(allowed: str, address: str) -> None:
    """The operator's list and the address may each be written either way."""
    assert build(MailRules(allowed_domains=(allowed,)), to=[address]).to


def test_g4_address_with_an_at_in_quotes_is_compared_by_its_domain() -> None:
    """Only what follows the last @ is the domain."""
    assert len(addresses('"a@b"@bücher.example', '"a@b"@xn--bcher-kva.example')) == 1


@pytest.mark.parametrize(
    "domain", ["contoso.example.evil.com", "evilcontoso.example", "sub.contoso.example", "contoso.exampl", "example"]
)
def test_g5_domain_must_be_the_listed_one_and_not_end_or_begin_like_it(domain: str) -> None:
    """Only a listed domain is allowed, none above, below or beside it."""
    with refused(InvalidArgument):
        build(CONTOSO, to=[f"bob@{domain}"])


@pytest.mark.parametrize(
    "address",
    [
        "Bob@CONTOSO.example",
        "Bob@contoso.example.",
        "Bob@contoso.example\u00a0",
        "\u00a0 Bob@Contoso.Example.",
        "Bob <Bob@CONTOSO.example.>",
        "Bob <Bob@contoso.example\u00a0>",
    ],
)
def test_g6_case_trailing_dot_and_space_make_no_other_domain(address: str) -> None:
    """One normal form goes to Graph and is compared with the list."""
    assert build(CONTOSO, to=[address]).to[0].address == "Bob@contoso.example"


@pytest.mark.parametrize("field", ["to", "cc", "bcc", "reply_to"])
def test_g7_operators_list_holds_for_every_field(field: str) -> None:
    """A recipient outside the domains is refused in every field; the error names the entry and not the address."""
    with pytest.raises(RecipientNotAllowed) as caught:
        build(CONTOSO, **{field: ["ada@contoso.example", "eve@example.com"]})

    where = f"'{field}' entry 2"
    assert caught.value.sentence == f"1 of the addresses is outside the domains that this server may send to: {where}."
    assert "M365_SEND_ALLOWED_DOMAINS" in caught.value.advice
    assert "eve" not in caught.value.explain()
    assert caught.value.status == 403


def test_g7_all_recipients_outside_are_counted() -> None:
    """The error names up to five entries and counts the others."""
    with pytest.raises(
        RecipientNotAllowed, match=r"^recipient_not_allowed: 7 of the addresses are .* entry 5 and 2 more\. "
    ):
        build(CONTOSO, to=[f"p{n}@example.com" for n in range(7)])


def test_g8_empty_list_allows_no_recipient() -> None:
    """An empty list allows no mail; no list allows every domain."""
    with pytest.raises(RecipientNotAllowed):
        build(MailRules(allowed_domains=()))

    assert build(MailRules(allowed_domains=None)).to


@pytest.mark.parametrize(
    "group", ["undisclosed:;", "undisclosed-recipients:;", "Team: a@contoso.example;", "a:b@c.de;"]
)
def test_g9_group_syntax_is_refused(group: str) -> None:
    """A group (RFC 5322 section 3.4) is not one address."""
    with refused(InvalidArgument, match="'to' entry 1"):
        build(to=[group])


def test_g10_more_recipients_than_allowed_are_refused() -> None:
    """The operator's number passes, one more does not; to, cc and bcc count together."""
    recipients = [f"person{number}@contoso.example" for number in range(21)]
    rules = MailRules(max_recipients=20, allow_bcc=True)

    assert len(build(rules, to=recipients[:20]).to) == 20
    with refused(InvalidArgument) as caught:
        build(rules, to=recipients[:19], cc=recipients[19:20], bcc=recipients[20:])
    assert sentence_of(caught.value) == "There are 21 recipients, and one message may have 20."


def test_g10_exchanges_limit_holds_without_another() -> None:
    """500 recipients pass, 501 do not."""
    recipients = [f"person{number}@contoso.example" for number in range(MAX_RECIPIENTS + 1)]

    assert len(build(to=recipients[:-1]).to) == MAX_RECIPIENTS
    with refused(InvalidArgument, match="501"):
        build(to=recipients)


def test_g10_repeated_recipients_get_the_mail_once() -> None:
    """The first entry of an address counts, in any spelling."""
    message = build(
        MailRules(allow_bcc=True, max_recipients=3),
        to=["b@contoso.example", "a@contoso.example", "B <B@CONTOSO.example>"],
        cc=["c@contoso.example", "a@contoso.example."],
        bcc=["c@contoso.example"],
    )

    assert [person.address for person in message.to] == ["b@contoso.example", "a@contoso.example"]
    assert [person.address for person in message.cc] == ["c@contoso.example"]
    assert message.bcc == ()
    assert message.warnings == ("3 recipients were named more than once; each gets the mail once.",)


@pytest.mark.parametrize(
    "address",
    [
        f"{'a' * 65}@contoso.example",
        f"{'a' * 300}@contoso.example",
        f"{'é' * 33}@contoso.example",
        f"{'a' * 60}@{'b' * 60}.{'c' * 60}.{'d' * 60}.{'e' * 20}",
    ],
)
def test_g13_address_longer_than_smtp_allows_is_refused(address: str) -> None:
    """64 octets before the @ and 254 in all (RFC 5321) leave little room for data."""
    with refused(InvalidArgument, match="'to' entry 1 is not a mail address"):
        build(to=[address])


def test_g13_longest_legal_address_passes() -> None:
    """The limit itself is allowed."""
    assert addresses(f"{'a' * 64}@contoso.example") == [f"{'a' * 64}@contoso.example"]


def test_one_repeated_recipient_is_said_in_the_singular() -> None:
    """The note counts."""
    message = build(to=["a@contoso.example", "A@contoso.example"])

    assert message.warnings == ("1 recipient was named more than once; each gets the mail once.",)


def test_no_recipient_is_refused() -> None:
    """A message without `to` is refused, also with an address in cc."""
    with refused(InvalidArgument) as caught:
        build(to=[], cc=["ada@contoso.example"])
    assert sentence_of(caught.value) == "There is no recipient."


def test_draft_without_a_recipient_is_refused() -> None:
    """The advice is about Outlook, because the recipients of a draft are set there."""
    with refused(InvalidArgument) as caught:
        check_recipients(MailRules(), to=())

    assert sentence_of(caught.value) == "There is no recipient."
    assert "Outlook" in caught.value.advice


def test_one_address_alone_is_a_list_of_one() -> None:
    """An argument that is one text holds one recipient."""
    assert build(to="ada@contoso.example").to == build(to=["ada@contoso.example"]).to


def test_answers_may_go_to_a_recipient() -> None:
    """An address in reply_to and in `to` is not repeated."""
    assert build(reply_to=["grace@contoso.example"]).warnings == ()


@pytest.mark.parametrize(
    ("change", "setting"),
    [({"bcc": ["ada@contoso.example"]}, "M365_SEND_BCC"), ({"from_": "ada@contoso.example"}, "M365_SEND_FROM")],
)
def test_g21_blind_copies_and_other_senders_are_refused_unless_switched_on(change: Any, setting: str) -> None:
    """Both are off by default, and the advice names the setting."""
    with refused(InvalidArgument) as caught:
        build(**change)

    assert setting in caught.value.advice
    assert " is switched off on this server" in sentence_of(caught.value, "'")
    assert "ada" not in caught.value.explain()
    assert build(MailRules(allow_bcc=True, allow_from=True), **change).as_graph()


def test_g21_sender_is_one_address() -> None:
    """The sender is read like a recipient."""
    with refused(InvalidArgument, match="'from_' holds more than one"):
        build(MailRules(allow_from=True), from_="a@contoso.example, b@contoso.example")


def test_empty_values_equal_no_values() -> None:
    """Empty lists and an empty sender equal none, with every setting."""
    plain = build().as_graph()

    assert build(cc=[], bcc=[], reply_to=[], from_=" ", attachments=[]).as_graph() == plain
