"""Runs checks in their order; what depends on a failed one is skipped and names it, so that one cause fails once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from m365_mcp.commands.doctor.report import Finding, finding_of
from m365_mcp.errors import Filled, InternalError, M365Error, NotChecked, UnexpectedResponse

CHECK_SECONDS = 20.0
_FAULT = "Tell the people who make this server, with the names of the check and of the error."


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


class Depends(Exception):
    """A check failed, which counts only if another one has passed; else it waits for that one.

    Args:
        error: what has to be changed.
        name: the other check.
    """

    def __init__(self, error: M365Error, name: str) -> None:
        super().__init__(error.code)
        self.error = error
        self.name = name


@dataclass(frozen=True)
class Check:
    """One thing that the doctor looks at.

    Attributes:
        name: a word of docs/doctor.md.
        run: returns when it is right. Raises Warn where something should be changed, NotChecked where it cannot be
            told, Depends where that is another check's to say, and another M365Error where something has to be changed.
        after: the checks that must pass first.
        beside: a check that fails for the same cause, if it fails with the same code.
        unless: the checks whose failure would make this one fail, too; they need not have run to their end.
        seconds: how long it may take.
    """

    name: str
    run: Callable[[], Awaitable[None]]
    after: Sequence[str] = ()
    beside: str | None = None
    unless: Sequence[str] = ()
    seconds: float = CHECK_SECONDS


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
        for name in check.unless:
            finding = self._findings.get(name)
            if finding is not None and finding.status == "fail":
                return name
        return next(filter(None, map(self._cause, check.after)), None)

    def _cause(self, name: str) -> str | None:
        """Return the check that a check has not passed for; None where it has passed, or was not run."""
        finding = self._findings.get(name)
        if finding is not None and finding.status in ("fail", "skip"):
            return finding.after or name
        return name if name in self._ends else None

    async def _find(self, check: Check) -> Finding:
        finding = await self._run(check)
        other = self._findings.get(check.beside or "")
        if other is not None and other.status == finding.status == "fail" and other.code == finding.code:
            return _waiting(check.name, other.name)
        return finding

    async def _run(self, check: Check) -> Finding:
        try:
            async with asyncio.timeout(check.seconds):
                await check.run()
        except Warn as warning:
            if warning.is_end:
                self._ends.add(check.name)
            return finding_of(check.name, "warn", warning.error)
        except Depends as failure:
            cause = self._cause(failure.name)
            return finding_of(check.name, "fail", failure.error) if cause is None else _waiting(check.name, cause)
        except NotChecked as error:
            return finding_of(check.name, "skip", error)
        except M365Error as error:
            return finding_of(check.name, "fail", error)
        except TimeoutError:
            late = Filled("The check did not end within %(seconds)s seconds.", seconds=f"{check.seconds:.0f}")
            return finding_of(check.name, "fail", UnexpectedResponse(late))
        except Exception as surprise:
            fault = Filled("The check ended with %(error)s.", error=type(surprise).__name__)
            return finding_of(check.name, "fail", InternalError(fault, advice=_FAULT))
        return Finding(check.name, "ok")


def _waiting(name: str, failed: str) -> Finding:
    return finding_of(name, "skip", waiting_for(failed), failed)


def waiting_for(name: str) -> NotChecked:
    """Return why a check was not run that depends on another one."""
    return NotChecked(Filled("The check %(name)s has to pass first.", name=name))
