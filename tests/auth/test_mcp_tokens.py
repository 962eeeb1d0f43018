"""What stands in a token of ours, and what makes one worthless."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest

from m365_mcp.auth.mcp_tokens import ALGORITHM, LEEWAY_SECONDS, REFRESH_SECONDS, McpTokens, Reference
from m365_mcp.auth.session import TokenPair
from tests.auth.test_session import session

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
ISSUER, AUDIENCE = "https://mcp.example.com", "https://mcp.example.com/mcp"
TOKENS = McpTokens((KEY,), ISSUER, AUDIENCE, 7200)
NOW = int(time.time())


def claims(token: str) -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(token, KEY, [ALGORITHM], audience=AUDIENCE)
    return found


def test_pair_says_everything_and_nothing_more() -> None:
    """Both tokens carry the claims of RFC 9068 that are ours to set, and no personal data."""
    pair = TOKENS.issue(session(scopes=("a", "b")), TokenPair(number=7, at=NOW))

    common = {"iss": ISSUER, "aud": AUDIENCE, "client_id": "client", "scope": "a b", "iat": NOW, "jti": "s1.7"}
    assert claims(pair.access_token) == {**common, "exp": NOW + 7200, "token_use": "access"}
    assert claims(str(pair.refresh_token)) == {**common, "exp": NOW + 90 * 24 * 3600, "token_use": "refresh"}
    assert (pair.token_type, pair.expires_in, pair.scope) == ("Bearer", 7200, "a b")
    assert (ALGORITHM, LEEWAY_SECONDS, REFRESH_SECONDS) == ("HS256", 60, 90 * 24 * 3600)


def test_token_refers_to_its_session_and_number() -> None:
    """The number stands behind the last dot, whatever the session is called."""
    pair = TOKENS.issue(session(id="s.1.2"), TokenPair(number=7, at=NOW))

    assert TOKENS.read(pair.access_token, "access") == Reference("s.1.2", 7, "client", NOW + 7200)


GOOD: dict[str, Any] = {
    "iss": ISSUER,
    "aud": AUDIENCE,
    "client_id": "client",
    "scope": "",
    "iat": NOW,
    "exp": NOW + 7200,
    "jti": "s1.1",
    "token_use": "access",
}


def read(changed: dict[str, Any], key: bytes = KEY) -> Reference | None:
    given = {name: value for name, value in {**GOOD, **changed}.items() if value is not None}
    return TOKENS.read(jwt.encode(given, key, ALGORITHM), "access")


def test_good_token_is_read() -> None:
    """The token that the next test spoils is a good one."""
    assert read({}) == Reference("s1", 1, "client", NOW + 7200)


@pytest.mark.parametrize(
    "changed",
    [
        *({name: None} for name in ("exp", "iat", "jti", "client_id", "iss", "aud", "token_use")),
        {"iss": "https://evil.example"},
        {"aud": "https://mcp.example.com/other"},
        {"exp": NOW - LEEWAY_SECONDS - 5},
        {"iat": NOW + LEEWAY_SECONDS + 3600},
        {"token_use": "refresh"},
    ],
    ids=" ".join,  # the values hold the time, and every worker must collect the same names
)
def test_token_with_a_missing_or_wrong_claim_is_worth_nothing(changed: dict[str, Any]) -> None:
    """Every claim is required, and has to be ours and of now."""
    assert read(changed) is None


def test_token_of_another_key_is_worth_nothing() -> None:
    """Only a key of the list verifies, and each of the list does."""
    both = McpTokens((OTHER_KEY, KEY), ISSUER, AUDIENCE, 7200)
    token = TOKENS.issue(session(), TokenPair(number=1, at=NOW)).access_token

    assert read({}, OTHER_KEY) is None
    assert both.read(token, "access") is not None
    assert both.read(token, None) is not None
    assert both.read("", None) is None
