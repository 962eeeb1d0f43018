"""Limits on what leaves: each of them, what counts, what the person hears, and races of three replicas."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import nullcontext, suppress

import pytest
from redis.asyncio import Redis as Client

from m365_mcp.errors import InvalidArgument, MessageRefused, OutcomeUnknown, RateLimited, StorageUnavailable
from m365_mcp.person import PersonId
from m365_mcp.policy.facts import SendCounts
from m365_mcp.sending.send_limits import LIMITS, SendLimits, mailbox_of
from m365_mcp.storage.counter_floors import FlooredCounters
from m365_mcp.storage.counters import COLLECTION, RedisCounters
from m365_mcp.storage.guard import Guard
from m365_mcp.storage.redis_client import connect
from m365_mcp.storage.sliding_counts import SlidingCounts
from tests.backends import make_counters, one_node
from tests.e2e.programs import Redis

ADA, GRACE = PersonId("t", "ada"), PersonId("t", "grace")
NOON = 1_000_000 * 3600.0
TO = ("a@x.example", "b@x.example")


class Limits:
    """Limits over one store, with a clock that the test moves."""

    def __init__(self, **most: int) -> None:
        self.now = NOON
        self.limits = SendLimits(SlidingCounts(make_counters(), lambda: self.now), most, b"secret")

    async def send(self, *addresses: str, by: PersonId = ADA, error: Exception | None = None) -> None:
        """Send one message to these addresses, which Graph accepts or answers with this error."""
        async with self.limits.counting(by, addresses or TO):
            if error is not None:
                raise error

    async def counts(self, person: PersonId = ADA) -> SendCounts:
        return await self.limits.before_this(person)


# What may leave just before each limit, with two recipients in each message.
SENTENCES = {
    "M365_SEND_HOURLY_LIMIT": (3, "You have reached the limit of 3 messages an hour to one of the recipients."),
    "M365_SEND_PERSON_HOURLY": (3, "You have reached the limit of 3 messages an hour for one person."),
    "M365_SEND_PERSON_DAILY": (3, "You have reached the limit of 3 messages a day for one person."),
    "M365_SEND_PERSON_RECIPIENTS_HOURLY": (
        1, "The message would exceed the limit of 3 recipients an hour for one person.",
    ),
    "M365_SEND_PERSON_RECIPIENTS_DAILY": (
        1, "The message would exceed the limit of 3 recipients a day for one person.",
    ),
    "M365_SEND_TOTAL_HOURLY": (3, "The organization has reached its limit of 3 messages an hour."),
    "M365_SEND_TOTAL_DAILY": (3, "The organization has reached its limit of 3 messages a day."),
    "M365_SEND_TOTAL_RECIPIENTS_HOURLY": (
        1, "The message would exceed the organization's limit of 3 recipients an hour.",
    ),
    "M365_SEND_TOTAL_RECIPIENTS_DAILY": (
        1, "The message would exceed the organization's limit of 3 recipients a day.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("variable", LIMITS)
async def test_g22_limit_holds_names_itself_and_ends(variable: str) -> None:
    """G22: what goes over a limit is refused with its sentence and the time to wait, after which it may leave."""
    fitting, sentence = SENTENCES[variable]
    one = Limits(**{variable: 3})
    for _ in range(fitting):
        await one.send()
    with pytest.raises(RateLimited) as caught:
        await one.send()
    refused = caught.value
    assert refused.retry_after is not None
    one.now += refused.retry_after - 1
    with pytest.raises(RateLimited):
        await one.send()
    one.now += 1
    await one.send()

    assert (refused.code, refused.sentence) == ("rate_limited", sentence)
    assert refused.advice.endswith(f"The operator sets {variable}.")
    is_daily = variable.endswith("DAILY")
    assert refused.retry_after == (26 * 3600 if is_daily else 70 * 60)
    assert ("try again in 26 hours" if is_daily else "try again in 70 minutes") in refused.advice


async def test_g23_other_people_are_not_limited_by_one_person() -> None:
    """G23: Ada's messages count for her and for everybody together, and not for Grace."""
    one = Limits(M365_SEND_PERSON_HOURLY=2, M365_SEND_HOURLY_LIMIT=2, M365_SEND_TOTAL_HOURLY=5)
    for person in (ADA, ADA, GRACE, GRACE):
        await one.send(by=person)
    with pytest.raises(RateLimited, match="for one person"):
        await one.send("c@x.example")
    await one.send("c@x.example", by=PersonId("t", "linus"))
    with pytest.raises(RateLimited, match="organization"):
        await one.send("c@x.example", by=PersonId("t", "eve"))


