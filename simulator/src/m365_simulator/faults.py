"""Planned faults: where a fault strikes, how often, what the client sees, and whether the request has its effect first.

A fault with `when="before"` keeps the request from having any effect, and so does `when="halfway"`, which first lets
half of the request's body come in (only an upload is struck in the middle; other bodies were read as a whole). With
`when="after"` the request is carried out (the mail is in the outbox), and only then the client is shown the failure.
"""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

from m365_simulator.request_log import RequestFacts

_EXACT = {"extra": "forbid"}


@dataclass(frozen=True, slots=True)
class Where:
    """Which requests are struck; what is left out matches everything. `path` is a glob (`/v1.0/me/*`)."""

    __pydantic_config__ = _EXACT

    method: str | None = None
    path: str = "*"
    grant_type: str | None = None
    person: str | None = None

    def matches(self, request: RequestFacts) -> bool:
        """Return whether this request is meant."""
        return (
            self.method in (None, request.method)
            and fnmatchcase(request.path, self.path)
            and self.grant_type in (None, request.grant_type)
            and self.person in (None, request.person)
        )


@dataclass(frozen=True, slots=True)
class What:
    """What the client sees. Without `status` and `reset` the request is carried out in any case.

    Its real answer is then used: late, stalled, zipped or with more headers, as asked.
    """

    __pydantic_config__ = _EXACT

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: dict[str, object] | list[object] | str | None = None
    """An object becomes JSON, a text is sent as it is, None is an empty body."""
    html: bool = False
    """Send `body` (or a gateway's stock page) as text/html."""
    gzip: bool = False
    delay_seconds: float = 0.0
    """Wait before the response line."""
    stall: bool = False
    """Stop in the middle of the body and send nothing more."""
    reset: bool = False
    """Reset the TCP connection instead of answering."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A planned fault: it lets `skip` matching requests pass, then strikes `times` times (None: always)."""

    __pydantic_config__ = _EXACT

    what: What
    where: Where = field(default_factory=Where)
    when: Literal["before", "halfway", "after"] = "before"
    skip: int = 0
    times: int | None = 1


@dataclass(slots=True)
class ArmedFault:
    """A fault in the list, with what is left of it."""

    id: int
    fault: Fault
    skip_left: int
    times_left: int | None
    struck: int = 0

    def strikes(self, request: RequestFacts) -> bool:
        """Return whether it strikes this request, and count."""
        if self.times_left == 0 or not self.fault.where.matches(request):
            return False
        if self.skip_left > 0:
            self.skip_left -= 1
            return False
        if self.times_left is not None:
            self.times_left -= 1
        self.struck += 1
        return True


class FaultList:
    """All faults, oldest first; the first one that strikes decides."""

    def __init__(self) -> None:
        self.armed: list[ArmedFault] = []
        self._count = 0

    def add(self, fault: Fault) -> ArmedFault:
        """Arm a fault."""
        self._count += 1
        armed = ArmedFault(self._count, fault, fault.skip, fault.times)
        self.armed.append(armed)
        return armed

    def strike(self, request: RequestFacts) -> ArmedFault | None:
        """Return the fault that strikes this request."""
        return next((armed for armed in self.armed if armed.strikes(request)), None)
