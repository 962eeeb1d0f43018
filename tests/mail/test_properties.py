"""Graph gets exactly what the request asks for."""

import base64
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from m365_mcp.mail import MailRules, MessageRequest, compose_message

RULES = MailRules(allow_bcc=True, allow_from=True)
LINES = st.text(st.characters(exclude_categories=["Cc", "Zl", "Zp", "Cs", "Cf"]), max_size=60)
BODIES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=300)
ADDRESSES = st.builds("{}@{}.example".format, st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.sampled_from("abc"))
NAMES = st.text("abc ÄÖ王", max_size=8).map(str.strip)
PEOPLE = st.lists(st.tuples(ADDRESSES, NAMES), max_size=4)
FILES = st.fixed_dictionaries(
    {"name": st.from_regex(r"[a-z]{1,9}\.pdf", fullmatch=True), "content": st.binary(max_size=40).map(b"%PDF".__add__)}
)
REQUESTS = st.fixed_dictionaries(
    {
        "to": PEOPLE.filter(bool),
        "cc": PEOPLE,
        "bcc": PEOPLE,
        "reply_to": PEOPLE,
        "from_": st.none() | ADDRESSES,
        "subject": LINES,
        "body": BODIES,
        "importance": st.sampled_from(["low", "normal", "high"]),
        "attachments": st.lists(FILES, max_size=3),
        "request_read_receipt": st.booleans(),
        "save_to_sent": st.booleans(),
    }
)


def _write(address: str, name: str) -> str:
    return f'"{name}" <{address}>' if name else address


def _request(asked: dict[str, Any]) -> MessageRequest:
    recipients = {field: [_write(*person) for person in asked[field]] for field in ("to", "cc", "bcc", "reply_to")}
    files = [
        {"name": file["name"], "content_base64": base64.b64encode(file["content"]).decode()}
        for file in asked["attachments"]
    ]
    return MessageRequest(**{**asked, **recipients, "attachments": files, "content_type": "Text", "as_written": True})


def _expected(asked: dict[str, Any]) -> dict[str, Any]:
    """Say in other words than the product's what Graph must get."""
    message: dict[str, Any] = {
        "subject": asked["subject"],
        "body": {"contentType": "Text", "content": asked["body"]},
        "internetMessageHeaders": [{"name": "x-m365-mcp-id", "value": "id"}],
    }
    seen: set[str] = set()
    for field, name in (("to", "toRecipients"), ("cc", "ccRecipients"), ("bcc", "bccRecipients")):
        fresh = [person for person in _first(asked[field]) if person[0] not in seen]
        seen |= {address for address, _ in fresh}
        if fresh:
            message[name] = [_recipient(*person) for person in fresh]
    if asked["reply_to"]:
        message["replyTo"] = [_recipient(*person) for person in asked["reply_to"]]
    if asked["from_"]:
        message["from"] = _recipient(asked["from_"], "")
    if asked["importance"] != "normal":
        message["importance"] = asked["importance"]
    if asked["request_read_receipt"]:
        message["isReadReceiptRequested"] = True
    if asked["attachments"]:
        message["attachments"] = [_file(**file) for file in asked["attachments"]]
    return {"message": message, "saveToSentItems": asked["save_to_sent"]}


def _first(recipients: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [
        person for place, person in enumerate(recipients) if person[0] not in {other for other, _ in recipients[:place]}
    ]


def _recipient(address: str, name: str) -> dict[str, Any]:
    return {"emailAddress": {"address": address} | ({"name": name} if name else {})}


def _file(name: str, content: bytes) -> dict[str, Any]:
    return {
        "@odata.type": "#microsoft.graph.fileAttachment",
        "name": name,
        "contentType": "application/pdf",
        "contentBytes": base64.b64encode(content).decode(),
    }


@given(REQUESTS)
def test_g20_graph_gets_exactly_what_was_asked_for(asked: dict[str, Any]) -> None:
    """Random messages arrive with the given recipients, text and files, and nothing is added."""
    message = compose_message(_request(asked), RULES)

    assert json.loads(message.encode("id")) == _expected(asked)


@given(REQUESTS)
def test_g20_no_blind_copy_is_ever_invented(asked: dict[str, Any]) -> None:
    """Without bcc in the request there is none in the message, and the request holds every address."""
    message = compose_message(_request({**asked, "bcc": [], "attachments": []}), RULES)

    given_addresses = {address for field in ("to", "cc", "reply_to") for address, _ in asked[field]} | {asked["from_"]}
    sent = message.as_graph()["message"]
    assert "bccRecipients" not in sent
    lists = ("toRecipients", "ccRecipients", "replyTo")
    addressed = {person["emailAddress"]["address"] for name in lists for person in sent.get(name, [])}
    assert addressed <= given_addresses
