"""The file of policies changes while the server runs."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from m365_mcp.mail import MailRules
from m365_mcp.metrics import Metrics
from m365_mcp.policy.decision_point import PolicyDecisionPoint, read_policies
from m365_mcp.policy.policy_set import SETTING
from m365_mcp.policy.watching import PolicyWatcher

RULES = MailRules(allowed_domains=("contoso.example",))


def policy(name: str) -> str:
    return f'@id("{name}") forbid(principal, action, resource) when {{ resource.hasBcc }};'


class Watched:
    """A file of policies, and what is in force."""

    def __init__(self, file: Path) -> None:
        self.file, self.metrics = file, Metrics()
        file.write_text(policy("first"))
        self.watcher = PolicyWatcher(PolicyDecisionPoint(read_policies(RULES, file)), RULES, file, self.metrics, 0.01)

    @property
    def in_force(self) -> list[str]:
        forbidding = self.watcher.decision_point.policies.forbidding
        return [policy.id for policy in forbidding if not policy.id.startswith(SETTING)]

    def changes(self, outcome: str) -> float:
        return self.metrics.registry.get_sample_value("m365_mcp_policy_changes_total", {"outcome": outcome}) or 0


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path / "policies.cedar")


async def test_change_is_in_force_without_a_restart(watched: Watched) -> None:
    """The policies of the settings stay, those of the file change, and the metric has the new digest alone."""
    settings_before = len(watched.watcher.decision_point.policies.forbidding)
    task = asyncio.create_task(watched.watcher.watch())
    watched.file.write_text(policy("second"))
    async with asyncio.timeout(20):
        while watched.in_force != ["second"]:  # noqa: ASYNC110 - the watcher tells nobody
            await asyncio.sleep(0.01)
    task.cancel()

    policies = watched.watcher.decision_point.policies
    samples = [sample for family in watched.metrics.registry.collect() for sample in family.samples]
    assert len(policies.forbidding) == settings_before
    assert [one.labels["digest"] for one in samples if one.name == "m365_mcp_policies"] == [policies.digest]


async def test_symbolic_link_to_another_file_is_a_change(watched: Watched, tmp_path: Path) -> None:
    """Kubernetes replaces a mounted file by pointing a symbolic link to another folder."""
    (tmp_path / "new").write_text(policy("new"))
    watched.file.unlink()
    watched.file.symlink_to(tmp_path / "new")

    await watched.watcher.look()

    assert watched.in_force == ["new"]


@pytest.mark.parametrize("content", ["permit(principal, action, resource);", "forbid(", None])
async def test_mistake_leaves_the_last_good_policies(watched: Watched, content: str | None) -> None:
    """It is counted once, however often the file is looked at; the next good content is in force again."""
    if content is None:
        watched.file.unlink()
    else:
        watched.file.write_text(content)
    for _ in range(3):
        await watched.watcher.look()
    kept = watched.in_force
    watched.file.write_text(policy("good"))
    await watched.watcher.look()

    assert kept == ["first"]
    assert watched.in_force == ["good"]
    assert (watched.changes("refused"), watched.changes("in_force")) == (1, 1)


async def test_equal_content_is_no_change(watched: Watched) -> None:
    """A file that was only touched, or came back as it was, changes nothing."""
    watched.file.write_text(policy("first"))
    await watched.watcher.look()
    watched.file.unlink()
    await watched.watcher.look()
    watched.file.write_text(policy("first"))
    await watched.watcher.look()

    assert watched.in_force == ["first"]
    assert watched.changes("in_force") == 0


async def test_without_a_file_nothing_is_watched() -> None:
    """A server without a file of policies ends the task at once, and shows what is in force."""
    metrics = Metrics()
    watcher = PolicyWatcher(PolicyDecisionPoint(read_policies(RULES, None)), RULES, None, metrics)

    await asyncio.wait_for(watcher.watch(), 20)
    await watcher.look()

    labels = {"digest": watcher.decision_point.policies.digest}
    assert metrics.registry.get_sample_value("m365_mcp_policies", labels) == 1


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="needs signals of POSIX")
async def test_signal_has_the_file_looked_at_now(watched: Watched) -> None:
    """After SIGHUP a change is in force long before the next look."""
    watched.watcher.look_seconds = 3600
    async with watched.watcher.running():
        watched.file.write_text(policy("second"))
        os.kill(os.getpid(), signal.SIGHUP)
        async with asyncio.timeout(20):
            while watched.in_force != ["second"]:  # noqa: ASYNC110 - the watcher tells nobody
                await asyncio.sleep(0.01)


async def test_file_that_nests_too_deeply_is_refused_and_the_next_one_is_read(watched: Watched) -> None:
    """Hundreds of `||` are no policy that can be read; the watcher says so and goes on."""
    many = " || ".join(f'resource.domains.contains("d{number}.example")' for number in range(600))
    watched.file.write_text(f'@id("many") forbid(principal, action, resource) when {{ {many} }};')
    await watched.watcher.look()
    refused, in_force = watched.changes("refused"), watched.in_force
    watched.file.write_text(policy("next"))
    await watched.watcher.look()

    assert (refused, in_force) == (1, ["first"])
    assert watched.in_force == ["next"]
