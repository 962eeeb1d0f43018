"""The verbs of Graph for one signed-in person: sending, and the profile. Drafts are in `graph.drafts`."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from m365_mcp.errors import OutcomeUnknown
from m365_mcp.graph.client import GraphClient, GraphRequest
from m365_mcp.graph.decipher import GraphResponse, claims_challenge, decipher

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
class TokenSource:
    """Where the person's Graph token comes from.

    Attributes:
        get: returns a token.
        renew: returns another token than the ones Graph has refused, which are handed in with what Graph asks for
            (`claims`, JSON) if it says so; and when that token was made, in epoch seconds.
        end_sign_in: says that Graph has refused a token made in answer to its refusal; the sign-in is over.
    """

    get: Callable[[], Awaitable[str]]
    renew: Callable[[tuple[str, ...], str | None], Awaitable[tuple[str, float]]]
    end_sign_in: Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Mailbox:
    """One person's mailbox."""

    graph: GraphClient
    tokens: TokenSource

    async def send(self, body: bytes) -> str | None:
        """Send a message, given as the body of `POST /me/sendMail`, once; return Graph's request id.

        Raises:
            OutcomeUnknown: it may have been sent; it is not repeated.
            M365Error: it was not sent.
        """
        response = await self.act("POST", SEND, "sendMail", body=body)
        if response.status != 202:
            raise decipher(response, changes_something=True)
        if "retry-after" in response.headers:
            # Graph may accept and throttle in one answer; whether the message goes out is then anybody's guess.
            raise OutcomeUnknown(reference=response.request_id)
        return response.request_id

    async def profile(self) -> Profile:
        """Return who is signed in. Raises M365Error."""
        response = await self.read(ME, "me")
        found = response.json
        if response.status != 200 or "userPrincipalName" not in found:
            raise decipher(response, changes_something=False)
        return Profile(found.get("displayName"), found.get("mail"), found["userPrincipalName"])

    async def read(self, path: str, operation: str, headers: dict[str, str] | None = None) -> GraphResponse:
        """Return the reply to a read; see `GraphClient.get`."""
        return await self._with_token(lambda token: self.graph.get(path, token, operation=operation, headers=headers))

    async def act(
        self,
        method: str,
        path: str,
        operation: str,
        *,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> GraphResponse:
        """Return the reply to a request with an effect; see `GraphClient.act`."""
        return await self._with_token(
            lambda token: self.graph.act(GraphRequest(method, path, token, operation, headers, body))
        )

    async def _with_token(self, request: Callable[[str], Awaitable[GraphResponse]]) -> GraphResponse:
        token = await self.tokens.get()
        asked_at = time.time()
        response = await request(token)
        refused: tuple[str, ...] = ()
        # 401 means Graph did not look at the request, so it may come again with another token, also a send: first
        # with one that another replica may have left in the store, then with one made for it.
        while response.status == 401:
            refused = (*refused, token)
            token, made_at = await self.tokens.renew(refused, claims_challenge(response))
            response = await request(token)
            if response.status == 401 and (made_at >= asked_at or len(refused) == MOST_REFUSALS):
                await self.tokens.end_sign_in()
                break
        return response
