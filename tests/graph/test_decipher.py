"""Responses of Graph: sent, not sent, or unknown."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from m365_mcp.graph.decipher import GraphResponse, decipher


def response(status: int, code: str | None = None, **headers: str) -> GraphResponse:
    body = json.dumps({"error": {"code": code, "message": "about ada@contoso.example"}}).encode() if code else b""
    lowered = {name.replace("_", "-"): value for name, value in headers.items()}
    return GraphResponse(status, {"request-id": "the-id", **lowered}, body)


@pytest.mark.parametrize(
    ("received", "kind"),
    [
        # Every line of the catalogue of Graph's responses to a send, and the responses of gateways.
        (response(400, "ErrorInvalidRecipients"), MessageRefused),
        (response(400, "InvalidInternetMessageHeader"), MessageRefused),
        (response(400, "InvalidInternetMessageHeaderCollection"), MessageRefused),
        (response(400, "RequestBodyRead"), MessageRefused),
        (response(400, "BadRequest"), MessageRefused),
        (response(400, "UnableToDeserializePostBody"), MessageRefused),
        (response(400, "ErrorMimeContentInvalidBase64String"), MessageRefused),
        (response(400, "ErrorMessageSizeExceeded"), MessageTooLarge),
        (response(400, "ErrorAttachmentSizeLimitExceeded"), MessageTooLarge),
        (response(400, "ErrorQuotaExceeded"), MessageRefused),
        (response(401, "InvalidAuthenticationToken"), SignInNeeded),
        (response(401), SignInNeeded),
        (response(403, "insufficient_claims"), PersonNotAllowed),
        (response(403, "Authorization_RequestDenied"), PermissionMissing),
        (response(403, "ErrorAccessDenied"), PermissionMissing),
        (response(403, "ErrorSendAsDenied"), PermissionMissing),
        (response(403, "ErrorMessageSubmissionBlocked"), PersonNotAllowed),
        (response(403, "MailboxNotEnabledForRESTAPI"), MailboxMissing),
        (response(403), PermissionMissing),
        (response(404, "MailboxNotEnabledForRESTAPI"), MailboxMissing),
        (response(404, "ErrorItemNotFound"), MessageRefused),
        (response(404, "ErrorInvalidUser"), MessageRefused),
        (response(408), OutcomeUnknown),
        (response(413, "RequestEntityTooLarge"), MessageTooLarge),
        (response(413), MessageTooLarge),
        (response(429, "ApplicationThrottled"), Throttled),
        (response(429, "TooManyRequests", retry_after="3"), Throttled),
        (response(429, "ErrorExceededMessageLimit"), Throttled),
        (response(429), Throttled),
        (response(500, "ErrorInternalServerError"), OutcomeUnknown),
        (response(502, "BadGateway"), OutcomeUnknown),
        (response(502), OutcomeUnknown),
        (response(503, "ErrorServerBusy", retry_after="3"), OutcomeUnknown),
        (response(503, "CommandConcurrencyLimitReached"), OutcomeUnknown),
        (response(503, "ErrorMailboxStoreUnavailable"), OutcomeUnknown),
        (response(503, "serviceNotAvailable"), OutcomeUnknown),
        (response(503), OutcomeUnknown),
        (response(504, "UnknownError"), OutcomeUnknown),
        (response(504), OutcomeUnknown),
        (response(507, "InsufficientStorage"), OutcomeUnknown),
        (response(200), OutcomeUnknown),
    ],
)
def test_responses_to_a_send_have_different_errors(received: GraphResponse, kind: type[M365Error]) -> None:
    """After a clear refusal nothing was sent; a response that may follow the send is an unknown outcome."""
    assert type(decipher(received, changes_something=True)) is kind


def test_refused_read_is_not_called_a_refused_message() -> None:
    """A request for the profile sends no mail."""
    assert type(decipher(response(404, "Request_ResourceNotFound"), changes_something=False)) is ReadRefused


def test_fault_of_a_read_is_never_an_unknown_outcome() -> None:
    """A read has no effect, so Graph is unavailable and nothing more."""
    error = decipher(response(503, retry_after="9"), changes_something=False)

    assert type(error) is GraphUnavailable
    assert error.retry_after == 9


def test_error_holds_the_request_id_and_no_text_of_graphs() -> None:
    """Support can look the id up, and it leaks nothing."""
    error = decipher(response(400, "ErrorInvalidRecipients"), changes_something=True)

    assert "the-id" in error.explain()
    assert "contoso" not in error.explain()


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b'{"error":"x"}', b'{"error":null}', b"\xff"])
def test_odd_bodies_are_deciphered(body: bytes) -> None:
    """Gateways respond with HTML, an empty body, or a broken one."""
    assert type(decipher(GraphResponse(400, {}, body), changes_something=True)) is MessageRefused


@given(st.integers(200, 599).filter(lambda status: status != 202), st.binary(max_size=200))
def test_send_without_a_clear_refusal_is_never_reported_as_not_sent(status: int, body: bytes) -> None:
    """Outside 4xx, and where a gateway stopped waiting, the outcome is unknown whatever the body."""
    error = decipher(GraphResponse(status, {}, body), changes_something=True)

    assert isinstance(error, OutcomeUnknown) is not (400 <= status < 500 and status not in (408, 499))
