"""A Graph that records what it is asked, and answers what it is told; and how a test looks at both."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

import httpx2

from m365_mcp.graph.client import GraphClient
from m365_mcp.graph.mailbox import Mailbox, TokenSource
from m365_mcp.metrics import Metrics

IMMUTABLE = 'IdType="ImmutableId"'
ITEM_QUERY = (
    "$select=subject,isDraft,from,toRecipients,ccRecipients,bccRecipients,replyTo"
    ",importance,isReadReceiptRequested,isDeliveryReceiptRequested"
    "&$expand=singleValueExtendedProperties($filter="
    "id eq 'String {6f1c2b1e-9a57-4f0e-8f55-3b6d1a2c4e70} Name m365-mcp-id'"
    " or id eq 'String {6f1c2b1e-9a57-4f0e-8f55-3b6d1a2c4e70} Name m365-mcp-files'"
    " or id eq 'SystemTime 0x3FEF')"
)


class Recording:
    """A Graph that gives these answers in order, then always the last; an exception breaks the connection."""

    def __init__(self, *answers: httpx2.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx2.Request] = []
        self.metrics = Metrics()
        self.ended = 0

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        await request.aread()
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx2.Response(answer.status_code, headers=answer.headers, content=answer.content)

    def client(self, **more: Any) -> GraphClient:
        http = httpx2.AsyncClient(transport=httpx2.MockTransport(self))
        return GraphClient("https://graph.example.com", http, self.metrics, **more)

    def mailbox(self) -> Mailbox:
        async def get() -> str:
            return "the-token"

        async def renew(refused: tuple[str, ...], claims: str | None) -> tuple[str, float]:
            raise AssertionError("Graph has refused no token")

        async def end_sign_in() -> None:
            raise AssertionError("the sign-in is good")

        return Mailbox(self.client(), TokenSource(get, renew, end_sign_in))

    @property
    def asked(self) -> list[tuple[str, str]]:
        """Method, and path with query below the version, of every request; readable."""
        paths = (request.url.raw_path.decode() for request in self.requests)
        return [
            (request.method, unquote(path.removeprefix("/v1.0")))
            for request, path in zip(self.requests, paths, strict=True)
        ]

    @property
    def bodies(self) -> list[Any]:
        """The JSON of every request; None where there was no body."""
        return [json.loads(request.content) if request.content else None for request in self.requests]

    def timed(self, operation: str) -> float:
        """Return how many requests the metrics have counted under this name."""
        samples = (sample for metric in self.metrics.registry.collect() for sample in metric.samples)
        label = {"operation": operation}
        return sum(one.value for one in samples if one.name == "m365_mcp_graph_seconds_count" and one.labels == label)


def says(status: int, body: Any = None, **headers: str) -> httpx2.Response:
    """Return an answer of Graph with its id of the request."""
    content = b"" if body is None else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.Response(status, headers={"request-id": "the-id", **named}, content=content)


def refuses(status: int, code: str = "", **headers: str) -> httpx2.Response:
    """Return a refusal of Graph."""
    return says(status, {"error": {"code": code, "message": "x"}}, **headers)


def person(address: str, name: str | None = None) -> dict[str, Any]:
    """Return Graph's JSON of a recipient."""
    return {"emailAddress": {"address": address, **({"name": name} if name else {})}}
