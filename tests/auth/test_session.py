"""A refresh token returns a new pair, the same pair, or nothing; sessions survive a change of release."""

import pytest

from m365_mcp.auth.mcp_tokens import LEEWAY_SECONDS, McpTokens
from m365_mcp.auth.session import MAX_PAIRS, RefreshDecision, Session, TokenPair, Upstream, read_session

GRACE = 30.0
KEYS = b"k" * 32, b"o" * 32
START = 1_000_000


def session(**changes: object) -> Session:
    upstream = Upstream(access_token="entra", refresh_token="entra-refresh", expires_at=START + 3600)
    first = Session(
        id="s1",
        client_id="client",
        scopes=("mcp-access",),
        tenant_id="t",
        object_id="ada",
        subject="sub",
        sign_in_name="ada@contoso.example",
        upstream=upstream,
        pairs=(TokenPair(number=1, at=START),),
        started_at=START,
    )
    return first.model_copy(update=changes)


def tokens(*keys: bytes) -> McpTokens:
    return McpTokens(keys or KEYS[:1], "https://mcp.example.com", "https://mcp.example.com/mcp", 7 * 24 * 3600)


def test_current_token_gives_a_new_pair_and_its_replay_the_same_one() -> None:
    """After a rotation the old token returns exactly its first pair until the grace time is over."""
    rotated = session().rotated(1, START + 10, GRACE)

    assert rotated.decide(2, START + 11, GRACE) == (RefreshDecision.NEW_PAIR, None)
    assert rotated.decide(1, START + 10 + GRACE, GRACE) == (RefreshDecision.SAME_PAIR, rotated.current)
    assert rotated.decide(1, START + 11 + GRACE, GRACE) == (RefreshDecision.REFUSED, None)
    assert tokens().issue(rotated, rotated.current) == tokens().issue(rotated, rotated.pairs[-1])


def test_chain_of_quick_refreshes_keeps_every_link_for_its_grace_time() -> None:
    """Each of several recent tokens returns its own successor."""
    now = session()
    for number in range(1, 5):
        now = now.rotated(number, START + number, GRACE)

    for number in range(1, 5):
        decision, pair = now.decide(number, START + 10, GRACE)
        assert (decision, pair and pair.number) == (RefreshDecision.SAME_PAIR, number + 1)


def test_remembered_pairs_are_bounded() -> None:
    """A client that only refreshes does not fill the store."""
    now = session()
    for number in range(1, 500):
        now = now.rotated(number, START, GRACE)

    assert len(now.pairs) <= MAX_PAIRS + 1


def test_newest_pairs_are_the_ones_remembered() -> None:
    """Beyond the limit the newest pairs stay, because a client repeats only its last refresh."""
    now = session()
    for number in range(1, 500):
        now = now.rotated(number, START, GRACE)

    assert [pair.number for pair in now.pairs] == list(range(500 - MAX_PAIRS, 501))
    assert now.decide(499, START, GRACE) == (RefreshDecision.SAME_PAIR, now.current)


def test_store_that_lost_its_last_write_ends_no_session() -> None:
    """This server signed the token that is newer than the record, so after a failover the client stays signed in."""
    ahead = session().decide(3, START, GRACE)

    assert ahead == (RefreshDecision.NEW_PAIR, None)
    assert session().rotated(3, START, GRACE).current.number == 4


def test_record_of_another_release_keeps_its_fields() -> None:
    """E14/S14: fields of a newer release remain after an older one has changed the session."""
    record = {**session().model_dump(), "from_the_future": {"a": 1}}

    found = read_session(record)

    assert found is not None
    assert found.rotated(1, START, GRACE).model_dump()["from_the_future"] == {"a": 1}


@pytest.mark.parametrize("record", [None, {}, {"id": 1}, {"issued": "x"}])
def test_record_without_the_shape_of_a_session_is_none(record: dict[str, object] | None) -> None:
    """A missing record and one of another shape are no session."""
    assert read_session(record) is None


def test_secrets_stay_out_of_representations() -> None:
    """Entra's tokens never show in a repr."""
    assert "entra-refresh" not in repr(session())


def test_token_names_its_session_and_no_other_token_passes() -> None:
    """An access token is no refresh token, and neither is valid for another server or with another key."""
    pair = tokens().issue(session(), TokenPair(number=7, at=_now()))
    elsewhere = McpTokens(KEYS[:1], "https://mcp.example.com", "https://other.example.com/mcp", 3600)

    reference = tokens().read(pair.access_token, "access")
    assert reference is not None
    assert (reference.session_id, reference.number, reference.client_id) == ("s1", 7, "client")
    assert tokens().read(pair.access_token, "refresh") is None
    assert tokens().read(str(pair.refresh_token), "access") is None
    assert tokens().read(str(pair.refresh_token), None) is not None
    assert elsewhere.read(pair.access_token, "access") is None
    assert tokens(KEYS[1]).read(pair.access_token, "access") is None
    assert tokens().read(pair.access_token[:-2], "access") is None


def test_k4_signing_keys_rotate_one_by_one() -> None:
    """K4: the old key's tokens are valid while it is in the list; the first key signs new tokens."""
    old = tokens(KEYS[0]).issue(session(), TokenPair(number=1, at=_now())).access_token
    both = tokens(KEYS[1], KEYS[0])
    new = both.issue(session(), TokenPair(number=1, at=_now())).access_token

    assert both.read(old, "access") is not None
    assert tokens(KEYS[1]).read(new, "access") is not None
    assert tokens(KEYS[1]).read(old, "access") is None


@pytest.mark.parametrize("skew", [-LEEWAY_SECONDS + 5, 0, LEEWAY_SECONDS - 5])
def test_c6_our_own_tokens_allow_a_minute_of_skew(skew: int) -> None:
    """C6: a replica whose clock differs by less than a minute accepts what another has just issued or just ended."""
    ending = McpTokens(KEYS[:1], "https://mcp.example.com", "https://mcp.example.com/mcp", 10)
    starts = ending.issue(session(), TokenPair(number=1, at=_now() + skew)).access_token

    assert ending.read(starts, "access") is not None


def _now() -> int:
    import time

    return int(time.time())
