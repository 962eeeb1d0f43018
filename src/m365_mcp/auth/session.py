"""Pure: a session of one MCP client, and the decision about a refresh token.

A session is one record: its person, Entra's tokens, and the numbers of the token pairs issued recently. The session and
the number of a pair determine every byte of its tokens. So the server can issue identical tokens a second time without
storing them.
Sources: RFC 9700 section 4.14.2 (rotation and reuse), OAuth 2.1 section 4.3.1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from enum import Enum
from typing import Any

import jwt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from m365_mcp.person import PersonId
from m365_mcp.policy.memberships import NOTHING_TOLD, ToldGroups

MAX_PAIRS = 50  # pairs issued within one grace time; only a client in a refresh loop needs more


class _Record(BaseModel):
    # An older release keeps the fields that a newer release, running beside it, has added.
    model_config = ConfigDict(frozen=True, extra="allow", populate_by_name=True)


class Upstream(_Record):
    """Entra's tokens for this server.

    Attributes:
        access_token: the assertion of On-Behalf-Of exchanges.
        refresh_token: Entra's refresh token; None when Entra issued none.
        expires_at: when the access token expires, in epoch seconds by this server's clock.
    """

    access_token: str = Field(repr=False)
    refresh_token: str | None = Field(repr=False)
    expires_at: float


class GroupsRecord(_Record):
    """What Graph said about groups while Entra's access token was the one with this digest.

    The digest ends the answer with the token, also when a replica of an older release renews the token.
    """

    token: str
    asked: tuple[str, ...]
    member: tuple[str, ...]


class TokenPair(_Record):
    """A pair of our tokens: its number and when it was issued, in whole epoch seconds."""

    number: int
    at: int


class RefreshDecision(Enum):
    """The response to a refresh token."""

    NEW_PAIR = "a new pair"
    SAME_PAIR = "the pair that its first use returned"
    REFUSED = "no pair: the token was used before the grace time"


class Session(_Record):
    """One sign-in of one person with one MCP client.

    Attributes:
        id: id of the session in our tokens and in the store.
        client_id: the MCP client that the session belongs to.
        scopes: the scopes that the client was granted.
        tenant_id: `tid`; with `object_id` (`oid`) it identifies the person permanently.
        subject: `sub`, the person's id within this application.
        sign_in_name: `preferred_username`, for operators; it can change.
        client_name: the MCP client's name for itself, for operators; it is not verified.
        upstream: Entra's tokens.
        pairs: the token pairs issued recently, oldest first; the last one is the current one. The record calls them
            `issued`, as v0.1.0 does.
        started_at: epoch seconds.
        groups: what Graph said about the person's groups; None: it was not asked.
    """

    id: str
    client_id: str
    scopes: tuple[str, ...]
    tenant_id: str
    object_id: str
    subject: str
    sign_in_name: str
    upstream: Upstream
    pairs: tuple[TokenPair, ...] = Field(alias="issued")
    started_at: float
    client_name: str = ""
    groups: GroupsRecord | None = None

    @property
    def told_groups(self) -> ToldGroups:
        """What Graph has said about the person's groups since Entra issued the present access token."""
        record = self.groups
        if record is None or record.token != _digest(self.upstream.access_token):
            return NOTHING_TOLD
        return ToldGroups(frozenset(record.asked), frozenset(record.member))

    @property
    def person(self) -> PersonId:
        """The id of the person."""
        return PersonId(self.tenant_id, self.object_id)

    @property
    def current(self) -> TokenPair:
        """The newest pair."""
        return self.pairs[-1]

    def decide(self, number: int, now: float, grace: float) -> tuple[RefreshDecision, TokenPair | None]:
        """Return the decision about the refresh token of pair `number`, and the pair that its first use returned.

        A number above the session's newest pair is valid: this server signed it, and a failover of the store lost the
        write that recorded it.
        """
        if number >= self.current.number:
            return RefreshDecision.NEW_PAIR, None
        successor = next((pair for pair in self.pairs if pair.number == number + 1), None)
        if successor is not None and now - successor.at <= grace:
            return RefreshDecision.SAME_PAIR, successor
        return RefreshDecision.REFUSED, None

    def rotated(self, number: int, now: float, grace: float) -> Session:
        """Return the session with the pair after `number` issued now, and without the pairs past the grace time."""
        recent = [pair for pair in self.pairs if now - pair.at <= grace][-MAX_PAIRS:]
        return self.model_copy(update={"pairs": (*recent, TokenPair(number=number + 1, at=int(now)))})

    def with_groups(self, told: ToldGroups) -> Session:
        """Return the session with what Graph said about the person's groups, until Entra's token is renewed."""
        token = _digest(self.upstream.access_token)
        record = GroupsRecord(token=token, asked=tuple(sorted(told.asked)), member=tuple(sorted(told.member)))
        return self.model_copy(update={"groups": record})

    def renewed(self, upstream: Upstream) -> Session:
        """Return the session with new tokens from Entra."""
        return self.model_copy(update={"upstream": upstream})


@dataclass(frozen=True)
class NewSession:
    """The data that a session begins with.

    Attributes:
        session_id: id of the session.
        client_id: the MCP client.
        client_name: the client's name for itself.
        scopes: the scopes that the client was granted.
        tokens: Entra's token response, whose access token has been verified.
        received_at: when the response arrived, in epoch seconds.
    """

    session_id: str
    client_id: str
    client_name: str
    scopes: tuple[str, ...]
    tokens: Mapping[str, Any] = dataclass_field(repr=False)
    received_at: float


def new_session(new: NewSession, now: float) -> Session:
    """Return the session that begins with a sign-in; the first pair of our tokens is issued `now`."""
    tokens = new.tokens
    claims = jwt.decode(tokens["access_token"], options={"verify_signature": False})
    return Session(
        id=new.session_id,
        client_id=new.client_id,
        client_name=new.client_name,
        scopes=new.scopes,
        # Some simulators of Entra ID leave tid out of tokens; the issuer contains it.
        tenant_id=str(claims.get("tid") or str(claims["iss"]).rstrip("/").removesuffix("/v2.0").rpartition("/")[2]),
        object_id=str(claims.get("oid") or claims["sub"]),
        subject=str(claims.get("sub") or claims["oid"]),
        sign_in_name=str(claims.get("preferred_username", "")),
        upstream=Upstream(
            access_token=tokens["access_token"],
            refresh_token=tokens.get("refresh_token"),
            expires_at=new.received_at + tokens["expires_in"],
        ),
        pairs=(TokenPair(number=1, at=int(now)),),
        started_at=now,
    )


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()[:16]


def read_session(value: Mapping[str, Any] | None) -> Session | None:
    """Return the session in a record, or None when the record has no valid session."""
    if value is None:
        return None
    try:
        return Session.model_validate(value)
    except ValidationError:
        return None
