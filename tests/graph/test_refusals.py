"""Each of Graph's codes that has words of its own, and the claims a 401 asks for."""

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

OWN_WORDS: list[tuple[str, type[M365Error], str, str]] = [
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
        "A conditional access policy of your organisation keeps this application from your mailbox.",
        "Ask your administrator to review the policy for this application.",
    ),
    (
        "ErrorItemNotFound",
        MessageRefused,
        "The message is not there any more.",
        "It may have been sent, moved or deleted; look for it in Outlook.",
    ),
    ("ErrorInvalidUser", MessageRefused, "Microsoft Graph does not know this mailbox.", "Check its address."),
    ("ErrorQuotaExceeded", MessageRefused, "The mailbox is full.", "Free some space in the mailbox, then send."),
    (
        "ErrorExceededMaxRecipientLimit",
        MessageRefused,
        "The message has more recipients than this mailbox may write to.",
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


@pytest.mark.parametrize(("code", "kind", "sentence", "advice"), OWN_WORDS, ids=[row[0] for row in OWN_WORDS])
def test_code_has_its_own_words(code: str, kind: type[M365Error], sentence: str, advice: str) -> None:
    """What a person can do about it depends on the code, whatever the status."""
    error = decipher(response(404, code), changes_something=True)

    assert (type(error), error.sentence, error.advice, error.reference) == (kind, sentence, advice, "the-id")


@pytest.mark.parametrize(("code", "kind"), BY_CODE)
def test_code_decides_before_the_status(code: str, kind: type[M365Error]) -> None:
    """These codes mean the same with any status, and are told in the words of their error."""
    error = decipher(response(400, code), changes_something=False)

    assert (type(error), error.sentence, error.advice, error.reference) == (kind, kind.sentence, kind.advice, "the-id")


@pytest.mark.parametrize(("status", "of_a_send", "of_a_read"), BY_STATUS)
def test_status_decides_where_the_code_says_nothing(
    status: int, of_a_send: type[M365Error], of_a_read: type[M365Error]
) -> None:
    """A read without an answer is an outage; a send without one has an unknown outcome."""
    sending = decipher(response(status), changes_something=True)
    reading = decipher(response(status), changes_something=False)

    assert (type(sending), type(reading)) == (of_a_send, of_a_read)
    assert sending.reference == reading.reference == "the-id"


def test_wait_that_graph_asks_for_is_passed_on() -> None:
    """Retry-After counts where trying again makes sense."""
    throttled = decipher(response(429, **{"retry-after": "7"}), changes_something=True)
    down = decipher(response(503, **{"retry-after": "9"}), changes_something=False)

    assert (throttled.retry_after, down.retry_after) == (7, 9)
    assert down.sentence == "Microsoft Graph has a fault of its own."


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"\xff", b'{"error":"x"}', b'{"error":{}}', b'{"x":1}'])
def test_body_without_a_code_has_none(body: bytes) -> None:
    """What is no error of Graph's has an empty code."""
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
    """Only a claims challenge has claims, with or without padding; what cannot be read is none."""
    assert claims_challenge(GraphResponse(401, {"www-authenticate": header}, b"")) == claims


def test_no_challenge_no_claims() -> None:
    """A 401 without the header asks for nothing."""
    assert claims_challenge(GraphResponse(401, {}, b"")) is None
