"""The table of Entra's refusals: the number decides, at every step, and what nobody knows is no outage."""

import re
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest
from starlette.requests import Request

from m365_mcp.auth.callbacks import explain_refusal
from m365_mcp.entra.decipher import decipher
from m365_mcp.entra.refusals import REFUSALS, ROWS
from m365_mcp.errors import M365Error, SignInNeeded, StepUpNeeded, request_error
from tests.catalogues import meanings_of_refusals

MEANINGS = meanings_of_refusals()
CANARY = "ada@contoso.example in tenant c4n4ry"
# Errors that say something else than the number beside them, as Entra's often do.
MISLEADING = ["access_denied", "invalid_client", "invalid_grant", "server_error", "interaction_required", "teapot"]


def at_callback(error: str, description: str, **more: str) -> tuple[M365Error | None, dict[str, str]]:
    """Return the error that is noted for a callback, and the query that FastMCP gets instead."""
    query = {"error": error, "error_description": description, "state": "the state", **more}
    scope = {"type": "http", "query_string": urlencode(query).encode(), "headers": []}
    with request_error.recording() as record:
        request = explain_refusal(Request(scope))
    given = parse_qs(request.scope["query_string"].decode())
    return record.error, {name: values[0] for name, values in given.items()}


def refusal(error: str, number: int | None, **more: Any) -> dict[str, Any]:
    codes = {} if number is None else {"error_codes": [number]}
    said = CANARY if number is None else f"AADSTS{number}: {CANARY}. Trace ID: 1"
    return {"error": error, "error_description": said, **codes, **more}


@pytest.mark.parametrize(
    ("error", "number", "code"),
    [
        ("invalid_client", 650053, "app_registration_mistake"),
        ("access_denied", 650053, "app_registration_mistake"),
        ("invalid_client", 650052, "app_registration_mistake"),
        ("invalid_client", 650056, "app_registration_mistake"),
        ("invalid_resource", 650057, "app_registration_mistake"),
        ("access_denied", 65005, "app_registration_mistake"),
        ("access_denied", 1003031, "app_registration_mistake"),
        ("unauthorized_client", 700016, "app_registration_mistake"),
        ("access_denied", 500113, "app_registration_mistake"),
        ("invalid_client", 500112, "app_registration_mistake"),
        ("invalid_request", 50011, "app_registration_mistake"),
        ("invalid_request", 90002, "app_registration_mistake"),
        ("access_denied", 90094, "consent_missing"),
        ("access_denied", 90093, "consent_missing"),
        ("access_denied", 90095, "consent_missing"),
        ("access_denied", 65001, "consent_missing"),
        ("invalid_grant", 65001, "consent_missing"),
        ("access_denied", 65004, "person_declined"),
        ("invalid_grant", 65004, "person_declined"),
        ("access_denied", None, "person_declined"),
        ("access_denied", 50105, "person_not_allowed"),
        ("access_denied", 53003, "person_not_allowed"),
        ("invalid_grant", 50020, "person_not_allowed"),
        ("access_denied", 50034, "person_not_allowed"),
        ("invalid_grant", 53000, "person_not_allowed"),
        ("invalid_grant", 50057, "sign_in_needed"),
        ("invalid_grant", 50076, "step_up_needed"),
        ("access_denied", 50158, "step_up_needed"),
        ("invalid_target", 9010010, "microsoft_refused"),
        ("invalid_grant", 54005, "sign_in_needed"),
        ("invalid_client", 7000215, "client_secret_rejected"),
        ("server_error", 7000222, "client_secret_expired"),
        ("invalid_grant", 50013, "assertion_refused"),
        ("invalid_request", 700024, "client_assertion_rejected"),
        ("temporarily_unavailable", 90055, "entra_unavailable"),
        ("invalid_grant", 90033, "entra_unavailable"),
    ],
)
def test_f3_a_number_means_the_same_at_callback_and_token_endpoint(error: str, number: int | None, code: str) -> None:
    """F3: one table for both; the person reads our sentence with the number, and nothing of Microsoft's."""
    body = refusal(error, number)

    found = decipher(400, body)
    noted, given = at_callback(error, body["error_description"])

    assert found.code == code
    assert noted is not None
    assert noted.explain() == found.explain() == given["error_description"]
    assert found.reference == (None if number is None else f"AADSTS{number}")
    assert CANARY not in found.explain()
    assert given["state"] == "the state"


