"""Policies for the tests of sending: none forbids anything."""

from collections.abc import Callable

from m365_mcp.graph.drafts import Drafts
from m365_mcp.person import ANONYMOUS
from m365_mcp.policy.decision_point import PolicyDecisionPoint
from m365_mcp.policy.policy_set import PolicySet
from m365_mcp.sending.policy_check import PolicyCheck
from m365_mcp.sending.send_limits import SendLimits
from m365_mcp.storage.sliding_counts import SlidingCounts
from tests.backends import make_counters


async def permitted() -> None:
    """Permit the message."""


async def run_here(work: Callable[[], frozenset[str]]) -> frozenset[str]:
    """Run the work in this thread."""
    return work()


def no_policies(drafts: Drafts) -> PolicyCheck:
    """Return a check that permits every message."""
    limits = SendLimits(SlidingCounts(make_counters()))
    return PolicyCheck(PolicyDecisionPoint(PolicySet()), ANONYMOUS, "", "", drafts, limits, run_here)
