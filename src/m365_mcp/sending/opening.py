"""Opens, with the operator's settings, what counts the mail that leaves and remembers whom it went to."""

from __future__ import annotations

from m365_mcp.sending.contacts import Contacts
from m365_mcp.sending.send_limits import SendLimits
from m365_mcp.settings import Settings
from m365_mcp.storage.encryption import derive
from m365_mcp.storage.opening import Storage
from m365_mcp.storage.sliding_counts import SlidingCounts


def send_limits(settings: Settings, storage: Storage) -> SendLimits:
    """Return the operator's limits on how much leaves."""
    most = {
        "M365_SEND_HOURLY_LIMIT": settings.m365_send_hourly_limit,
        "M365_SEND_PERSON_HOURLY": settings.m365_send_person_hourly,
        "M365_SEND_PERSON_DAILY": settings.m365_send_person_daily,
        "M365_SEND_PERSON_RECIPIENTS_HOURLY": settings.m365_send_person_recipients_hourly,
        "M365_SEND_PERSON_RECIPIENTS_DAILY": settings.m365_send_person_recipients_daily,
        "M365_SEND_TOTAL_HOURLY": settings.m365_send_total_hourly,
        "M365_SEND_TOTAL_DAILY": settings.m365_send_total_daily,
        "M365_SEND_TOTAL_RECIPIENTS_HOURLY": settings.m365_send_total_recipients_hourly,
        "M365_SEND_TOTAL_RECIPIENTS_DAILY": settings.m365_send_total_recipients_daily,
    }
    secret = derive(settings.signing_secrets[0], "counted addresses")
    return SendLimits(SlidingCounts(storage.counters), most, secret, contacts_of(settings, storage))


def contacts_of(settings: Settings, storage: Storage) -> Contacts:
    """Return what remembers whom each person has written to."""
    secrets = tuple(derive(secret, "contacts") for secret in settings.signing_secrets)
    return Contacts(storage.dated_sets, secrets, settings.m365_policy_contact_days)
