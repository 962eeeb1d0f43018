"""Runs checks in their order; what depends on a failed one is skipped and names it, so that one cause fails once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from m365_mcp.commands.doctor.report import Finding, finding_of
from m365_mcp.errors import M365Error, NotChecked, UnexpectedResponse

CHECK_SECONDS = 20.0


class Warn(Exception):
    """A check passed, with something that should be changed.

    Args:
        error: what should be changed.
        is_end: whether the checks that depend on this one cannot run.
    """

    def __init__(self, error: M365Error, *, is_end: bool = False) -> None:
        super().__init__(error.code)
        self.error = error
        self.is_end = is_end


@dataclass(frozen=True)
class Check:
    """One thing that the doctor looks at.

    Attributes:
        name: a word of docs/doctor.md.
        run: returns when it is right. Raises Warn where something should be changed, NotChecked where it cannot be
            told, and another M365Error where something has to be changed.
        after: the checks that must pass first.
        beside: a check that fails for the same cause, if it fails with the same code.
        unless: a check whose failure would make this one fail, too; it need not have run to its end.
    """

    name: str
    run: Callable[[], Awaitable[None]]
    after: Sequence[str] = ()
    beside: str | None = None
    unless: str | None = None


class Examination:
    """Runs checks one after another.

    Args:
        watch: is told the name of the check that begins.
    """

    def __init__(self, watch: Callable[[str], object] = str) -> None:
        self._watch = watch
        self._findings: dict[str, Finding] = {}
        self._ends: set[str] = set()

    async def run(self, checks: Iterable[Check]) -> list[Finding]:
        """Return a finding of each check; each stands behind those that it depends on."""
        for check in checks:
            self._watch(check.name)
            failed = self._failed(check)
            self._findings[check.name] = await self._find(check) if failed is None else _waiting(check.name, failed)
        return list(self._findings.values())

    def _failed(self, check: Check) -> str | None:
        """Return the check that this one has to wait for; the first cause where that one waits, too."""
        of_unless = self._findings.get(check.unless or "")
        if of_unless is not None and of_unless.status == "fail":
            return of_unless.name
        for name in check.after:
            finding = self._findings.get(name)
            if finding is None:
                continue
            if finding.status in ("fail", "skip"):
                return finding.after or name
            if name in self._ends:
                return name
        return None

    async def _find(self, check: Check) -> Finding:
        finding = await self._run(check)
        other = self._findings.get(check.beside or "")
        if other is not None and other.status == finding.status == "fail" and other.code == finding.code:
            return _waiting(check.name, other.name)
        return finding

    async def _run(self, check: Check) -> Finding:
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await check.run()
        except Warn as warning:
            if warning.is_end:
                self._ends.add(check.name)
            return finding_of(check.name, "warn", warning.error)
        except NotChecked as error:
            return finding_of(check.name, "skip", error)
        except M365Error as error:
            return finding_of(check.name, "fail", error)
        except TimeoutError:
            late = UnexpectedResponse(f"The check did not end within {CHECK_SECONDS:.0f} seconds.")
            return finding_of(check.name, "fail", late)
        return Finding(check.name, "ok")


def _waiting(name: str, failed: str) -> Finding:
    return finding_of(name, "skip", NotChecked(f"The check {failed} has to pass first."), failed)
