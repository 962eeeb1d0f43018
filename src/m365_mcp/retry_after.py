"""Pure: how long a `Retry-After` header asks to wait."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MAX_DIGITS = 9  # thirty years; a longer number means the same


def parse_retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Return the seconds to wait, or None when the header is missing or cannot be read.

    Both forms of RFC 9110 section 10.2.3 are understood: seconds and an HTTP date.
    """
    if value is None:
        return None
    if value.isascii() and value.isdigit():
        return float(value[:MAX_DIGITS])
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    # A date with the zone "-0000" says that it is UTC and that the zone is unknown; Python reads it without a zone.
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())
