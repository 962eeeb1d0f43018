"""Trying again: how often, how long, after which pauses, and what stamina says of it (nothing)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from prometheus_client import REGISTRY
from stamina.instrumentation import get_on_retry_hooks, set_on_retry_hooks

from m365_mcp.errors import GraphUnavailable, MessageRefused, Throttled, Unavailable
from m365_mcp.retries import (
    JITTER,
    RetryPolicy,
    jittered,
    keep_silent,
    parse_retry_after,
    retry,
    when_unavailable,
)

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SHORT = RetryPolicy(seconds=5.0, first_pause=0.001, tries=3)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("7", 7),
        ("0", 0),
        ("-3", None),
        ("inf", None),
        ("1_0", None),
        ("９", None),
        ("9" * 400, 999999999),
        ("Mon, 23 Nov 2026 12:00:30 -0000", 30),
        ("Mon, 23 Nov 2026 12:00:30 GMT", 30),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 0),
    ],
)
def test_header_becomes_seconds(value: str | None, seconds: float | None) -> None:
    """Seconds and dates are understood, the past means now, nonsense means nothing."""
    assert parse_retry_after(value, NOON) == seconds


class Flaky:
    """Fails with the given errors, one a try, and then returns; remembers what time was left at each."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.left: list[float] = []

    async def __call__(self, left: float) -> str:
        self.left.append(left)
        if self.errors:
            raise self.errors.pop(0)
        return "done"


async def test_what_passes_is_tried_again_and_told_how_much_time_is_left() -> None:
    """Two failures, then the result; each try knows how many seconds of the policy are left."""
    flaky = Flaky(GraphUnavailable(), Throttled())

    assert await retry(SHORT, flaky, when_unavailable) == "done"
    assert len(flaky.left) == 3
    assert 5.0 >= flaky.left[0] > flaky.left[1] > flaky.left[2] > 0.0


async def test_last_failure_is_the_one_that_is_told() -> None:
    """After as many tries as the policy allows its last error is raised, with the cause it had."""
    cause = ValueError("why")
    last = Throttled()
    last.__cause__ = cause
    flaky = Flaky(GraphUnavailable(), Unavailable(), last, GraphUnavailable())

    with pytest.raises(Throttled) as raised:
        await retry(SHORT, flaky, when_unavailable)
    assert raised.value is last
    assert raised.value.__cause__ is cause
    assert len(flaky.left) == 3


async def test_what_does_not_pass_is_raised_at_once() -> None:
    """An error that the caller does not name is not tried again."""
    flaky = Flaky(MessageRefused())

    with pytest.raises(MessageRefused):
        await retry(SHORT, flaky, when_unavailable)
    assert len(flaky.left) == 1


@pytest.mark.parametrize("asked", [5.0, 11.0, 3600.0])
async def test_no_retry_after_stretches_the_deadline(asked: float) -> None:
    """A wait that is longer than the time left gets no second try and no pause."""
    flaky = Flaky(Throttled(retry_after=asked))

    async with asyncio.timeout(4):
        with pytest.raises(Throttled):
            await retry(RetryPolicy(seconds=5.0, first_pause=0.001), flaky, when_unavailable)
    assert len(flaky.left) == 1


async def test_wait_that_would_end_after_the_deadline_is_not_begun() -> None:
    """The pause counts, not only the time so far: 0.3 seconds do not fit into 0.2."""
    flaky = Flaky(Throttled(retry_after=0.3))

    with pytest.raises(Throttled):
        await retry(RetryPolicy(seconds=0.2, first_pause=0.001), flaky, when_unavailable)
    assert len(flaky.left) == 1


async def test_policy_without_time_tries_once() -> None:
    """Zero seconds mean one try, also when the other side asks for no wait at all."""
    flaky = Flaky(Throttled(retry_after=0))

    with pytest.raises(Throttled):
        await retry(RetryPolicy(seconds=0.0, first_pause=1.0), flaky, when_unavailable)
    assert len(flaky.left) == 1
    assert flaky.left[0] <= 0


@pytest.fixture
def pauses() -> Iterator[list[float]]:
    """The pauses that are made, in seconds."""
    found: list[float] = []
    set_on_retry_hooks([lambda details: found.append(details.wait_for)])
    yield found
    keep_silent()


async def test_retry_after_is_honoured_and_the_own_pause_is_the_least(pauses: list[float]) -> None:
    """The longer of what is asked and what the policy says is waited, never less, and a little more."""
    flaky = Flaky(Throttled(retry_after=0.08), Throttled(retry_after=0), Throttled())

    await retry(RetryPolicy(seconds=60.0, first_pause=0.02), flaky, when_unavailable)

    least = [0.08, 0.04, 0.08]
    assert all(low <= pause <= low * (1 + JITTER) for low, pause in zip(least, pauses, strict=True))


async def test_those_who_failed_together_do_not_come_back_together(pauses: list[float]) -> None:
    """Twenty calls with one policy wait for twenty different times."""
    policy = RetryPolicy(seconds=60.0, first_pause=0.01)

    await asyncio.gather(*(retry(policy, Flaky(GraphUnavailable()), when_unavailable) for _ in range(20)))

    assert len(set(pauses)) == 20


async def test_time_ends_tries_that_nothing_else_ends() -> None:
    """Without a number of tries the deadline ends them."""
    flaky = Flaky(*(GraphUnavailable() for _ in range(10_000)))

    with pytest.raises(GraphUnavailable):
        await retry(RetryPolicy(seconds=0.2, first_pause=0.001, longest_pause=0.002), flaky, when_unavailable)
    assert 1 < len(flaky.left) < 10_000


async def test_cancelled_try_is_over() -> None:
    """A cancellation ends it, in a try and in a pause, without another try."""
    begun: list[float] = []

    async def hang(left: float) -> None:
        begun.append(left)
        await asyncio.Event().wait()

    for try_once in (hang, Flaky(Throttled(retry_after=60))):
        task = asyncio.create_task(retry(RetryPolicy(seconds=90, first_pause=60), try_once, lambda _: True))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert len(begun) == 1


def test_pauses_grow_to_a_limit() -> None:
    """Each pause is twice the one before, up to the longest."""
    policy = RetryPolicy(seconds=60, first_pause=0.5, longest_pause=3.0)

    assert [policy.pause(failures) for failures in (1, 2, 3, 4, 5)] == [0.5, 1.0, 2.0, 3.0, 3.0]


@pytest.mark.parametrize("left", [float("inf"), 8.5, 8.0])
def test_jitter_adds_a_little_and_differs(left: float) -> None:
    """A pause gets longer by up to a quarter, by another part each time, and never longer than what is left."""
    pauses = {jittered(8.0, left) for _ in range(50)}

    assert min(pauses) >= 8.0
    assert max(pauses) <= min(8.0 * (1 + JITTER), left)
    assert len(pauses) > 1 or left == 8.0


async def test_failures_are_neither_logged_nor_counted_by_stamina(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """The text of an error stays out of the log, and the metrics of the process have no counter of stamina's."""
    set_on_retry_hooks(None)  # as in a process that has just imported stamina
    keep_silent()
    caplog.set_level(logging.DEBUG)

    await retry(SHORT, Flaky(ValueError("canary")), lambda _: True)

    printed = capsys.readouterr()
    assert get_on_retry_hooks() == ()
    assert "canary" not in printed.out + printed.err + caplog.text
    assert not [metric.name for metric in REGISTRY.collect() if "stamina" in metric.name]
