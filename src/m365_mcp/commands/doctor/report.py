"""What the doctor found: one finding for each check, as JSON and with an exit code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from m365_mcp import __version__
from m365_mcp.errors import Filled, M365Error

Status = Literal["ok", "warn", "fail", "skip"]


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.

    Attributes:
        name: the check, a word of docs/doctor.md.
        status: `ok`, `warn`, `fail`, or `skip` where it could not be told.
        code: a code of docs/errors.md; None when ok.
        cause: what is the matter, one sentence; None when ok.
        fix: what to do about it, one sentence; None when ok.
        after: the check that has to pass first, for a skip that waits for one.
    """

    name: str
    status: Status
    code: str | None = None
    cause: str | None = None
    fix: str | None = None
    after: str | None = None


def finding_of(name: str, status: Status, error: M365Error, after: str | None = None) -> Finding:
    """Return what an error says about a check."""
    cause = error.sentence
    if error.reference:
        cause = Filled("%(sentence)s (%(reference)s)", sentence=Filled.of(cause), reference=error.reference)
    return Finding(name, status, error.code, cause, error.administrator_advice, after)


@dataclass(frozen=True)
class Report:
    """All findings of an examination.

    Attributes:
        target: the URL that was examined.
        findings: in the order of the checks.
    """

    target: str | None
    findings: Sequence[Finding]

    @property
    def is_ok(self) -> bool:
        """Whether no check failed."""
        return all(finding.status != "fail" for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Return the report as docs/doctor.md describes it; the time is UTC (RFC 3339)."""
        return {
            "version": __version__,
            "time": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            "target": self.target,
            "ok": self.is_ok,
            "checks": [asdict(finding) for finding in self.findings],
        }
