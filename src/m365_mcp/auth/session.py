"""Pure: a session of one MCP client, and what a refresh token of it is worth at a given moment.

A session is one record: whose it is, Entra's tokens, and which of our token pairs were issued lately. Pairs are
numbered, and everything in a token follows from the session and its number, so that a pair can be handed out a second
time, to the letter, without being stored.
Sources: RFC 9700 section 4.14.2 (rotation and reuse), OAuth 2.1 section 4.3.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from enum import Enum
from typing import Any

import jwt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from m365_mcp.person import PersonId

MOST_REMEMBERED = 50  # pairs issued within one grace time; more is a client that does nothing but refresh


class _Record(BaseModel):
    # What a newer release adds is kept by an older one that runs beside it.
    model_config = ConfigDict(frozen=True, extra="allow", populate_by_name=True)


class Upstream(_Record):
    """Entra's tokens for this server.

    Attributes:
        access_token: the assertion of On-Behalf-Of exchanges.
        refresh_token: renews it; None when Entra gave none.
        expires_at: end of the access token, in epoch seconds by this server's clock.
    """

    access_token: str = Field(repr=False)
    refresh_token: str | None = Field(repr=False)
    expires_at: float


class TokenPair(_Record):
    """A pair of our tokens: its number and when it was issued, in whole epoch seconds."""

    number: int
    at: int


class RefreshDecision(Enum):
    """What a refresh token entitles to."""

    A_NEW_PAIR = "a new pair"
    THE_SAME_PAIR = "the pair that its first use gave"
    ABSENT = "nothing: it was used before, and not just now"


class Session(_Record):
    """One sign-in of one person with one MCP client.

    Attributes:
        id: names the session in our tokens and in the store.
        client_id: the MCP client it belongs to.
        scopes: what the client was granted.
        tenant_id: `tid`, with `object_id` (`oid`) the person for good.
        subject: `sub`, the person within this application.
        sign_in_name: `preferred_username`, for operators; it can change.
        client_name: what the MCP client calls itself, for operators; nobody has verified it.
        upstream: Entra's tokens.
        pairs: the token pairs issued lately, oldest first; the last one is the current one. The record calls them
            `issued`, as v0.1.0 does.
        started_at: epoch seconds.
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

    @property
    def person(self) -> PersonId:
        """What the person is known by."""
        return PersonId(self.tenant_id, self.object_id)

    @property
    def current(self) -> TokenPair:
        """The newest pair."""
        return self.pairs[-1]

    def decide(self, number: int, now: float, grace: float) -> tuple[RefreshDecision, TokenPair | None]:
        """Return what the refresh token of pair `number` is worth, and the pair it gave before.

        A number the session does not know yet was signed by us all the same: the store has lost its last write (a
        failover), and the client is in the right.
        """
        if number >= self.current.number:
            return RefreshDecision.A_NEW_PAIR, None
        successor = next((issue for issue in self.pairs if issue.number == number + 1), None)
        if successor is not None and now - successor.at <= grace:
            return RefreshDecision.THE_SAME_PAIR, successor
        return RefreshDecision.ABSENT, None

    def rotated(self, number: int, now: float, grace: float) -> Session:
        """Return the session with the pair after `number` issued now, and those past their grace time forgotten."""
        lately = [issue for issue in self.pairs if now - issue.at <= grace][-MOST_REMEMBERED:]
        return self.model_copy(update={"pairs": (*lately, TokenPair(number=number + 1, at=int(now)))})

    def renewed(self, upstream: Upstream) -> Session:
        """Return the session with new tokens of Entra."""
        return self.model_copy(update={"upstream": upstream})


@dataclass(frozen=True)
class NewSession:
    """What a session begins with.

    Attributes:
        session_id: its id.
        client_id: the MCP client.
        client_name: what that client calls itself.
        scopes: what it was granted.
        tokens: Entra's token reply, whose access token has been verified.
        received_at: when that reply came, in epoch seconds.
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
        # Tokens without tid are known from stand-ins; the issuer ends in it.
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


def read_session(value: Mapping[str, Any] | None) -> Session | None:
    """Return the session a record holds, or None when it holds none."""
    if value is None:
        return None
    try:
        return Session.model_validate(value)
    except ValidationError:
        return None
