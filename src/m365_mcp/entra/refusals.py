"""The table of Entra's refusals: which AADSTS number has which meaning, for callback, code, refresh and On-Behalf-Of.

One row is one number; `entra.meanings` has the words and the errors. docs/entra-refusals.md is made from this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from m365_mcp.entra import meanings as m
from m365_mcp.entra.meaning import Meaning

# Where a meaning is written; docs/entra-refusals.md explains the three.
Source = Literal["error codes", "other page", "reports"]


@dataclass(frozen=True)
class Refusal:
    """One number of Microsoft's.

    Attributes:
        meaning: what it means here.
        source: where that is written.
        is_confirmed: whether the source says what we take it to mean; otherwise nobody has confirmed it.
    """

    meaning: Meaning
    source: Source = "error codes"
    is_confirmed: bool = True


def _said(meaning: Meaning, *numbers: int) -> list[tuple[int, Refusal]]:
    """Return numbers whose meaning Microsoft's page of error codes confirms."""
    return [(number, Refusal(meaning)) for number in numbers]


def _written(meaning: Meaning, *numbers: int) -> list[tuple[int, Refusal]]:
    """Return numbers that other pages of Microsoft's explain."""
    return [(number, Refusal(meaning, "other page")) for number in numbers]


def _seen(meaning: Meaning, *numbers: int) -> list[tuple[int, Refusal]]:
    """Return numbers whose text people have reported; no page of Microsoft's confirms the meaning."""
    return [(number, Refusal(meaning, "reports", is_confirmed=False)) for number in numbers]


def _read_as(meaning: Meaning, *numbers: int) -> list[tuple[int, Refusal]]:
    """Return numbers that are on Microsoft's page, which does not say whether they mean this."""
    return [(number, Refusal(meaning, is_confirmed=False)) for number in numbers]


# Where Microsoft answers with several numbers, one of these says less than the others.
GENERAL = (70002, 65005)

