"""The verbs of Graph mail for one signed-in person.

May know `errors`, `mail` and `graph.*`; where the Graph token comes from is handed in.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from m365_mcp.errors import OutcomeUnknown
from m365_mcp.graph.client import GraphClient
from m365_mcp.graph.decipher import Reply, claims_challenge, decipher
from m365_mcp.mail import Message

ME = "/me?$select=displayName,mail,userPrincipalName"
SEND = "/me/sendMail"
MOST_REFUSALS = 2


@dataclass(frozen=True)
class Profile:
    """Who is signed in; `mail` is None for an account without a mailbox."""

    display_name: str | None
    mail: str | None
    user_principal_name: str


@dataclass(frozen=True)
class Tokens:
    """Where the person's Graph token comes from.

    Attributes:
        get: returns a token.
        renew: returns another token than the ones Graph has refused, which are handed in with what Graph asks for
            (`claims`, JSON) if it says so; and when that token was made, in epoch seconds.
        give_up: says that Graph has refused a token made in answer to its refusal; the sign-in is over.
    """

    get: Callable[[], Awaitable[str]]
    renew: Callable[[tuple[str, ...], str | None], Awaitable[tuple[str, float]]]
    give_up: Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Mailbox:
    """One person's mailbox."""

    graph: GraphClient
    tokens: Tokens

    async def send(self, message: Message) -> str | None:
        """Send `message` once and return Graph's request id.

        Raises:
            OutcomeUnknown: it may have been sent; it is not repeated.
            M365Error: it was not sent.
        """
        body = message.encode()
        reply = await self._with_token(lambda token: self.graph.post(SEND, token, body))
        if reply.status != 202:
            raise decipher(reply, changes_something=True)
        if "retry-after" in reply.headers:
            # Graph may accept and throttle in one answer; whether the message goes out is then anybody's guess.
            raise OutcomeUnknown(reference=reply.request_id)
        return reply.request_id

    async def profile(self) -> Profile:
        """Return who is signed in. Raises M365Error."""
        reply = await self._with_token(lambda token: self.graph.get(ME, token))
        found = reply.json
        if reply.status != 200 or "userPrincipalName" not in found:
            raise decipher(reply, changes_something=False)
        return Profile(found.get("displayName"), found.get("mail"), found["userPrincipalName"])

    async def _with_token(self, request: Callable[[str], Awaitable[Reply]]) -> Reply:
        token = await self.tokens.get()
        asked_at = time.time()
        reply = await request(token)
        refused: tuple[str, ...] = ()
        # 401 means Graph did not look at the request, so it may come again with another token, also a send: first
        # with one that another replica may have left in the store, then with one made for it.
        while reply.status == 401:
            refused = (*refused, token)
            token, made_at = await self.tokens.renew(refused, claims_challenge(reply))
            reply = await request(token)
            if reply.status == 401 and (made_at >= asked_at or len(refused) == MOST_REFUSALS):
                await self.tokens.give_up()
                break
        return reply