async def test_without_a_limit_any_number_leaves_and_is_counted() -> None:
    """0 is no limit; a policy may ask for the counts all the same."""
    one = Limits(**dict.fromkeys(LIMITS, 0))
    for _ in range(100):
        await one.send()
    one.now += 2 * 3600

    assert await one.counts() == SendCounts(0, 100, 0, 200, 0, 100, 0, 200)


@pytest.mark.parametrize(("error", "counted"), [(MessageRefused(), 1), (OutcomeUnknown(), 2), (ValueError(), 2)])
async def test_only_what_may_have_left_is_counted(error: Exception, counted: int) -> None:
    """A refused message is taken back in every count, also when the hour has ended meanwhile."""
    one = Limits(M365_SEND_HOURLY_LIMIT=2)
    await one.send()

    async def send_for_an_hour() -> None:
        async with one.limits.counting(ADA, TO):
            one.now += 1800
            raise error

    with pytest.raises(type(error)) as caught:
        await send_for_an_hour()

    assert caught.value is error
    counts = await one.counts()
    assert (counts.person_messages_hour, counts.company_recipients_day) == (counted, 2 * counted)
    with pytest.raises(RateLimited) if counted == 2 else nullcontext():
        await one.send()


async def test_refused_message_counts_for_nobody() -> None:
    """What goes over one limit leaves the counts of the others as they were."""
    one = Limits(M365_SEND_HOURLY_LIMIT=1)
    await one.send("a@x.example")
    for _ in range(5):
        with pytest.raises(RateLimited):
            await one.send("a@x.example", "b@x.example")
    await one.send("b@x.example")

    assert (await one.counts()).person_messages_hour == 2


async def test_g24_h6_plus_addresses_are_one_mailbox() -> None:
    """G24: a tag after a plus and the case of letters make no other address of a mailbox."""
    one = Limits(M365_SEND_HOURLY_LIMIT=2)
    await one.send("ada+news@contoso.example", "ADA+other@Contoso.example")
    await one.send("Ada@contoso.example")
    with pytest.raises(RateLimited):
        await one.send("ada+third@CONTOSO.example.")
    await one.send("ad+a@contoso.example")

    assert mailbox_of("+tag@contoso.example") == "+tag@contoso.example"


async def test_longest_wait_is_told() -> None:
    """Where two limits are reached, one wait is enough."""
    one = Limits(M365_SEND_PERSON_HOURLY=1, M365_SEND_PERSON_DAILY=1, M365_SEND_TOTAL_HOURLY=1)
    await one.send()
    with pytest.raises(RateLimited, match="a day for one person"):
        await one.send()


async def test_message_that_never_fits_is_not_told_to_wait() -> None:
    """A message with more recipients than a limit allows has to be divided."""
    one = Limits(M365_SEND_PERSON_RECIPIENTS_DAILY=2)
    with pytest.raises(InvalidArgument) as caught:
        await one.send("a@x.example", "b@x.example", "c@x.example")
    await one.send()

    assert caught.value.sentence == "The message would exceed the limit of 2 recipients a day for one person."
    assert caught.value.advice == (
        "Write to fewer people at a time. The operator sets M365_SEND_PERSON_RECIPIENTS_DAILY."
    )


