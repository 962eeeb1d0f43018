"""What makes two requests ask for the same mail, and two mails the same for v0.1.0."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from m365_mcp.mail import MailRules, MessageRequest, Reply, ReplyRequest, compose_message, compose_reply

RULES = MailRules(allow_bcc=True, allow_from=True)
FILE = {"name": "a.txt", "content_base64": "aGk="}
IMAGE = {"name": "a.png", "content_base64": "aGk=", "content_type": "image/png", "content_id": "a"}
MESSAGE = MessageRequest(to=["grace@contoso.example"], subject="Hello", body="<p>Hi</p>")
FORWARD = ReplyRequest(kind="forward", original="m1", body="Hi", to=["grace@contoso.example"])

# For each field of a request: values that each make it another mail.
MESSAGE_CHANGES: dict[str, list[Any]] = {
    "to": [["ada@contoso.example"], ["grace@contoso.example", "ada@contoso.example"]],
    "subject": ["Hello!", "hello", "Hello "],
    "body": ["<p>Hi!</p>", "<p>Hi</p> ", "<p>Hi</p><script>x</script>", "<p >Hi</p>"],
    "cc": [["ada@contoso.example"]],
    "bcc": [["ada@contoso.example"]],
    "reply_to": [["ada@contoso.example"]],
    "from_": ["ada@contoso.example"],
    "content_type": ["Markdown"],  # Text is below: it refuses a body of HTML
    "importance": ["high", "low"],
    "attachments": [
        [FILE],
        [FILE, FILE],
        [FILE | {"name": "b.txt"}],
        [FILE | {"content_base64": "aG8="}],
        [FILE | {"content_type": "text/csv"}],
        [IMAGE],
        [IMAGE | {"content_id": "b"}],
        [FILE, IMAGE],
        [IMAGE, FILE],
    ],
    "request_read_receipt": [True],
    "as_written": [True],
    "send_at": [datetime(2027, 1, 15, 9, tzinfo=UTC), datetime(2027, 1, 15, 10, tzinfo=UTC)],
}
MESSAGE_EXCEPTIONS = {
    "expects_files": "an upload has a draft of its own, which is sent once",
    "save_to_sent": "whether the sender keeps a copy is nothing a recipient can see",
}
REPLY_CHANGES: dict[str, list[Any]] = {
    "kind": ["reply", "reply_all"],
    "original": ["m2"],
    "body": ["Ho", "Hi "],
    "content_type": ["Text", "Markdown"],
    "to": [["ada@contoso.example"]],
    "cc": [["ada@contoso.example"]],
    "bcc": [["ada@contoso.example"]],
    "attachments": MESSAGE_CHANGES["attachments"],
    "as_written": [True],
}


def message_fingerprint(**changes: Any) -> str:
    return compose_message(replace(MESSAGE, **changes), RULES).fingerprint


def reply_fingerprint(**changes: Any) -> str:
    return compose_reply(replace(FORWARD, **changes), RULES).fingerprint


def test_every_field_of_a_request_is_covered() -> None:
    """A new field must be in the fingerprint, or on the list of exceptions with a reason."""
    assert {field.name for field in fields(MessageRequest)} == {*MESSAGE_CHANGES, *MESSAGE_EXCEPTIONS}
    assert {field.name for field in fields(ReplyRequest)} == set(REPLY_CHANGES)


@pytest.mark.parametrize("field", MESSAGE_CHANGES)
def test_every_field_of_a_message_makes_another_mail(field: str) -> None:
    """Each value of a field has a fingerprint of its own."""
    found = {message_fingerprint(**{field: value}) for value in MESSAGE_CHANGES[field]}

    assert len(found | {message_fingerprint()}) == 1 + len(MESSAGE_CHANGES[field])


@pytest.mark.parametrize("field", REPLY_CHANGES)
def test_every_field_of_a_reply_makes_another_mail(field: str) -> None:
    """Each value of a field has a fingerprint of its own."""
    found = {reply_fingerprint(**{field: value}) for value in REPLY_CHANGES[field]}

    assert len(found | {reply_fingerprint()}) == 1 + len(REPLY_CHANGES[field])


def test_every_format_makes_another_mail() -> None:
    """An equal text as HTML, as Text and as Markdown is three mails."""
    formats = ("HTML", "Text", "Markdown")

    assert len({message_fingerprint(body="Hi", content_type=content_type) for content_type in formats}) == 3


def test_same_address_in_another_field_makes_another_mail() -> None:
    """The field of an address counts: cc, bcc, reply-to or from."""
    ada = ["ada@contoso.example"]

    found = {message_fingerprint(**{field: ada}) for field in ("cc", "bcc", "reply_to")}

    assert len(found | {message_fingerprint(from_=ada[0])}) == 4
    assert len({reply_fingerprint(**{field: ada}) for field in ("cc", "bcc")}) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"to": ["Grace@CONTOSO.example"]},
        {"to": ["Grace Hopper <grace@contoso.example>"]},
        {"to": ["grace@contoso.example", "GRACE@contoso.example"]},
        {"cc": [], "bcc": [], "attachments": []},
        {"save_to_sent": False},
        {"importance": " NORMAL "},
        {"content_type": "html"},
    ],
)
def test_what_makes_no_other_mail(changes: dict[str, Any]) -> None:
    """Names and case of addresses, repeated entries, save_to_sent, and another spelling of a choice do not count."""
    assert message_fingerprint(**changes) == message_fingerprint()


def test_order_of_recipients_makes_no_other_mail() -> None:
    """Recipients are sorted, for a message as for a forward."""
    there, back = ["a@x.example", "b@x.example"], ["b@x.example", "Bea <a@x.example>"]

    assert message_fingerprint(to=there) == message_fingerprint(to=back)
    assert reply_fingerprint(to=there) == reply_fingerprint(to=back)


def test_file_is_the_same_however_it_is_given() -> None:
    """A media type that follows from the name may be left out, and a content id may be written as an address."""
    assert message_fingerprint(attachments=[FILE]) == message_fingerprint(
        attachments=[FILE | {"content_type": "TEXT/PLAIN"}]
    )
    assert message_fingerprint(attachments=[IMAGE]) == message_fingerprint(
        attachments=[IMAGE | {"content_id": "cid:a", "is_inline": True}]
    )


def test_message_and_reply_never_share_a_fingerprint() -> None:
    """The fingerprints of today, which the next versions must compute as well: change them only on purpose."""
    assert message_fingerprint() == "f91075f2e0862db91cb61006f25afe5086311e3048ec563f1e1f4ac9ac4695e7"
    assert message_fingerprint(as_written=True) == "85b53e9525aa30e075559daffc62ae671a8b77d24c531449a9c30c889517b08d"
    assert reply_fingerprint() == "50caa2f488de33f4f5fb81ea319e136dd2e72d5cc668a8ce1b1e8489358e6901"


def test_fingerprint_does_not_depend_on_the_composed_message() -> None:
    """A change of the composed message or of its warnings does not change the fingerprint."""
    message = compose_message(MESSAGE, RULES)
    other = replace(message, body="<p>Hi, composed by a later version</p>", warnings=("something",))

    assert other.fingerprint == message.fingerprint
    assert other.composed_fingerprint() != message.composed_fingerprint()


def test_fingerprint_of_v0_1_0_is_computed_as_v0_1_0_did() -> None:
    """The values are v0.1.0's own, so that both versions know each other's sends during an upgrade."""
    plain = compose_message(MESSAGE, RULES)
    full = compose_message(
        replace(
            MESSAGE,
            cc=["Ada <ada@contoso.example>"],
            bcc=["bea@contoso.example"],
            reply_to=["Cleo@contoso.example"],
            from_="desk@contoso.example",
            body='**Hi**\n\n![x](cid:a) <script>x</script> "quoted"',
            content_type="Markdown",
            importance="high",
            attachments=[FILE, IMAGE],
            request_read_receipt=True,
            send_at=datetime(2027, 1, 15, 9, tzinfo=UTC),
        ),
        RULES,
    )
    forward: Reply = compose_reply(FORWARD, RULES)

    assert plain.composed_fingerprint() == "37d60238df17bdde3b0131728cd609b5ab1c2e8cce17af352747b87af73e5c2e"
    assert full.composed_fingerprint() == "16f8b71f8ec97e18889c7dcead817aaa4c44a8c5efd05bfb1ca1eca183a57bcc"
    assert forward.composed_fingerprint() == "6df137ae2565d268d5de7f81ef8b1aab4fe8529c3052649b3750194b8560bc42"
