"""Messages: what Graph is asked for, and what is refused before Graph is asked at all."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m365_mcp.errors import InvalidArgument, MessageTooLarge
from m365_mcp.mail import MAX_RECIPIENTS, MAX_REQUEST_BYTES, Message, build_message


def build(**changes: Any) -> Message:
    arguments: dict[str, Any] = {
        "to": ["grace@contoso.example"],
        "subject": "Hello",
        "body": "<p>Hi</p>",
        "cc": None,
        "content_type": "HTML",
        "save_to_sent": True,
    }
    return build_message(**{**arguments, **changes})


def test_payload_has_exactly_what_was_asked_for() -> None:
    """A plain call becomes Graph's documented JSON and nothing more."""
    assert build().as_graph() == {
        "message": {
            "subject": "Hello",
            "body": {"contentType": "HTML", "content": "<p>Hi</p>"},
            "toRecipients": [{"emailAddress": {"address": "grace@contoso.example"}}],
        },
        "saveToSentItems": True,
    }


def test_several_recipients_keep_their_order() -> None:
    """Recipients stand in the order they were given."""
    sent = build(to=["b@contoso.example", "a@contoso.example"]).as_graph()

    addresses = [recipient["emailAddress"]["address"] for recipient in sent["message"]["toRecipients"]]
    assert addresses == ["b@contoso.example", "a@contoso.example"]


def test_copy_recipients_stand_apart() -> None:
    """cc goes to ccRecipients; an empty list is like none."""
    sent = build(cc=["ada@contoso.example"]).as_graph()

    assert sent["message"]["ccRecipients"] == [{"emailAddress": {"address": "ada@contoso.example"}}]
    assert "ccRecipients" not in build(cc=[]).as_graph()["message"]


@pytest.mark.parametrize("given_type", ["Text", "text", " TEXT "])
def test_plain_text_is_labelled_as_such(given_type: str) -> None:
    """Content types are understood in any case and written as Graph spells them."""
    assert build(content_type=given_type).as_graph()["message"]["body"]["contentType"] == "Text"


def test_copy_in_sent_items_can_be_declined() -> None:
    """save_to_sent=False becomes saveToSentItems false."""
    assert build(save_to_sent=False).as_graph()["saveToSentItems"] is False


def test_display_name_is_kept_apart_from_the_address() -> None:
    """`Name <a@b>` is understood, quotes and commas included."""
    message = build(to=['"Hopper, Grace" <grace@contoso.example>'])

    assert message.as_graph()["message"]["toRecipients"] == [
        {"emailAddress": {"address": "grace@contoso.example", "name": "Hopper, Grace"}}
    ]


def test_unicode_survives_everywhere() -> None:
    """Subject, body, name, mailbox and domain may be in any script."""
    message = build(to=["王小明 <小明@例え.jp>"], subject="會議記錄 ✉ Grüße", body="<p>こんにちは 👋🏽</p>")

    sent = json.loads(message.encode())
    assert sent["message"]["subject"] == "會議記錄 ✉ Grüße"
    assert sent["message"]["body"]["content"] == "<p>こんにちは 👋🏽</p>"
    assert sent["message"]["toRecipients"][0]["emailAddress"] == {"address": "小明@例え.jp", "name": "王小明"}


