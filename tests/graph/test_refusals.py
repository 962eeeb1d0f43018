"""The sentences for error codes of Graph, and the claims of a 401."""

from __future__ import annotations

import base64
import json

import pytest

from m365_mcp.errors import (
    GraphUnavailable,
    M365Error,
    MailboxMissing,
    MessageRefused,
    MessageTooLarge,
    OutcomeUnknown,
    PermissionMissing,
    PersonNotAllowed,
    ReadRefused,
    SignInNeeded,
    Throttled,
)
from m365_mcp.graph.decipher import GraphResponse, claims_challenge, decipher

OWN_SENTENCES: list[tuple[str, type[M365Error], str, str]] = [
    (
        "ErrorInvalidRecipients",
        MessageRefused,
        "Microsoft Graph does not accept one of the recipients.",
        "Check every address and send again.",
    ),
    (
        "ErrorSendAsDenied",
        PermissionMissing,
        "You may not send for this mailbox.",
        "Leave from_ out, or ask the mailbox's owner or your administrator for 'Send as' or 'Send on behalf'.",
    ),
    (
        "ErrorMessageSubmissionBlocked",
        PersonNotAllowed,
        "Microsoft has blocked this account from sending mail.",
        "Ask your administrator; Microsoft blocks accounts whose mail looks like spam.",
    ),
    (
        "insufficient_claims",
        PersonNotAllowed,
        "A conditional access policy of your organisation blocks this application from your mailbox.",
        "Ask your administrator to review the policy for this application.",
    ),
    (
        "ErrorItemNotFound",
        MessageRefused,
        "The message no longer exists.",
        "It may have been sent, moved or deleted; check in Outlook.",
    ),
    ("ErrorInvalidUser", MessageRefused, "Microsoft Graph does not know this mailbox.", "Check its address."),
    ("ErrorQuotaExceeded", MessageRefused, "The mailbox is full.", "Free some space in the mailbox, then send."),
    (
        "ErrorExceededMaxRecipientLimit",
        MessageRefused,
        "The message has more recipients than this mailbox may send to.",
        "Send it in several messages.",
    ),
    (
        "ErrorExceededMessageLimit",
        MessageRefused,
        "The mailbox has reached its sending limit.",
        "Wait until tomorrow, then send again.",
    ),
]
BY_CODE: list[tuple[str, type[M365Error]]] = [
    ("MailboxNotEnabledForRESTAPI", MailboxMissing),
    ("MailboxNotSupportedForRESTAPI", MailboxMissing),
    ("ErrorAccessDenied", PermissionMissing),
    ("Authorization_RequestDenied", PermissionMissing),
    ("ErrorMessageSizeExceeded", MessageTooLarge),
    ("ErrorAttachmentSizeLimitExceeded", MessageTooLarge),
    ("RequestEntityTooLarge", MessageTooLarge),
    ("InvalidAuthenticationToken", SignInNeeded),
]
BY_STATUS: list[tuple[int, type[M365Error], type[M365Error]]] = [
    (400, MessageRefused, ReadRefused),
    (401, SignInNeeded, SignInNeeded),
    (403, PermissionMissing, PermissionMissing),
    (404, MessageRefused, ReadRefused),
    (408, OutcomeUnknown, GraphUnavailable),
    (413, MessageTooLarge, MessageTooLarge),
    (429, Throttled, Throttled),
    (499, OutcomeUnknown, GraphUnavailable),
    (399, OutcomeUnknown, GraphUnavailable),
    (500, OutcomeUnknown, GraphUnavailable),
    (503, OutcomeUnknown, GraphUnavailable),
]


def response(status: int, code: str = "", **headers: str) -> GraphResponse:
    body = json.dumps({"error": {"code": code}}).encode()
    return GraphResponse(status, {"request-id": "the-id", **headers}, body)


@pytest.mark.parametrize(("code", "kind", "sentence", "advice"), OWN_SENTENCES, ids=[row[0] for row in OWN_SENTENCES])
def test_code_has_its_own_sentence(code: str, kind: type[M365Error], sentence: str, advice: str) -> None:
    """The sentence and the advice depend on the code and not on the status."""
    error = decipher(response(404, code), changes_something=True)

    assert (type(error), error.sentence, error.advice, error.reference) == (kind, sentence, advice, "the-id")


@pytest.mark.parametrize(("code", "kind"), BY_CODE)
def test_code_decides_before_the_status(code: str, kind: type[M365Error]) -> None:
    """These codes mean the same with any status, and have the sentence of their error."""
    error = decipher(response(400, code), changes_something=False)

    assert (type(error), error.sentence, error.advice, error.reference) == (kind, kind.sentence, kind.advice, "the-id")


@pytest.mark.parametrize(("status", "of_a_send", "of_a_read"), BY_STATUS)
def test_status_decides_where_the_code_says_nothing(
    status: int, of_a_send: type[M365Error], of_a_read: type[M365Error]
) -> None:
    """A read without a clear response is an outage; such a send has an unknown outcome."""
    sending = decipher(response(status), changes_something=True)
    reading = decipher(response(status), changes_something=False)

    assert (type(sending), type(reading)) == (of_a_send, of_a_read)
    assert sending.reference == reading.reference == "the-id"


def test_retry_after_of_graph_is_passed_on() -> None:
    """The error has the Retry-After of Graph if a repeat makes sense."""
    throttled = decipher(response(429, **{"retry-after": "7"}), changes_something=True)
    down = decipher(response(503, **{"retry-after": "9"}), changes_something=False)

    assert (throttled.retry_after, down.retry_after) == (7, 9)
    assert down.sentence == "Microsoft Graph has an internal fault."


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"\xff", b'{"error":"x"}', b'{"error":{}}', b'{"x":1}'])
def test_body_without_a_code_has_none(body: bytes) -> None:
    """A body that is no error of Graph has an empty code."""
    assert GraphResponse(400, {}, body).error_code == ""
    assert GraphResponse(400, {}, body).request_id is None


CLAIMS = '{"access_token":{"nbf":{"essential":true}}}'
ENCODED = base64.b64encode(CLAIMS.encode()).decode()


@pytest.mark.parametrize(
    ("header", "claims"),
    [
        (f'Bearer realm="", error="insufficient_claims", claims="{ENCODED}"', CLAIMS),
        (f'Bearer error="insufficient_claims", claims="{ENCODED.rstrip("=")}"', CLAIMS),
        (f'Bearer error="invalid_token", claims="{ENCODED}"', None),
        (f'Bearer error="insufficient_claims", otherclaims="{ENCODED}"', None),
        ('Bearer error="insufficient_claims", claims=""', None),
        ('Bearer error="insufficient_claims", claims="A"', None),
        ('Bearer error="insufficient_claims", claims="////"', None),
        ("Bearer", None),
    ],
)
def test_claims_are_read_from_the_challenge(header: str, claims: str | None) -> None:
    """Only a claims challenge has claims, with or without padding; an unreadable one counts as none."""
    assert claims_challenge(GraphResponse(401, {"www-authenticate": header}, b"")) == claims


def test_no_challenge_no_claims() -> None:
    """A 401 without the header has no claims."""
    assert claims_challenge(GraphResponse(401, {}, b"")) is None
