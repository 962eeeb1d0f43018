"""What a session begins with, read from Entra's token reply, and what a record of it looks like."""

from __future__ import annotations

from typing import Any

import jwt
import pytest
from pydantic import ValidationError

from m365_mcp.auth.session import (
    MAX_PAIRS,
    NewSession,
    RefreshDecision,
    Session,
    TokenPair,
    Upstream,
    new_session,
    read_session,
)
from m365_mcp.person import PersonId
from tests.auth.test_session import GRACE, START, session

CLAIMS = {
    "iss": "https://login.example.com/other-tenant/v2.0",
    "tid": "t-1",
    "oid": "o-1",
    "sub": "s-1",
    "preferred_username": "ada@contoso.example",
}


def token(claims: dict[str, Any]) -> str:
    return jwt.encode(claims, "a key that nobody else has, of 32 bytes", "HS256")


def begun(without: tuple[str, ...] = (), refresh_token: str | None = "r-1", **changed: str) -> Session:  # noqa: S107
    claims = {name: value for name, value in {**CLAIMS, **changed}.items() if name not in without}
    tokens: dict[str, Any] = {"access_token": token(claims), "expires_in": 3600}
    if refresh_token:
        tokens["refresh_token"] = refresh_token
    new = NewSession(
        session_id="id-1",
        client_id="client-1",
        client_name="Claude",
        scopes=("mcp-access",),
        tokens=tokens,
        received_at=START - 5.5,
    )
    return new_session(new, START + 0.75)


def test_session_begins_with_what_entra_and_the_client_have_said() -> None:
    """Every field has its place, times are those of the reply and of now, and the first pair is number one."""
    assert begun() == Session(
        id="id-1",
        client_id="client-1",
        client_name="Claude",
        scopes=("mcp-access",),
        tenant_id="t-1",
        object_id="o-1",
        subject="s-1",
        sign_in_name="ada@contoso.example",
        upstream=Upstream(access_token=token(CLAIMS), refresh_token="r-1", expires_at=START - 5.5 + 3600),
        pairs=(TokenPair(number=1, at=START),),
        started_at=START + 0.75,
    )
    assert begun().person == PersonId("t-1", "o-1")


@pytest.mark.parametrize(
    ("without", "changed", "field", "value"),
    [
        (("tid",), {}, "tenant_id", "other-tenant"),
        (("tid",), {"iss": "https://login.example.com/other-tenant/v2.0/"}, "tenant_id", "other-tenant"),
        (("tid",), {"iss": "https://sts.example.com/other-tenant/"}, "tenant_id", "other-tenant"),
        (("oid",), {}, "object_id", "s-1"),
        (("sub",), {}, "subject", "o-1"),
        (("preferred_username",), {}, "sign_in_name", ""),
    ],
)
def test_claim_that_is_missing_is_made_up_for(
    without: tuple[str, ...], changed: dict[str, str], field: str, value: str
) -> None:
    """The issuer names the tenant, and of `oid` and `sub` one stands for both."""
    assert getattr(begun(without, **changed), field) == value


def test_entra_may_give_no_refresh_token() -> None:
    """A session without one lives as long as its access token."""
    assert begun(refresh_token=None).upstream.refresh_token is None


def test_record_has_the_names_that_other_releases_read() -> None:
    """The record calls the pairs `issued`, and an older record knows no name of the client."""
    record = begun().model_dump(by_alias=True)

    assert record["issued"] == ({"number": 1, "at": START},)
    assert read_session(record) == begun()
    del record["client_name"]
    found = read_session(record)
    assert found is not None
    assert found.client_name == ""


@pytest.mark.parametrize("name", ["access_token", "refresh_token", "expires_at"])
def test_token_of_entra_is_required_in_a_record(name: str) -> None:
    """Half a record is none."""
    record = begun().model_dump(by_alias=True)
    del record["upstream"][name]

    assert read_session(record) is None


def test_session_is_never_changed_in_place() -> None:
    """A change makes another session, so that what was read from the store stays what it was."""
    first = begun()
    upstream = Upstream(access_token="a-2", refresh_token=None, expires_at=1.0)

    with pytest.raises(ValidationError):
        first.client_id = "another"  # type: ignore[misc]
    assert first.renewed(upstream).upstream == upstream
    assert first.upstream.access_token == token(CLAIMS)


def test_secrets_show_in_no_representation() -> None:
    """Neither Entra's reply nor what was taken from it shows in a repr."""
    new = NewSession(
        session_id="i", client_id="c", client_name="", scopes=(), tokens={"access_token": "hush"}, received_at=0.0
    )

    assert "hush" not in repr(new)
    assert token(CLAIMS) not in repr(begun())
    assert "r-1" not in repr(begun())


def test_pair_is_remembered_to_the_last_second_of_its_grace() -> None:
    """A pair as old as the grace time is still there; fifty of one moment are kept."""
    assert [pair.number for pair in session().rotated(1, START + GRACE, GRACE).pairs] == [1, 2]
    assert [pair.number for pair in session().rotated(1, START + GRACE + 1, GRACE).pairs] == [2]
    assert MAX_PAIRS == 50


def test_number_whose_successor_is_forgotten_is_refused() -> None:
    """A token of the session that is neither the current one nor remembered gives nothing."""
    later = session().rotated(4, START, GRACE)

    assert later.decide(2, START, GRACE) == (RefreshDecision.REFUSED, None)
