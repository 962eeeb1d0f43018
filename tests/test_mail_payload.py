"""Messages: what Graph is asked for, subject, size and identity."""

import json
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from m365_mcp.errors import InvalidArgument, MessageTooLarge
from m365_mcp.mail import MAX_REQUEST_BYTES, MailRules
from tests.mail.composing import build, refused
from tests.yardstick import idle_core_seconds

EVERYTHING = MailRules(allow_bcc=True, allow_from=True)


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


def test_payload_of_a_message_with_everything() -> None:
    """Every argument stands where Graph's message resource has it."""
    message = build(
        EVERYTHING,
        cc=["Ada <ada@contoso.example>"],
        bcc=["linus@contoso.example"],
        reply_to=["team@contoso.example"],
        from_="Sales <sales@contoso.example>",
        content_type="text",
        body="Hi",
        importance="High",
        attachments=[{"name": "a.txt", "content_base64": "aGk="}],
        request_read_receipt=True,
        save_to_sent=False,
        send_at=datetime(2027, 1, 15, 10, 30, 5, tzinfo=timezone(timedelta(hours=1))),
    )

    assert message.as_graph("the-id") == {
        "message": {
            "subject": "Hello",
            "body": {"contentType": "Text", "content": "Hi"},
            "toRecipients": [{"emailAddress": {"address": "grace@contoso.example"}}],
            "ccRecipients": [{"emailAddress": {"address": "ada@contoso.example", "name": "Ada"}}],
            "bccRecipients": [{"emailAddress": {"address": "linus@contoso.example"}}],
            "replyTo": [{"emailAddress": {"address": "team@contoso.example"}}],
            "from": {"emailAddress": {"address": "sales@contoso.example", "name": "Sales"}},
            "importance": "high",
            "isReadReceiptRequested": True,
            "attachments": [
                {
                    "@odata.type": "#microsoft.graph.fileAttachment",
                    "name": "a.txt",
                    "contentType": "text/plain",
                    "contentBytes": "aGk=",
                }
            ],
            "internetMessageHeaders": [{"name": "x-m365-mcp-id", "value": "the-id"}],
            "singleValueExtendedProperties": [{"id": "SystemTime 0x3FEF", "value": "2027-01-15T09:30:05Z"}],
        },
        "saveToSentItems": False,
    }


def test_draft_is_the_message_alone() -> None:
    """A draft has no saveToSentItems, and everything else."""
    message = build(attachments=[{"name": "a.txt", "content_base64": "aGk="}])

    assert message.draft_as_graph("id") == message.as_graph("id")["message"]


@pytest.mark.parametrize("given_type", ["Text", "text", " TEXT "])
def test_plain_text_is_labelled_as_such(given_type: str) -> None:
    """Content types are understood in any case and written as Graph spells them."""
    assert build(body="Hi", content_type=given_type).as_graph()["message"]["body"]["contentType"] == "Text"


@pytest.mark.parametrize("content_type", ["Word", "", "text/html", "html5"])
def test_unknown_content_type_is_refused(content_type: str) -> None:
    """HTML, Text and Markdown are known, and the message says so."""
    with refused(InvalidArgument) as caught:
        build(content_type=content_type)

    assert caught.value.sentence == "'content_type' is none of HTML, Text and Markdown."
    assert caught.value.advice == 'Use "HTML", "Text" or "Markdown".'


def test_unknown_importance_is_refused() -> None:
    """Graph knows three degrees, and the message says so."""
    with refused(InvalidArgument) as caught:
        build(importance="urgent")

    assert caught.value.sentence == "'importance' is none of low, normal and high."
    assert caught.value.advice == 'Use "low", "normal" or "high".'


def test_unicode_survives_everywhere() -> None:
    """Subject, body, name, mailbox and domain may be in any script."""
    message = build(to=["王小明 <小明@例え.jp>"], subject="會議記錄 ✉ Grüße", body="<p>こんにちは 👋🏽</p>")

    assert "✉".encode() in message.encode()
    assert json.loads(message.encode("the-id")) == message.as_graph("the-id")
    sent = json.loads(message.encode())
    assert sent["message"]["subject"] == "會議記錄 ✉ Grüße"
    assert sent["message"]["body"]["content"] == "<p>こんにちは 👋🏽</p>"
    assert sent["message"]["toRecipients"][0]["emailAddress"] == {"address": "小明@例え.jp", "name": "王小明"}


