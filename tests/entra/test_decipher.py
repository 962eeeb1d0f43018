"""Entra's refusals: the code decides which error they are, and the error repeats none of Microsoft's text."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m365_mcp.entra.decipher import _BY_ERROR, _BY_SUBERROR, aadsts_codes, decipher
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


def texts(error: M365Error) -> str:
    return " ".join(filter(None, (error.explain(), error.person_advice, error.administrator_advice)))


# Every `error` and `suberror` that is known, unknown ones, and none.
WITHOUT_NUMBER = [{}, {"error": "odd"}, *({"error": error} for error in _BY_ERROR)]
WITHOUT_NUMBER += [{"error": "odd", "suberror": suberror} for suberror in (*_BY_SUBERROR, "odd")]


@pytest.mark.parametrize("body", WITHOUT_NUMBER, ids=str)
def test_f7_refusal_without_a_number_sends_nobody_to_look_one_up(body: dict[str, Any]) -> None:
    """F7: no text for anybody speaks of a number that is not there."""
    error = decipher(400, body)

    assert error.reference is None
    assert "number" not in texts(error).replace("Microsoft gave no number", "")
    assert "login.microsoftonline.com/error" not in texts(error)


def test_f7_refusal_with_an_unknown_number_says_where_to_look_it_up() -> None:
    """F7: with a number, the advice is to look it up."""
    error = decipher(400, {"error": "odd", "error_codes": [9999991]})

    assert error.reference == "AADSTS9999991"
    assert "https://login.microsoftonline.com/error" in error.explain()
    assert "https://login.microsoftonline.com/error" in error.administrator_advice


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