ROWS: list[tuple[int, Refusal]] = [
    # Consent.
    *_said(m.CONSENT, 65001),
    *_said(m.ADMIN_CONSENT, 90094, 90095, 90099),
    *_read_as(m.ADMIN_CONSENT, 90093),  # the page says "forbidden"; the texts in reports ask for an administrator
    *_seen(m.ADMIN_CONSENT, 900941),
    *_said(m.DECLINED, 65004),
    # Scopes and permissions of the app registration.
    *_seen(m.SCOPE_UNKNOWN, 650053),
    *_said(m.SCOPE_UNKNOWN, 28002, 28003, 70011),
    *_said(m.PERMISSION_NOT_LISTED, 650056, 650057, 65005, 90008),
    *_seen(m.PERMISSION_NOT_LISTED, 1003031),
    *_said(m.SERVICE_MISSING, 650052, 650054),
    *_said(m.RESOURCE_UNKNOWN, 500011, 50001, 700016, 700011),
    *_seen(m.RESOURCE_UNKNOWN, 7000229, 500131),  # 500131: the assertion's audience is another application
    *_said(m.APP_DISABLED, 7000112, 70001, 1000031),
    *_seen(m.APP_DISABLED, 500014),
    # The tenant, its cloud, and which accounts the app registration serves.
    *_said(m.TENANT_UNKNOWN, 90002, 50059, 50128, 90019, 50049),
    *_said(m.TENANT_UNKNOWN, 90038, 90043, 90051, 900382, 900432),
    *_seen(m.TENANT_UNKNOWN, 5000224),
    *_said(m.TENANT_ENDPOINT, 50194, 9001023, 90124, 90130, 9002332, 700005),
    # The redirect URI and its platform.
    *_said(m.REDIRECT_URI, 50011, 70004, 900971),
    *_seen(m.REDIRECT_URI, 500112, 500113),
    *_seen(m.NO_CREDENTIAL, 9002325, 9002326),
    *_said(m.NO_CREDENTIAL, 7000218, 700025),
    # How the registration is set up otherwise.
    *_said(m.REGISTRATION, 50146, 501461, 50010, 50003, 7000114, 240002, 50027, 90009),
    # The credential of this server.
    *_said(m.SECRET_REJECTED, 7000215, 70002),
    *_said(m.SECRET_EXPIRED, 7000222),
    *_said(m.ASSERTION_REJECTED, 50012, 50048, 700027, 700030, 700229, 900384),
    *_written(m.ASSERTION_REJECTED, 70021),
    *_seen(m.ASSERTION_REJECTED, 700021, 700211, 700212, 700213, 7002137, 7002138),
    *_seen(m.ASSERTION_TIME, 700024),
    *_read_as(m.SCOPE_OR_ASSERTION, 700023),  # the page says a scope, reports say an assertion
    # Policies of the person's organisation.
    *_said(m.NOT_ASSIGNED, 50105),
    *_said(m.BLOCKED, 53003, 50131, 50005),
    *_said(m.SECURITY_DEFAULTS, 530032, 530035),
    *_said(m.DEVICE, 53000, 53001, 53002, 50129, 50155, 50187, 135011),
    *_seen(m.DEVICE, 530003),
    *_written(m.DEVICE, 530004),
    *_read_as(m.DEVICE, 50097),  # whether a new sign-in in a browser can prove the device
    *_said(m.OUT_OF_HOURS, 80012),
    *_said(m.RISK, 50053, 53004, 53010, 53011, 530034),
    *_said(m.CROSS_TENANT, 500212, 500213, 500021, 500022, 50002, 1000104),
    # The person's account.
    *_said(m.OTHER_DIRECTORY, 50020, 50034, 51004, 50014, 16000, 16003, 90072, 90084, 50177, 50178),
    *_seen(m.ACCOUNT_DELETED, 500341),
    *_said(m.ACCOUNT_TYPE, 500208),
    *_seen(m.ACCOUNT_TYPE, 500207),
    *_said(m.ACCOUNT_DISABLED, 50057),
    *_seen(m.ACCOUNT_DISABLED, 500571),
    # More proof, which a new sign-in gives.
    *_said(m.MFA, 50074, 50076),
    *_said(m.MFA_AGAIN, 50078),
    *_said(m.MFA_ENROLMENT, 50072, 50079),
    *_said(m.OTHER_PROOF, 50158),
    *_said(m.PROOF, 700020),
    # A new sign-in is all that is needed.
    *_said(m.ENDED, 70000, 70008, 700084, 50089, 50058, 50085, 50139, 50197, 90086, 9002341, 16002, 160021),
    *_said(m.ENDED, 51006),
    *_said(m.REVOKED, 50173),
    *_said(m.UNUSED, 700082),
    *_said(m.TOO_LONG_AGO, 70043),
    *_said(m.PASSWORD, 50055, 50125, 50135, 50144),
    *_seen(m.PASSWORD, 50142),
    *_said(m.PASSWORD_CHANGED, 50132, 50133),
    *_said(m.CODE_USED, 54005, 501481),
    *_seen(m.CODE_USED, 50148),
    *_said(m.NOT_FINISHED, 50140, 50143, 50199, 16001),
    *_said(m.WRONG_PASSWORD, 50056, 50064, 50126),
    *_said(m.TOKEN_REFUSED, 50013, 500133),
    # The identity provider of the organisation.
    *_said(m.IDENTITY_PROVIDER, 20001, 20012, 20033, 40008, 40009, 40015, 50008, 5000819, 50107, 50161, 90123),
    # The form of our request; `resource` beside `scope` is 9010010 since March 2026.
    *_said(m.FORM, 50147, 501491, 700022, 70003, 70005, 70007, 700054, 900144, 90004, 90014, 90015),
    *_said(m.FORM, 90023, 9002313, 90056, 900561, 90100, 90102, 901002, 90121),
    *_seen(m.FORM, 28000, 9010010),
    # Passing faults.
    *_said(m.PASSING, 50000, 50033, 50087, 90006, 90012, 90024, 90033, 90090, 90091, 40010, 70012),
    *_said(m.PASSING, 80001, 80002, 80005, 80014),
    *_said(m.TOO_OFTEN, 50088, 50166, 50196, 90055),
]
REFUSALS = dict(ROWS)
