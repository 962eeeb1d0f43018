"""Reading the body of sendMail: whatever comes in, the answer is a message or one of Graph's refusals."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from m365_simulator.graph.json_message import read_send_mail
from m365_simulator.graph.problems import GraphError
from m365_simulator.graph.recipients import check_recipients
from m365_simulator.mail import Message, Recipient
from m365_simulator.switches import Switches

NAMES = (
    *("message", "saveToSentItems", "subject", "body", "contentType", "content", "toRecipients", "ccRecipients"),
    *("emailAddress", "address", "name", "from", "internetMessageHeaders", "value", "attachments", "contentBytes"),
    *("@odata.type", "importance", "singleValueExtendedProperties", "id"),
)
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["Text", "a@b.example", "x-a"])
)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
)


def read(body: bytes) -> Message | GraphError:
    """Return what Ada's request becomes: a message or a refusal."""
    try:
        return read_send_mail(body, Recipient("ada@contoso.example", "Ada Lovelace"))
    except GraphError as problem:
        return problem


@given(st.dictionaries(st.sampled_from(NAMES), JSON, max_size=5) | JSON)
def test_any_json_is_taken_or_refused(message: Any) -> None:
    """No JSON value makes the reader fail in a way of its own."""
    assert isinstance(read(json.dumps({"message": message}).encode()), (Message, GraphError))


@given(st.binary(max_size=40))
def test_any_bytes_are_taken_or_refused(body: bytes) -> None:
    """No sequence of bytes makes the reader fail in a way of its own."""
    assert isinstance(read(body), (Message, GraphError))


@given(st.text(max_size=60))
def test_an_accepted_address_is_one_address(text: str) -> None:
    """What passes as an address has one at sign and no separator, blank or line break."""
    try:
        check_recipients((Recipient(text),), (), Switches())
    except GraphError:
        return

    assert text.count("@") == 1
    assert not set(text) & set(" \t\r\n;,<>")