@pytest.mark.parametrize("error", MISLEADING)
def test_f3_known_number_decides_before_the_error_does(error: str) -> None:
    """F3: every number of the table keeps its meaning, whatever `error` stands beside it."""
    for number, row in REFUSALS.items():
        meaning = row.meaning

        found = decipher(400, refusal(error, number, suberror="consent_required"))

        assert type(found) is meaning.kind, number
        assert found.sentence == (meaning.sentence or meaning.kind.sentence)
        assert found.advice == (meaning.advice or meaning.kind.advice)


@pytest.mark.parametrize("error", ["access_denied", "invalid_client", "invalid_grant", "server_error", "teapot", ""])
def test_f3_unknown_number_is_microsofts_refusal_with_its_number(error: str) -> None:
    """F3: what nobody knows is neither an outage nor the person's, the secret's or the registration's fault."""
    body = refusal(error, 9999999)

    found = decipher(400, body)
    noted, given = at_callback(error, body["error_description"])

    assert found.code == "microsoft_refused"
    assert noted is not None
    assert noted.code == "microsoft_refused"
    assert "AADSTS9999999" in given["error_description"]
    assert "does not answer" not in given["error_description"]


@pytest.mark.parametrize("error", ["teapot", "", "invalid_request", "unsupported_grant_type"])
def test_f3_unknown_error_without_a_number_is_no_outage(error: str) -> None:
    """F3: an `error` that says nothing is Microsoft's refusal, not an outage."""
    assert decipher(400, refusal(error, None)).code == "microsoft_refused"


def test_f3_unknown_number_beside_a_clear_error_is_what_the_error_says() -> None:
    """F3: `interaction_required` and the consent suberror have one meaning, which a new number does not change."""
    assert decipher(400, refusal("interaction_required", 9999999, claims="{}")).code == "step_up_needed"
    assert decipher(400, refusal("invalid_grant", 9999999, suberror="consent_required")).code == "consent_missing"


@pytest.mark.parametrize(
    ("error", "number", "told"),
    [
        ("access_denied", 90094, "access_denied"),
        ("invalid_client", 650053, "server_error"),
        ("invalid_client", 50105, "access_denied"),
        ("teapot", 90033, "temporarily_unavailable"),
        ("c4n4ry", None, "server_error"),
    ],
)
def test_f3_client_is_told_an_error_of_an_authorization_endpoint(error: str, number: int | None, told: str) -> None:
    """F3: an `error` that RFC 6749 section 4.1.2.1 does not know becomes one that it knows."""
    _, given = at_callback(error, str(refusal(error, number)["error_description"]))

    assert given["error"] == told


def test_f3_callback_without_a_number_blames_no_secret() -> None:
    """F3: nobody sends a secret to the authorization endpoint, so `invalid_client` there is not about one."""
    noted, _ = at_callback("invalid_client", "no number")

    assert noted is not None
    assert noted.code == "microsoft_refused"


def test_f3_number_is_found_in_the_error_address() -> None:
    """F3: the number of `error_uri` counts when the description has none."""
    noted, _ = at_callback("access_denied", "", error_uri="https://login.microsoftonline.com/error?code=90094")

    assert noted is not None
    assert noted.code == "consent_missing"


@pytest.mark.parametrize("said", ["AADSTS" + "9" * 5000, "AADSTS" + "٣" * 5, "AADSTS12", "aadsts", "AADSTS-65001"])
def test_f3_text_of_a_callback_is_never_a_number_of_any_length(said: str) -> None:
    """F3: anyone can write the description, so what is not a number like Microsoft's is no number."""
    noted, given = at_callback("access_denied", said)

    assert noted is not None
    assert noted.reference is None
    assert said not in given["error_description"]


def test_f3_special_number_says_more_than_a_general_one() -> None:
    """F3: beside 70002 ("error validating credentials") the other number tells which credential it was."""
    found = decipher(401, {"error": "invalid_client", "error_codes": [70002, 50012]})

    assert (found.code, found.reference) == ("client_assertion_rejected", "AADSTS50012")
    assert decipher(401, {"error": "invalid_client", "error_codes": [70002]}).code == "client_secret_rejected"


