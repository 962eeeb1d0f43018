"""The check of Microsoft Graph."""

from __future__ import annotations

from dataclasses import dataclass

import httpx2

from m365_mcp.commands.doctor.examination import Check
from m365_mcp.commands.doctor.reaching import get
from m365_mcp.errors import Filled, UnexpectedResponse


@dataclass(frozen=True)
class GraphCheck:
    """Whether Graph at `url` can be reached with the client for Graph."""

    url: str
    http: httpx2.AsyncClient

    def check(self) -> Check:
        """Return the check."""
        return Check("graph_connection", self.connect, ("settings",), beside="entra_connection")

    async def connect(self) -> None:
        """Return when Graph refuses a request without a token with its own error code."""
        response = await get(self.http, f"{self.url}/v1.0/me")
        try:
            code = response.json()["error"]["code"]
        except (ValueError, KeyError, TypeError):
            code = None
        if code != "InvalidAuthenticationToken":
            raise UnexpectedResponse(Filled("What responds at %(url)s is not Microsoft Graph.", url=self.url))
