"""Reads the time at which Exchange is to send a message."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from m365_mcp.errors import InvalidArgument

SOONEST = timedelta(minutes=2)  # Exchange may send an earlier message before this server can check that it was accepted
# Microsoft documents no limit. This one turns a wrong month or year into an error.
LATEST = timedelta(days=30)
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?", re.ASCII | re.IGNORECASE)
_EXAMPLE = "Write date, time and the person's offset from UTC, as 2027-01-15T09:00:00+01:00."


def read_send_at(text: str, now: datetime) -> datetime:
    """Return the time that `text` names, in UTC (ISO 8601, RFC 3339).

    Raises:
        InvalidArgument: the text is not a time, has no time zone, or is before `SOONEST` or after `LATEST` from `now`.
    """
    if not _DATE_TIME.fullmatch(text.strip()):
        raise InvalidArgument("'send_at' is not a date and time.", advice=_EXAMPLE)
    try:
        when = datetime.fromisoformat(text.strip().upper())
        in_utc = when.astimezone(UTC) if when.tzinfo else None
    except (ValueError, OverflowError):
        raise InvalidArgument("'send_at' is not a date and time.", advice=_EXAMPLE) from None
    if in_utc is None:
        raise InvalidArgument("'send_at' has no time zone.", advice=_EXAMPLE)
    if in_utc < now + SOONEST:
        raise InvalidArgument(
            f"'send_at' is in the past, or less than {SOONEST.seconds // 60} minutes away.",
            advice="Name a later time, or send it at once with send_mail.",
        )
    if in_utc > now + LATEST:
        raise InvalidArgument(
            f"'send_at' is more than {LATEST.days} days away.",
            advice=f"Check the month and the year, or schedule it within {LATEST.days} days before that time.",
        )
    return in_utc.replace(microsecond=0)
