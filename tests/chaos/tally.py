"""What clients saw, counted: each answer with its path, status and seconds, and each sign-in that was forced. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

PATIENCE_SECONDS = 12.0
"""Within this every request has an answer: the server gives Microsoft ten seconds, another replica eleven."""

NO_ANSWER, CUT, REFUSED = "no answer", "cut", "refused"
PASSING = frozenset({"unavailable", "storage_unavailable", "entra_unavailable", "graph_unavailable", "throttled"})
"""Codes of a tool's own answer that say: try again later."""


@dataclass(frozen=True)
class Answer:
    """One request as its client saw it.

    Attributes:
        path: what was asked.
        status: the HTTP status, or in words why there is none.
        seconds: until the answer was there.
        waits: whether it said when to come back.
        code: what a tool's own error is called, or what else was wrong with a 200.
        who: whose client it was.
    """

    path: str
    status: int | str
    seconds: float
    waits: bool = False
    code: str = ""
    who: str = ""

    @property
    def is_right(self) -> bool:
        """Whether this is success, or an outage that says so and when to come back."""
        if self.status == 503:
            return self.waits
        return self.status in (200, 201) and self.code in ("", *PASSING)


@dataclass
class Tally:
    """The answers of one phase."""

    answers: list[Answer] = field(default_factory=list)
    forced_sign_ins: list[str] = field(default_factory=list)
    under_way: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Requests by client and path that were under way at some time of the phase, answered in it or not."""

    def count(self, status: int | str) -> int:
        """Return how many requests ended like this."""
        return sum(answer.status == status for answer in self.answers)

    def count_of(self, who: str, *paths: str) -> int:
        """Return how many requests of one client to these paths were under way at some time of the phase."""
        return sum(self.under_way[who, path] for path in paths)

    @property
    def told_later(self) -> int:
        """How many tools said themselves, in a 200, that it should be tried again later."""
        return sum(answer.status == 200 and answer.code in PASSING for answer in self.answers)

    @property
    def slowest(self) -> float:
        """Seconds until the slowest answer."""
        return max((answer.seconds for answer in self.answers), default=0.0)

    @property
    def wrong(self) -> list[Answer]:
        """Answers that should not be; a connection that broke or was refused is no answer, and counted by itself."""
        return [a for a in self.answers if not a.is_right and a.status not in (NO_ANSWER, CUT, REFUSED)]
