"""Which of Entra's tokens are accepted: signed by Entra, for us, of our tenant, of version 2, of a person, now."""

import json
import time
from datetime import timedelta
from typing import Any

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from m365_mcp.entra.signing_keys import SigningKeys
from m365_mcp.entra.verifier import NOT_YET_VALID, EntraTokenVerifier, TokenRequirements, is_version_one

TENANT, APP, KID = "the-tenant", "the-app", "the-key"
OTHER_TENANT = "the-other-tenant"
AUTHORITY = "https://login.example.com"
ISSUER = f"{AUTHORITY}/{TENANT}/v2.0"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def token(key: Any = KEY, kid: str = KID, algorithm: str = "RS256", **changes: Any) -> str:
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": APP,
        "tid": TENANT,
        "oid": "ada",
        "ver": "2.0",
        "scp": "mcp-access",
        "iat": now,
        "nbf": now,
        "exp": now + 3600,
        **changes,
    }
    # A time is given as its distance from now, because tests are collected long before they run.
    moments = {name: now + int(value.total_seconds()) for name, value in claims.items() if isinstance(value, timedelta)}
    present = {name: value for name, value in (claims | moments).items() if value is not None}
    return jwt.encode(present, key, algorithm, {"kid": kid})


@pytest.fixture
def verifier() -> EntraTokenVerifier:
    public = jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key(), as_dict=True)
    reply = httpx2.Response(200, content=json.dumps({"keys": [{**public, "kid": KID}]}))
    http = httpx2.AsyncClient(transport=httpx2.MockTransport(lambda _: reply))
    keys = SigningKeys("https://login.example.com/keys", http)
    expected = TokenRequirements(AUTHORITY, (APP, f"api://{APP}"), (TENANT, OTHER_TENANT), "mcp-access")
    return EntraTokenVerifier(expected, keys)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"aud": f"api://{APP}"},
        {"scp": "other mcp-access"},
        {"exp": timedelta(seconds=-30)},
        {"nbf": timedelta(seconds=30)},
        {"iat": timedelta(seconds=30)},
        {"tid": OTHER_TENANT, "iss": f"{AUTHORITY}/{OTHER_TENANT}/v2.0"},
        {"tid": None},
        {"oid": None, "sub": "ada"},
    ],
)
async def test_good_token_is_accepted(verifier: EntraTokenVerifier, changes: dict[str, Any]) -> None:
    """Both spellings of the audience, every allowed tenant, further scopes and a minute of clock skew are fine."""
    claims, rejection_reason = await verifier.verify(token(**changes))

    assert rejection_reason is None
    assert "ada" in (claims.get("oid"), claims.get("sub"))


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://sts.windows.net/the-tenant/"},
        {"iss": "https://login.example.com/another/v2.0"},
        {"aud": "00000003-0000-0000-c000-000000000000"},
        {"tid": "another"},
        {"tid": "another", "iss": f"{AUTHORITY}/another/v2.0"},
        {"tid": OTHER_TENANT},
        {"tid": None, "iss": f"{AUTHORITY}/another/v2.0"},
        {"oid": None},
        {"ver": "1.0"},
        {"scp": "other"},
        {"scp": None},
        {"scp": "mcp-access-more"},
        {"idtyp": "app"},
        {"exp": timedelta(seconds=-3600)},
        {"exp": None},
        {"nbf": timedelta(seconds=3600)},
        {"iat": timedelta(seconds=3600)},
        {"key": OTHER_KEY},
        {"kid": "unknown"},
        {"key": "a-shared-secret-of-some-length-that-is-long", "algorithm": "HS256"},
    ],
    ids=lambda changes: "-".join(changes),
)
async def test_c5_wrong_token_is_refused(verifier: EntraTokenVerifier, changes: dict[str, Any]) -> None:
    """C5: one wrong claim, key or algorithm is enough to refuse a token."""
    assert (await verifier.verify(token(**changes)))[1] is not None


@pytest.mark.parametrize("skew", [-120, -60, -30, 30, 60, 120])
async def test_c6_clock_may_differ_by_a_minute(verifier: EntraTokenVerifier, skew: int) -> None:
    """C6: a token from a clock a minute ahead is good, one from two minutes ahead has a reason of its own."""
    moments: dict[str, Any] = {name: timedelta(seconds=skew) for name in ("iat", "nbf")}

    _, rejection_reason = await verifier.verify(token(**moments, exp=timedelta(seconds=3600 + skew)))

    # At the edge the second in which the test runs decides.
    assert skew == 60 or rejection_reason == (NOT_YET_VALID if skew > 60 else None)


async def test_received_token_needs_no_key_while_the_key_endpoint_is_down() -> None:
    """While the key endpoint is down, a token from Entra's token endpoint is checked by its claims."""
    http = httpx2.AsyncClient(transport=httpx2.MockTransport(lambda _: httpx2.Response(503)))
    expected = TokenRequirements(AUTHORITY, (APP,), (TENANT,), "mcp-access")
    verifier = EntraTokenVerifier(expected, SigningKeys("https://login.example.com/keys", http))

    assert await verifier.rejection_reason_of_received(token()) is None
    assert await verifier.rejection_reason_of_received(token(tid="another")) == "another tenant"
    assert await verifier.rejection_reason_of_received("garbage") is not None


@pytest.mark.parametrize("text", ["", "garbage", "a.b.c", "eyJhbGciOiJub25lIn0.e30."])
async def test_text_that_is_no_token_is_refused(verifier: EntraTokenVerifier, text: str) -> None:
    """Garbage and unsigned tokens are refused without a crash."""
    assert (await verifier.verify(text))[1] is not None


def test_version_one_is_recognised_for_the_advice() -> None:
    """Only a token with the claim ver=1.0 has version 1."""
    assert is_version_one(token(ver="1.0"))
    assert not is_version_one(token())
    assert not is_version_one("garbage")