async def test_policies_are_told_what_was_counted_before_this_send() -> None:
    """Concurrent sends see each other in order, and none sees itself; outside of a send all are counted."""
    one = Limits()
    seen: list[int] = []
    gate = asyncio.Barrier(5)

    async def send() -> None:
        async with one.limits.counting(ADA, TO):
            await gate.wait()
            counts = await one.counts()
            assert counts.person_recipients_day == 2 * counts.person_messages_hour
            seen.append(counts.company_messages_day)

    await asyncio.gather(*(send() for _ in range(5)))

    assert sorted(seen) == [0, 1, 2, 3, 4]
    assert await one.counts() == SendCounts(5, 5, 10, 10, 5, 5, 10, 10)
    assert await one.counts(GRACE) == SendCounts(0, 0, 0, 0, 5, 5, 10, 10)


@pytest.fixture
async def clients(redis: Redis) -> AsyncIterator[Sequence[Client]]:
    """The connections of three replicas to one Redis, with time for a busy machine."""
    clients = [connect(f"{redis.url}?socket_timeout=30&timeout=60") for _ in range(3)]
    await clients[0].flushall()
    yield clients
    for client in clients:
        await client.aclose()


def replicas_of(clients: Sequence[Client], **most: int) -> list[SendLimits]:
    stores = [FlooredCounters(RedisCounters(one_node(one), Guard(64, 60, 60)), clock=lambda: NOON) for one in clients]
    return [SendLimits(SlidingCounts(store, lambda: NOON), most, b"secret") for store in stores]


async def race(replicas: Sequence[SendLimits], sends: int, *addresses: str) -> tuple[int, int]:
    """Have people send at the same time over all replicas; every fifth is refused. Return how many left, and limits."""
    left, limited = list[int](), list[int]()
    people = [PersonId("t", f"person {number}") for number in range(2)]

    async def send(number: int) -> None:
        with suppress(MessageRefused):
            try:
                async with replicas[number % 3].counting(people[number % 2], addresses or TO):
                    if number % 5 == 4:
                        raise MessageRefused
                    left.append(number)
            except RateLimited:
                limited.append(number)

    await asyncio.gather(*(send(number) for number in range(sends)))
    return len(left), len(limited)


@pytest.mark.parametrize(
    ("variable", "most", "allowed"),
    [
        ("M365_SEND_PERSON_HOURLY", 20, 40),
        ("M365_SEND_PERSON_RECIPIENTS_DAILY", 41, 40),
        ("M365_SEND_TOTAL_DAILY", 31, 31),
        ("M365_SEND_HOURLY_LIMIT", 13, 26),
    ],
)
@pytest.mark.sample(1)
async def test_g22_limit_holds_in_a_race_of_three_replicas(
    clients: Sequence[Client], variable: str, most: int, allowed: int
) -> None:
    """G22: of 240 at once never one more leaves than allowed; what was refused is given back, to the last message."""
    replicas = replicas_of(clients, **{variable: most})

    left, limited = await race(replicas, 240)
    room = 0
    while more := (await race(replicas, 2))[0]:  # each of the two people once, until both are limited
        room += more

    assert limited > 0
    assert left <= allowed
    assert left + room == allowed
    assert (await replicas[0].before_this(ADA)).company_messages_day == allowed


async def test_counting_costs_one_round_trip(clients: Sequence[Client]) -> None:
    """Two transactions at the same time, whatever limits there are; no name in the store is an address."""
    replica = replicas_of(clients, **dict.fromkeys(LIMITS, 100))[0]
    await clients[0].config_resetstat()

    async with replica.counting(ADA, TO):
        pass

    assert (await clients[1].info("commandstats"))["cmdstat_exec"]["calls"] == 2
    names = [name async for name in clients[1].scan_iter(f"{COLLECTION}:*")]
    assert len(names) == 4
    assert not any("x.example" in name for name in names)
    assert sum(f"{{{ADA.digest()[:16]}}}" in name for name in names) == 3


async def test_no_count_no_send(redis: Redis) -> None:
    """While the store does not respond, the block does not run."""
    client = connect("redis://127.0.0.1:1")
    replica = replicas_of([client])[0]
    with pytest.raises(StorageUnavailable):
        async with replica.counting(ADA, TO):
            raise AssertionError("sent")
    await client.aclose()
