"""Finds in FastMCP's store which sign-in a request belongs to: by transaction id (the `state` at Entra), or by code.

FastMCP 4.2 has no place for our own data in its records. `UpstreamClient` therefore puts the reference of the sign-in
into Entra's token response, which FastMCP keeps with the code until the client redeems it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from m365_mcp.auth.sign_in_events import Attempt, reference_of

_FIELD = "m365_sign_in"


@dataclass(frozen=True)
class SignInRecords:
    """FastMCP's records of sign-ins.

    Attributes:
        transactions: running sign-ins, by transaction id.
        codes: codes of ours, with Entra's tokens.
        clients: registered clients.
    """

    transactions: Any
    codes: Any
    clients: Any

    async def add_transaction(self, attempt: Attempt, transaction_id: str) -> None:
        """Add to `attempt` what is known of a transaction. Raises StorageUnavailable."""
        attempt.sign_in = reference_of(transaction_id)
        found = await self.transactions.get(key=transaction_id)
        if found is None:
            return
        attempt.began_at = found.created_at
        attempt.client_id, attempt.redirect_uri = found.client_id, found.client_redirect_uri
        client = await self.clients.get(key=found.client_id)
        attempt.client_name = None if client is None else client.client_name

    async def add_code(self, attempt: Attempt, code: str) -> None:
        """Add to `attempt` what is known of one of our codes. Raises StorageUnavailable."""
        found = await self.codes.get(key=code)
        if found is not None:
            describe_code(attempt, found)


def describe_code(attempt: Attempt, found: Any) -> None:
    """Add to `attempt` what FastMCP's record of one of our codes says."""
    attempt.client_id, attempt.redirect_uri = found.client_id, found.redirect_uri
    known = found.idp_tokens.get(_FIELD, {})  # a code that another version has issued has none
    attempt.sign_in, attempt.began_at = known.get("reference"), known.get("began_at")
    attempt.browser = known.get("address")


def with_sign_in(tokens: Mapping[str, Any], attempt: Attempt) -> dict[str, Any]:
    """Return Entra's token response with the sign-in that it belongs to, if that is known."""
    if attempt.sign_in is None:
        return dict(tokens)
    address = {} if attempt.address is None else {"address": attempt.address}
    return {**tokens, _FIELD: {"reference": attempt.sign_in, "began_at": attempt.began_at, **address}}