@pytest.mark.parametrize(
    "subject", ["Hi\r\nBcc: eve@example.com", "Hi\nthere", "Hi\x00", "Hi\u2028", "Hi\u2029", "\u202eHi", "Hi\x1b[0m"]
)
def test_g1_control_characters_in_the_subject_are_refused(subject: str) -> None:
    """What could start a new header or turn the reading direction is refused, and the field is named."""
    with refused(InvalidArgument, match="'subject'"):
        build(subject=subject)


def test_subject_has_exchanges_length_at_most() -> None:
    """255 characters pass, 256 do not."""
    assert build(subject="é" * 255).subject == "é" * 255
    with refused(InvalidArgument, match="256 characters"):
        build(subject="é" * 256)


@pytest.mark.parametrize("content_type", ["HTML", "Text", "Markdown"])
def test_body_that_no_mail_can_carry_is_refused(content_type: str) -> None:
    """NUL and half a surrogate pair are refused, in every format."""
    for body in ("a\x00b", "a\ud800b"):
        with refused(InvalidArgument, match="'body'"):
            build(body=body, content_type=content_type)


def test_line_breaks_and_tabs_are_a_bodys_right() -> None:
    """Plain text is sent as it came."""
    text = "one\r\n\ttwo <b>& three</b>"

    assert build(body=text, content_type="Text").body == text


def test_message_over_graphs_limit_is_refused() -> None:
    """The limit is on bytes, not characters, and the size is told."""
    fits = "é" * (MAX_REQUEST_BYTES // 2 - 500)

    assert build(body=fits).body == fits
    with pytest.raises(MessageTooLarge, match="4,000,000"):
        build(body="é" * (MAX_REQUEST_BYTES // 2))


def test_message_that_fits_still_fits_with_its_id() -> None:
    """What was accepted cannot become too large by the header this server adds."""
    room = MAX_REQUEST_BYTES - len(build(body="", content_type="Text", as_written=True).encode("i" * 128))
    message = build(body="x" * room, content_type="Text")

    assert len(message.encode("i" * 64)) <= MAX_REQUEST_BYTES
    with pytest.raises(MessageTooLarge):
        build(body="x" * (room + 1), content_type="Text")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"subject": "x" * 1_000_000}, InvalidArgument),
        ({"body": "x" * 10_000_000}, MessageTooLarge),
        ({"body": "<b>" * 3_333_333}, MessageTooLarge),
        ({"body": "<div>" * 700_000}, InvalidArgument),
        ({"body": "<b>x<p>" * 500_000}, InvalidArgument),
        ({"body": "[" * 10_000_000, "content_type": "Markdown"}, MessageTooLarge),
        ({"body": ">" * 100_000, "content_type": "Markdown"}, InvalidArgument),
        ({"to": ["a@contoso.example"] * 100_000}, InvalidArgument),
        ({"to": ["a" * 10_000_000]}, InvalidArgument),
        ({"attachments": [{"name": "a", "content_base64": "A" * 10_000_000}]}, MessageTooLarge),
        ({"attachments": [{"name": "a" * 10_000_000, "content_base64": ""}]}, InvalidArgument),
        ({"attachments": [{"name": "a", "content_base64": ""}] * 100_000}, InvalidArgument),
    ],
    ids=list("abcdefghijkl"[:12]),
)
def test_g25_huge_input_is_refused_fast(change: dict[str, Any], error: type[Exception]) -> None:
    """Nothing huge is looked at for long, whatever the field."""

    def refuse() -> None:
        with pytest.raises(error):
            build(**change)

    assert idle_core_seconds(refuse, enough=0.5) < 0.5


@pytest.mark.parametrize(
    "body",
    [
        '<p title="' + "&a" * 900_000 + '">',
        "<a x='" * 600_000,
        "<!" * 1_500_000,
        "</" * 1_500_000,
        "<p " + " ".join(f"a{n}" for n in range(300_000)) + ">",
        "<p style='" + "a:b;" * 500_000 + "'>",
        "<p style='color:" + "(" * 3_000_000 + "'>",
        "".join(f"<font size={n}>" for n in range(150)) + "<p>x" * 100_000,
        "<script>" * 400_000,
    ],
    ids=list("abcdefghijkl"[:9]),
)
def test_g25_hostile_html_takes_no_longer_than_its_size(body: str) -> None:
    """HTML that makes careless readers take the square of its size is cleaned or refused soon."""

    def compose() -> None:
        with suppress(InvalidArgument):
            build(body=body)

    assert idle_core_seconds(compose, enough=2) < 2
