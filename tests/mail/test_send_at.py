"""The time of send_at: what is read as a time, and the error for every other text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from m365_mcp.errors import InvalidArgument
from m365_mcp.mail import read_send_at
from tests.mail.composing import refused

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
NO_TIME = (
    "'send_at' is not a date and time.",
    "Write date, time and the person's offset from UTC, as 2027-01-15T09:00:00+01:00.",
)
NO_ZONE = ("'send_at' has no time zone.", NO_TIME[1])
PAST = (
    "'send_at' is in the past, or less than 2 minutes away.",
    "Name a later time, or send it at once with send_mail.",
)
TOO_LATE = (
    "'send_at' is more than 30 days away.",
    "Check the month and the year, or schedule it within 30 days before that time.",
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-07-01T13:00:00", NO_ZONE),
        ("2026-07-01", NO_TIME),
        ("tomorrow at nine", NO_TIME),
        ("2026-02-30T09:00:00Z", NO_TIME),
        ("0001-01-01T00:00:00+14:00", NO_TIME),
        ("2026-07-01T13:00:00Zx", NO_TIME),
        ("2026-07-0１T13:00:00Z", NO_TIME),
        ("2026-07-01T12:01:59Z", PAST),
        ("2026-07-01T14:00:00+02:30", PAST),
        ("2026-08-01T12:00:00Z", TOO_LATE),
        ("2026-07-31T12:00:01Z", TOO_LATE),
        ("2036-07-01T13:00:00Z", TOO_LATE),
    ],
)
def test_time_must_be_complete_and_within_the_limits(text: str, expected: tuple[str, str]) -> None:
    """A text that is no time, has no zone, is in the past or too late is refused with a sentence and advice."""
    with refused(InvalidArgument) as caught:
        read_send_at(text, NOON)

    assert (caught.value.sentence, caught.value.advice) == expected


@pytest.mark.parametrize(
    "text",
    [
        "2026-07-01T15:00:00+02:00",
        "2026-07-01T15:00:00+0200",
        "2026-07-01T10:30:00-02:30",
        "2026-07-01 13:00Z",
        "2026-07-01t13:00:00.5z",
        " 2026-07-01T13:00:00Z\n",
    ],
)
def test_time_is_read_in_every_common_form(text: str) -> None:
    """Any offset, with or without seconds, and with white space around it."""
    found = read_send_at(text, NOON)

    assert (found, found.tzinfo) == (datetime(2026, 7, 1, 13, tzinfo=UTC), UTC)


@pytest.mark.parametrize("away", [timedelta(minutes=2), timedelta(days=30)])
def test_nearest_and_farthest_time_are_accepted(away: timedelta) -> None:
    """Two minutes and thirty days are allowed."""
    assert read_send_at((NOON + away).isoformat(), NOON) == NOON + away