@pytest.mark.parametrize(
    ("said", "number"),
    [
        ("AADSTS70002: Error validating credentials. AADSTS50012: Invalid client secret.", 50012),
        ("AADSTS9000999: Something new. AADSTS53003: Access has been blocked.", 53003),
        ("AADSTS65005: x AADSTS650053: y", 650053),
        ("AADSTS50105: x AADSTS53003: y", 50105),
        ("AADSTS9000999: x AADSTS9000998: y", 9000999),
    ],
)
def test_f3_every_number_of_a_text_counts(said: str, number: int) -> None:
    """F3: of several numbers in a text, a known and special one decides, at the callback and at the token endpoint."""
    noted, _ = at_callback("access_denied", said)

    assert noted is not None
    assert noted.reference == f"AADSTS{number}"
    assert decipher(400, {"error": "invalid_client", "error_description": said}).reference == f"AADSTS{number}"


def test_f3_number_of_the_text_counts_beside_a_general_one_of_the_list() -> None:
    """F3: `error_codes` with a general number does not hide what the text says besides."""
    body = {"error": "invalid_client", "error_codes": [70002], "error_description": "AADSTS70002: x AADSTS50012: y"}

    assert decipher(401, body).reference == "AADSTS50012"


@pytest.mark.parametrize("suberror", ["bad_token", "token_expired"])
def test_f3_unknown_number_beside_a_dead_token_needs_a_sign_in(suberror: str) -> None:
    """F3: a refresh token that is worth nothing ends the session beside a new number; a known one decides."""
    body = refusal("invalid_grant", 9999999, suberror=suberror)

    assert isinstance(decipher(400, body), SignInNeeded)
    assert decipher(400, {**body, "error_codes": [53003]}).code == "person_not_allowed"


@pytest.mark.parametrize("codes", [[True], ["65001"], [None], [0], [-5], [10**30], "65001", {}])
def test_f3_odd_lists_of_numbers_leave_the_description(codes: Any) -> None:
    """F3: `error_codes` that is not a list of numbers does not hide the number of the description."""
    body = {"error": "invalid_grant", "error_codes": codes, "error_description": "AADSTS90094: x"}

    assert decipher(400, body).code == "consent_missing"


@pytest.mark.parametrize("number", [90094, 90093, 65001, 650053, 50105, 53003, 50020, 9010010, 9999999])
def test_f3_refusal_that_a_new_sign_in_does_not_change_is_none_that_ends_the_session(number: int) -> None:
    """F3: only a SignInNeeded ends a session, which none of these is."""
    assert not isinstance(decipher(400, refusal("invalid_grant", number)), SignInNeeded)


def test_f3_table_is_large_and_names_each_number_once() -> None:
    """F3: at least 60 numbers, each in one row, and those that nobody confirmed are marked."""
    assert len(ROWS) == len(REFUSALS) >= 60
    assert {number for number, row in ROWS if not row.is_confirmed} >= {650053, 1003031, 90093, 500112}
    assert all(row.is_confirmed or row.source != "other page" for row in REFUSALS.values())


def test_f3_meanings_are_all_different() -> None:
    """F3: two names with the same texts would be one meaning."""
    texts = [(one.kind, one.who, one.sentence, one.for_person, one.for_administrator) for one in MEANINGS]

    assert len(set(texts)) == len(texts)
    assert {row.meaning for row in REFUSALS.values()} <= set(MEANINGS)


def test_f3_person_who_can_act_has_an_advice_for_persons() -> None:
    """F3: an error that is mostly the administrator's has words for the person where the person must act."""
    for one in MEANINGS:
        assert one.for_person or one.kind.for_person or one.needs_administrator, one
        assert one.needs_administrator or one.for_administrator is None, one


def test_f3_every_meaning_is_a_sentence_and_an_advice() -> None:
    """F3: each meaning says what happened and what to do, and more proof is the person's to give."""
    for number, row in REFUSALS.items():
        meaning = row.meaning

        assert re.fullmatch(r"[A-Z][^\n]*\.", meaning.sentence or meaning.kind.sentence), number
        assert (meaning.advice or meaning.kind.advice).endswith("."), number
        assert (meaning.who == "person") >= issubclass(meaning.kind, StepUpNeeded), number
