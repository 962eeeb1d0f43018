"""Entra's refusals: the code decides which error they are, and the error repeats none of Microsoft's text."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m365_mcp.entra.decipher import aadsts_codes, decipher
from m365_mcp.errors import (
    AppRegistrationMistake,
    ClientSecretExpired,
    ClientSecretRejected,
    ConsentMissing,
    EntraUnavailable,
    M365Error,
    PersonNotAllowed,
    SignInNeeded,
    StepUpNeeded,
)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"error": "invalid_grant", "suberror": "consent_required", "error_codes": [65001]}, ConsentMissing),
        (400, {"error": "invalid_grant", "error_codes": [65001]}, ConsentMissing),
        (401, {"error": "invalid_client", "error_codes": [7000215]}, ClientSecretRejected),
        (401, {"error": "invalid_client", "error_codes": [7000222]}, ClientSecretExpired),
        (400, {"error": "interaction_required", "suberror": "basic_action", "error_codes": [50076]}, StepUpNeeded),
        (400, {"error": "interaction_required"}, StepUpNeeded),
        (400, {"error": "interaction_required", "error_codes": [53003]}, PersonNotAllowed),
        (400, {"error": "invalid_grant", "error_codes": [700082]}, SignInNeeded),
        (400, {"error": "invalid_grant", "error_codes": [50173]}, SignInNeeded),
        (400, {"error": "invalid_grant", "error_codes": [500131]}, AppRegistrationMistake),
        (400, {"error": "unauthorized_client", "error_codes": [700016]}, AppRegistrationMistake),
        (400, {"error": "invalid_resource", "error_codes": [500011]}, AppRegistrationMistake),
        (400, {"error": "temporarily_unavailable"}, EntraUnavailable),
        (400, {"error": "invalid_grant", "error_codes": [50196]}, EntraUnavailable),
        (429, {"error": "invalid_grant", "error_codes": [90055]}, EntraUnavailable),
        (503, None, EntraUnavailable),
        (502, {"error": "invalid_grant"}, EntraUnavailable),
        (400, None, EntraUnavailable),
    ],
)
def test_refusals_have_different_errors(status: int, body: dict[str, Any] | None, kind: type[M365Error]) -> None:
    """Status, error, suberror and AADSTS number together decide the kind."""
    assert type(decipher(status, body)) is kind


def test_reference_is_the_number_and_never_the_text() -> None:
    """Support staff get the AADSTS number; Microsoft's sentence, with ids and addresses, stays out."""
    body = {"error": "invalid_grant", "error_description": "AADSTS50173: ada@contoso.example revoked. Trace ID: 1"}

    error = decipher(400, body)

    assert error.reference == "AADSTS50173"
    assert "ada@contoso.example" not in error.explain()
    assert aadsts_codes(body) == [50173]


def test_retry_after_of_entra_is_passed_on() -> None:
    """The error has Entra's Retry-After, or a default if Entra names none."""
    assert decipher(429, {}, retry_after=17).retry_after == 17
    assert decipher(503, None).retry_after == 5


ODD_VALUES = st.none() | st.text() | st.integers() | st.lists(st.integers() | st.text())
FIELDS = st.sampled_from(["error", "suberror", "error_codes", "error_description"])


@given(st.integers(300, 599), st.none() | st.dictionaries(FIELDS, ODD_VALUES))
def test_every_response_becomes_an_error(status: int, body: dict[str, Any] | None) -> None:
    """Every response, however odd, has an error of ours."""
    assert isinstance(decipher(status, body), M365Error)
