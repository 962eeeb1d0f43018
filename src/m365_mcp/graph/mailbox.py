"""Makes requests to Graph for one signed-in person: sending, and the profile. Drafts are in `graph.drafts`."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from m365_mcp.errors import OutcomeUnknown
from m365_mcp.graph.client import GraphClient, GraphRequest
from m365_mcp.graph.decipher import GraphResponse, claims_challenge, decipher

ME = "/me?$select=displayName,mail,userPrincipalName,proxyAddresses"  # Graph returns the last only if selected
SEND = "/me/sendMail"
MAX_REFUSALS = 2  # tokens that Graph may refuse before the sign-in counts as over


@dataclass(frozen=True)
class Profile:
    """The signed-in person's account.

    Attributes:
        mail: the main address; None for an account without a mailbox.
        aliases: further addresses of the mailbox.
    """

    display_name: str | None
    mail: str | None
    user_principal_name: str
    aliases: tuple[str, ...] = ()

    @property
    def addresses(self) -> tuple[str, ...]:
        """Every address that means this person."""
        return (*filter(None, (self.mail,)), self.user_principal_name, *self.aliases)


@dataclass(frozen=True)
class TokenSource:
    """The source of the person's Graph tokens.

    Attributes:
        get: returns a token.
        renew: takes the tokens that Graph refused and its claims challenge (JSON or None); returns another token, and
            the time of its exchange in epoch seconds.
        end_sign_in: ends the sign-in, because Graph refused also a token that was exchanged after its refusal.
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
            OutcomeUnknown: Graph may have sent the message; the mailbox does not repeat the request.
            M365Error: Graph did not send the message.
        """
        response = await self.act("POST", SEND, "sendMail", body=body)
        if response.status != 202:
            raise decipher(response, changes_something=True)
        if "retry-after" in response.headers:
            # Graph may accept and throttle in one response. Then it is unknown whether it sends the message.
            raise OutcomeUnknown(reference=response.request_id)
        return response.request_id

    async def profile(self) -> Profile:
        """Return the profile of the signed-in person. Raises M365Error."""
        response = await self.read(ME, "me")
        profile = response.json
        if response.status != 200 or "userPrincipalName" not in profile:
            raise decipher(response, changes_something=False)
        # An entry is smtp:address, in capitals for the main address; other schemes are no mail addresses.
        proxies = [str(proxy).partition(":") for proxy in profile.get("proxyAddresses") or ()]
        aliases = tuple(address for scheme, _, address in proxies if scheme.lower() == "smtp")
        return Profile(profile.get("displayName"), profile.get("mail"), profile["userPrincipalName"], aliases)

    async def read(self, path: str, operation: str, headers: dict[str, str] | None = None) -> GraphResponse:
        """Return the response to a read; see `GraphClient.get`."""
        return await self._with_token(lambda token: self.graph.get(path, token, operation=operation, headers=headers))

    async def query(self, path: str, operation: str, body: bytes) -> GraphResponse:
        """Return the response to a POST request that changes nothing; see `GraphClient.read`."""
        return await self._with_token(
            lambda token: self.graph.read(GraphRequest("POST", path, token, operation, body=body))
        )

    async def act(
        self,
        method: str,
        path: str,
        operation: str,
        *,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> GraphResponse:
        """Return the response to a request with an effect; see `GraphClient.act`."""
        return await self._with_token(
            lambda token: self.graph.act(GraphRequest(method, path, token, operation, headers, body))
        )

    async def _with_token(self, request: Callable[[str], Awaitable[GraphResponse]]) -> GraphResponse:
        token = await self.tokens.get()
        started_at = time.time()
        response = await request(token)
        refused: tuple[str, ...] = ()
        # 401 means that Graph did not process the request, so also a send may be repeated with another token. The
        # first may be one that another replica stored; the second is exchanged for this request.
        while response.status == 401:
            refused = (*refused, token)
            token, exchanged_at = await self.tokens.renew(refused, claims_challenge(response))
            response = await request(token)
            if response.status == 401 and (exchanged_at >= started_at or len(refused) == MAX_REFUSALS):
                await self.tokens.end_sign_in()
                break
        return response
