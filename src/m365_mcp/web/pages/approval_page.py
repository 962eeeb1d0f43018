"""What the pages show of a mail that waits for its sender's approval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from m365_mcp.auth.passkeys import Passkey
from m365_mcp.mail import Recipient
from m365_mcp.sending.approvals import PATH, ShownMail
from m365_mcp.sending.held_mail import HeldMail
from m365_mcp.urls import escape_path

SETTING = "setting:M365_SEND_APPROVAL"
_KIB = 1024
# The text of the mail: no script, nothing from elsewhere, and only in a frame of the page.
BODY_HEADERS = {
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
    "X-Frame-Options": "SAMEORIGIN",
}


def values(shown: ShownMail, base_path: str, now: float) -> dict[str, Any]:
    """Return what the page of one mail shows.

    Args:
        shown: the mail.
        base_path: path of the public URL, without a slash at its end.
        now: epoch seconds.
    """
    mail = shown.mail
    return {
        "sender": str(shown.sender.address),
        "people": {field: _people(group, shown) for field, group in shown.people.items()},
        "subject": shown.subject,
        "files": [(name, _size(size)) for name, size in shown.files],
        "body_path": f"{escape_path(base_path)}{PATH}/{mail.id}/body",
        "is_of_setting": mail.rule == SETTING,
        "has_outside": bool(shown.outside),
        "rule": mail.rule,
        "send_at": shown.send_at,
        "importance": shown.importance,
        "wants_read_receipt": shown.wants_read_receipt,
        "wants_delivery_receipt": shown.wants_delivery_receipt,
        "minutes": _minutes(mail, now),
        "digest": shown.digest,
        "challenge_path": f"{escape_path(base_path)}{PATH}/{mail.id}/challenge",
        "passkeys_path": passkeys_path(base_path),
    }


def passkeys_path(base_path: str) -> str:
    """Return the path of the page where people change their passkeys."""
    return f"{escape_path(base_path)}{PATH}/passkeys"


def passkey_row(passkey: Passkey) -> dict[str, Any]:
    """Return what the list shows of one passkey."""
    used = None if passkey.used_at is None else _day(passkey.used_at)
    return {"id": passkey.id, "name": passkey.name, "added": _day(passkey.added_at), "used": used}


def row(mail: HeldMail, base_path: str, now: float) -> dict[str, Any]:
    """Return what the list shows of one mail."""
    return {
        "subject": mail.subject,
        "addresses": mail.addresses,
        "path": f"{escape_path(base_path)}{PATH}/{mail.id}",
        "minutes": _minutes(mail, now),
    }


def _people(group: Sequence[Recipient], shown: ShownMail) -> list[tuple[str, str, bool, bool]]:
    """Return name, address, whether it is outside, and whether it gets mail for the first time, of each recipient."""
    return [(one.name or "", one.address, one.key in shown.outside, one.key in shown.first_time) for one in group]


def _minutes(mail: HeldMail, now: float) -> int:
    return max(1, math.floor((mail.expires_at - now) / 60))


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


def _size(size: int) -> str:
    return f"{math.ceil(size / _KIB):,} KB" if size < _KIB * _KIB else f"{size / _KIB / _KIB:,.1f} MB"