@pytest.mark.parametrize("address", ["grace@bücher.example", "grace@xn--bcher-kva.example", "小明@例え.jp"])
def test_internationalised_domain_keeps_the_spelling_it_was_given(address: str) -> None:
    """Graph gets the form the caller chose, in letters or in ASCII."""
    assert build(to=[address]).to[0].address == address


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
        "",
        "   ",
        "Grace <grace@contoso.example",
        "Grace grace@contoso.example>",
        "<>",
        "undisclosed-recipients:;",
        "grace@contoso.example, eve@example.com",
        "grace@contoso.example;eve@example.com",
        "grace@contoso.example eve@example.com",
        "Grace <grace@contoso.example>, Eve <eve@example.com>",
        "grace@contoso.example\r\nBcc: eve@example.com",
        "Grace\n <grace@contoso.example>",
        "grace@contoso.example\x00",
        "grace@contoso.example\u2028",
        "\u202egrace@contoso.example",
        '"boss@contoso.example" <eve@example.com>',
        "boss@contoso.example <eve@example.com>",
        "boss＠contoso.example <eve@example.com>",
        "=?utf-8?q?boss=40contoso.example?= <eve@example.com>",
        f"{'a' * 300} <eve@example.com>",
        f"{'a' * 65}@contoso.example",
    ],
)
@pytest.mark.parametrize("field", ["to", "cc"])
def test_address_that_is_not_exactly_one_is_refused(field: str, address: str) -> None:
    """Whatever is not one readable address is refused; the field is named, the address is not repeated."""
    entries = ["ada@contoso.example", address]

    with pytest.raises(InvalidArgument) as caught:
        build(**{field: entries})

    assert f"'{field}' entry 2" in caught.value.sentence
    assert len(address.strip()) < 3 or address not in caught.value.explain()


def test_no_recipient_is_refused() -> None:
    """A message to nobody is refused, also when cc names somebody."""
    with pytest.raises(InvalidArgument, match="no recipient"):
        build(to=[], cc=["ada@contoso.example"])


@pytest.mark.parametrize(
    "subject", ["Hi\r\nBcc: eve@example.com", "Hi\nthere", "Hi\x00", "Hi\u2029", "\u202eHi", "Hi\x1b[0m"]
)
def test_control_characters_in_the_subject_are_refused(subject: str) -> None:
    """What could start a new header or turn the reading direction is refused."""
    with pytest.raises(InvalidArgument, match="'subject'"):
        build(subject=subject)


def test_body_that_no_mail_can_carry_is_refused() -> None:
    """NUL and half a surrogate pair are refused; line breaks and tabs are a body's right."""
    with pytest.raises(InvalidArgument, match="'body'"):
        build(body="a\x00b")
    with pytest.raises(InvalidArgument, match="'body'"):
        build(body="a\ud800b")

    assert build(body="one\r\n\ttwo").body == "one\r\n\ttwo"


@pytest.mark.parametrize("content_type", ["Markdown", "", "text/html", "html5"])
def test_unknown_content_type_is_refused(content_type: str) -> None:
    """Only HTML and Text are known, and the message says so."""
    with pytest.raises(InvalidArgument) as caught:
        build(content_type=content_type)

    assert '"HTML" or "Text"' in caught.value.advice


def test_more_recipients_than_exchange_takes_are_refused() -> None:
    """500 recipients pass, 501 do not, to and cc counted together."""
    people = [f"person{number}@contoso.example" for number in range(MAX_RECIPIENTS)]

    assert len(build(to=people).to) == MAX_RECIPIENTS
    with pytest.raises(InvalidArgument, match="501"):
        build(to=people, cc=["ada@contoso.example"])


def test_message_over_graphs_limit_is_refused() -> None:
    """The limit is on bytes, not characters, and the size is told."""
    fits = "é" * (MAX_REQUEST_BYTES // 2 - 500)

    assert build(body=fits).body == fits
    with pytest.raises(MessageTooLarge, match="4,000,000"):
        build(body="é" * (MAX_REQUEST_BYTES // 2))


@given(
    subject=st.text(st.characters(exclude_categories=["Cc", "Zl", "Zp", "Cs", "Cf"])),
    body=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")),
    cc=st.lists(st.emails(), max_size=3),
    save=st.booleans(),
)
def test_any_message_reaches_graph_unchanged(subject: str, body: str, cc: list[str], save: bool) -> None:
    """Whatever text a message has, the bytes Graph gets decode to exactly that text."""
    message = build(subject=subject, body=body, save_to_sent=save)

    sent = json.loads(message.encode())
    assert sent["message"]["subject"] == subject
    assert sent["message"]["body"]["content"] == body
    assert sent["saveToSentItems"] is save
    assert set(sent["message"]) == {"subject", "body", "toRecipients"}
