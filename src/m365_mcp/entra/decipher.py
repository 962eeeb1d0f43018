"""Pure: turns an error response of Entra's token endpoint into one of our errors.

Sources: "Microsoft Entra authentication and authorization error codes" and "OAuth 2.0 On-Behalf-Of flow". Entra warns
not to rely on the numbers alone. So a consent `suberror` decides first, then a known number, then `error`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from m365_mcp.errors import (
    AppRegistrationMistake,
    AssertionRefused,
    ClientAssertionRejected,
    ClientSecretExpired,
    ClientSecretRejected,
    ConsentMissing,
    EntraUnavailable,
    M365Error,
    PersonNotAllowed,
    SignInNeeded,
    StepUpNeeded,
)

_BY_CODE: dict[int, type[M365Error]] = {
    65001: ConsentMissing,  # no consent to the Graph permissions
    7000215: ClientSecretRejected,
    7000222: ClientSecretExpired,
    # The certificate or the federated token: expired, not registered, wrong issuer, subject, audience.
    50012: ClientAssertionRejected,
    700021: ClientAssertionRejected,
    700023: ClientAssertionRejected,
    700024: ClientAssertionRejected,
    700027: ClientAssertionRejected,
    700030: ClientAssertionRejected,
    70021: ClientAssertionRejected,
    700211: ClientAssertionRejected,
    700212: ClientAssertionRejected,
    700213: ClientAssertionRejected,
    # Conditional access and other policies that a new sign-in cannot satisfy.
    50105: PersonNotAllowed,  # not assigned to the application
    53003: PersonNotAllowed,  # blocked by conditional access
    53000: PersonNotAllowed,  # device not compliant
    53001: PersonNotAllowed,  # device not joined
    53002: PersonNotAllowed,  # application not approved
    530032: PersonNotAllowed,  # security defaults
    530035: PersonNotAllowed,
    # Entra requires more proof: multi-factor sign-in, external challenge.
    50072: StepUpNeeded,
    50074: StepUpNeeded,
    50076: StepUpNeeded,
    50078: StepUpNeeded,
    50079: StepUpNeeded,
    50158: StepUpNeeded,
    # The assertion has expired, or Entra has withdrawn its signing key.
    50013: AssertionRefused,
    500133: AssertionRefused,
    # The registration and our settings disagree.
    500131: AppRegistrationMistake,  # assertion's audience is another application
    50027: AppRegistrationMistake,
    240002: AppRegistrationMistake,
    7000114: AppRegistrationMistake,  # application may not use On-Behalf-Of
    7000218: AppRegistrationMistake,
    700016: AppRegistrationMistake,  # application not found in the tenant
    7000112: AppRegistrationMistake,  # application disabled
    90002: AppRegistrationMistake,  # tenant not found
    50194: AppRegistrationMistake,
    500011: AppRegistrationMistake,
    500112: AppRegistrationMistake,  # redirect URI differs
    650057: AppRegistrationMistake,  # permission not in the registration
    # Passing faults.
    50196: EntraUnavailable,
    90055: EntraUnavailable,
    90006: EntraUnavailable,
    90012: EntraUnavailable,
    90024: EntraUnavailable,
    90033: EntraUnavailable,
    50033: EntraUnavailable,
    50000: EntraUnavailable,
}

# Sentences that name what Microsoft requires.
_SENTENCES: dict[int, str] = {
    50072: "Microsoft asks you to register for multi-factor authentication.",
    50074: "Microsoft asks for multi-factor authentication.",
    50076: "Microsoft asks for multi-factor authentication.",
    50078: "Microsoft asks for multi-factor authentication again, because the last one was too long ago.",
    50079: "Microsoft asks you to register for multi-factor authentication.",
    50158: "Microsoft asks for the additional proof that your organisation has set up with another provider.",
    50173: "An administrator or you have revoked the sign-in with Microsoft.",
    50057: "The Microsoft account is disabled.",
    70043: "Your organisation requires a new sign-in after a set time, and this time is over.",
    700082: "The sign-in with Microsoft was not used for 90 days and has ended.",
    53000: "Your organisation allows this only from a managed device.",
    53001: "Your organisation allows this only from a device that belongs to it.",
    53003: "A conditional access policy of your organisation blocks this.",
    50105: "You are not assigned to this application in your organisation.",
}

# RFC 6749 section 5.2 and RFC 8707 section 2, and Entra's own additions.
_BY_ERROR: dict[str, type[M365Error]] = {
    "interaction_required": StepUpNeeded,
    "login_required": SignInNeeded,
    "consent_required": ConsentMissing,
    "invalid_grant": SignInNeeded,
    "temporarily_unavailable": EntraUnavailable,
    "server_error": EntraUnavailable,
    "invalid_client": ClientSecretRejected,
}

_CONSENT_REQUIRED = "consent_required"


def decipher(status: int, body: Any, *, retry_after: float | None = None) -> M365Error:
    """Return the error that a response of the token endpoint without a token means.

    Args:
        status: the HTTP status.
        body: the decoded JSON body, or None if it is not JSON.
        retry_after: the seconds of the `Retry-After` header, or None.
    """
    if status == 429 or status >= 500 or not isinstance(body, Mapping):
        return EntraUnavailable(retry_after=retry_after)
    kind = _classify(body)
    reference = _reference(body)
    if kind is EntraUnavailable:
        return EntraUnavailable(retry_after=retry_after, reference=reference)
    sentence = _sentence(body)
    if kind is StepUpNeeded:
        claims = body.get("claims")
        return StepUpNeeded(sentence, claims=claims if isinstance(claims, str) else None, reference=reference)
    return kind(sentence, reference=reference)


def _sentence(body: Mapping[str, Any]) -> str | None:
    return next((_SENTENCES[code] for code in aadsts_codes(body) if code in _SENTENCES), None)


def _classify(body: Mapping[str, Any]) -> type[M365Error]:
    if body.get("suberror") == _CONSENT_REQUIRED:
        return ConsentMissing
    for code in aadsts_codes(body):
        if code in _BY_CODE:
            return _BY_CODE[code]
    return _BY_ERROR.get(str(body.get("error")), AppRegistrationMistake)


def aadsts_codes(body: Mapping[str, Any]) -> list[int]:
    """Return the AADSTS numbers of an Entra error, from `error_codes`, or else the first one in the description."""
    listed = body.get("error_codes")
    if isinstance(listed, list) and listed:
        return [code for code in listed if isinstance(code, int)]
    return [int(found) for found in re.findall(r"AADSTS(\d+)", str(body.get("error_description", "")))[:1]]


def _reference(body: Mapping[str, Any]) -> str | None:
    codes = aadsts_codes(body)
    return f"AADSTS{codes[0]}" if codes else None
