"""The log of requests: names and outcomes, never a secret, token or code."""

from collections import deque
from dataclasses import dataclass

REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """Who asked for what; `fields` are the names of the form fields, `client_auth` is how the client proved itself.

    `cookies` says whether any came along, `content_range` which part of a file, `traceparent` and `baggage` are
    those of W3C Trace Context and Baggage.
    """

    id: int
    at: float
    method: str
    path: str
    grant_type: str | None = None
    person: str | None = None
    client_auth: str | None = None
    user_agent: str | None = None
    fields: tuple[str, ...] = ()
    scope: str | None = None
    resource: str | None = None
    cookies: bool = False
    content_range: str | None = None
    traceparent: str | None = None
    baggage: str | None = None


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """A request and what the client saw of the answer; `status` is None when the connection broke before one."""

    request: RequestFacts
    status: int | None
    fault: int | None = None


class RequestLog:
    """The latest requests, oldest first."""

    def __init__(self) -> None:
        self.records: deque[RequestRecord] = deque(maxlen=REMEMBERED)
        self._count = 0

    def next_id(self) -> int:
        """Return a number that no earlier request had."""
        self._count += 1
        return self._count
