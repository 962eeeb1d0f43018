"""Watches the file of policies: a change is in force within seconds, and a mistake in it leaves the last good ones."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from m365_mcp import logs
from m365_mcp.errors import SettingsMistake
from m365_mcp.mail import MailRules
from m365_mcp.metrics import Metrics
from m365_mcp.policy.decision_point import PolicyDecisionPoint, policies_from, read_file
from m365_mcp.policy.policy_set import PolicySet

LOOK_SECONDS = 2.0
_log = logs.get(__name__)


@dataclass(frozen=True)
class PoliciesChanged:
    """The file of policies has changed.

    Attributes:
        digest: the digest of the policies in force afterwards.
        policies: how many of them forbid something.
        is_in_force: whether they are those of the file now; if not, the file has a mistake.
    """

    digest: str
    policies: int
    is_in_force: bool


def _ignore(_: PoliciesChanged) -> None:
    return


@dataclass
class PolicyWatcher:
    """Replaces the policies in force when the content of their file changes.

    It compares the content and not the time of the file: Kubernetes replaces a mounted file by a symbolic link.

    Attributes:
        decision_point: gets the new policies.
        rules: the operator's choices about mail, whose policies stay.
        file: the file of policies; None: there is nothing to watch.
        metrics: counts the changes, and shows which policies are in force.
        look_seconds: how long a change may stay unseen.
        observe: is told of each change, also of one with a mistake.
    """

    decision_point: PolicyDecisionPoint
    rules: MailRules
    file: Path | None
    metrics: Metrics
    look_seconds: float = LOOK_SECONDS
    observe: Callable[[PoliciesChanged], None] = _ignore
    _seen: str | None = field(default=None, init=False, repr=False)
    _mistake: str | None = field(default=None, init=False)
    _shown: str | None = field(default=None, init=False)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Watch the file while the block runs; SIGHUP has it looked at in this moment."""
        signalled = asyncio.Event()
        tasks = [asyncio.create_task(self.watch()), asyncio.create_task(self._look_when(signalled))]
        if hasattr(signal, "SIGHUP") and self.file is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, signalled.set)
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()

    async def _look_when(self, signalled: asyncio.Event) -> None:
        while await signalled.wait():
            signalled.clear()
            await self.look()

    async def watch(self) -> None:
        """Look at the file again and again, until this task is cancelled."""
        self._show()
        while self.file is not None:
            await asyncio.sleep(self.look_seconds)
            await self.look()

    async def look(self) -> None:
        """Read the file; put its policies in force if they are new and valid."""
        if self.file is None:
            return
        try:
            text = await asyncio.to_thread(read_file, self.file)
            if text == self._seen:
                return
            self._seen = text
            policies = await asyncio.to_thread(policies_from, self.rules, text)
        except SettingsMistake as mistake:
            self._refuse(mistake.mistakes[0][1])
            return
        except Exception as error:
            self._refuse(f"they cannot be read ({type(error).__name__})")
            return
        self._mistake = None
        if policies.digest != self.decision_point.policies.digest:
            self._replace(policies)

    def _replace(self, policies: PolicySet) -> None:
        self.decision_point.policies = policies
        self.metrics.policy_changes.labels("in_force").inc()
        self._show()
        _log.info("policies_changed", digest=policies.digest, policies=len(policies.forbidding))
        self._tell(is_in_force=True)

    def _refuse(self, mistake: str) -> None:
        if mistake != self._mistake:
            self._mistake = mistake
            self.metrics.policy_changes.labels("refused").inc()
            _log.error("policies_refused", mistake=mistake, in_force=self.decision_point.policies.digest)
            self._tell(is_in_force=False)

    def _tell(self, *, is_in_force: bool) -> None:
        policies = self.decision_point.policies
        self.observe(PoliciesChanged(policies.digest, len(policies.forbidding), is_in_force))

    def _show(self) -> None:
        digest = self.decision_point.policies.digest
        self.metrics.show_policies(digest, self._shown or digest)
        self._shown = digest
