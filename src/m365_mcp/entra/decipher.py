"""Pure: turns an error response of Entra, at the token endpoint or at the callback, into one of our errors.

Sources: "Microsoft Entra authentication and authorization error codes" and "OAuth 2.0 On-Behalf-Of flow". Entra uses
one `error` for different reasons (`invalid_client` for an unknown scope, `access_denied` for missing consent). So a
known number decides first (see `entra.refusals`), then a clear `suberror`, then `error`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from m365_mcp.entra import meanings
from m365_mcp.entra.meaning import Meaning
from m365_mcp.entra.refusals import GENERAL, REFUSALS
from m365_mcp.errors import EntraUnavailable, M365Error, StepUpNeeded

# What RFC 6749 section 5.2, OpenID Connect Core section 3.1.2.6 and Microsoft say of an `error` without a number.
_BY_ERROR: dict[str, Meaning] = {
    "access_denied": meanings.DECLINED,
    "consent_required": meanings.CONSENT,
    "interaction_required": meanings.PROOF,
    "invalid_client": meanings.SECRET_REJECTED,
    "invalid_grant": meanings.ENDED,
    "invalid_resource": meanings.RESOURCE_UNKNOWN,
    "invalid_scope": meanings.SCOPE_UNKNOWN,
    "invalid_target": meanings.FORM,
    "login_required": meanings.ENDED,
    "server_error": meanings.PASSING,
    "temporarily_unavailable": meanings.PASSING,
    "unauthorized_client": meanings.REGISTRATION,
}
# These have one meaning, so they also decide when Microsoft adds a number that is not in the table.
_UNAMBIGUOUS = {"consent_required", "interaction_required", "login_required", "temporarily_unavailable"}
# Microsoft's authentication libraries (MSAL) know these, too. With two of them the refresh token is worth nothing.
_BY_SUBERROR: dict[str, Meaning] = {
    "bad_token": meanings.ENDED,
    "consent_required": meanings.CONSENT,
    "token_expired": meanings.ENDED,
}
# Anyone can write the text of a callback, so a number is as long as Microsoft's are and no longer.
_NUMBER = re.compile(r"AADSTS([0-9]{4,8})(?![0-9])")
_NUMBER_IN_ADDRESS = re.compile(r"[?&]code=([0-9]{4,8})(?![0-9])")


def decipher(status: int, body: Any, *, retry_after: float | None = None) -> M365Error:
    """Return the error that a response of Entra without a token, or the query of its callback, means.

    Args:
        status: the HTTP status; 400 for a callback.
        body: the decoded JSON body or the query, or None if it is not JSON.
        retry_after: the seconds of the `Retry-After` header, or None.
    """
    if status == 429 or status >= 500 or not isinstance(body, Mapping):
        return EntraUnavailable(retry_after=retry_after)
    meaning = _meaning(body)
    error = _error(meaning, body, retry_after)
    error.needs_administrator = meaning.needs_administrator
    if meaning.for_person or meaning.needs_administrator:
        error.for_person = meaning.for_person
    if meaning.for_administrator:
        error.for_administrator = meaning.for_administrator
    return error


def _error(meaning: Meaning, body: Mapping[str, Any], retry_after: float | None) -> M365Error:
    reference = _reference(body)
    if meaning.kind is EntraUnavailable:
        return EntraUnavailable(meaning.sentence, retry_after=retry_after, reference=reference)
    if meaning.kind is StepUpNeeded:
        claims = body.get("claims")
        return StepUpNeeded(meaning.sentence, claims=claims if isinstance(claims, str) else None, reference=reference)
    return meaning.kind(meaning.sentence, advice=meaning.advice, reference=reference)


def _meaning(body: Mapping[str, Any]) -> Meaning:
    number, error = aadsts_number(body), str(body.get("error"))
    if number in REFUSALS:
        return REFUSALS[number].meaning
    suberror = str(body.get("suberror"))
    if suberror in _BY_SUBERROR:
        return _BY_SUBERROR[suberror]
    if number is None:
        return _BY_ERROR.get(error, meanings.WITHOUT_NUMBER)
    return _BY_ERROR[error] if error in _UNAMBIGUOUS else meanings.UNKNOWN


def aadsts_number(body: Mapping[str, Any]) -> int | None:
    """Return the number that decides: one that we know and that says most, or else Microsoft's first one."""
    numbers = aadsts_codes(body)
    known = [number for number in numbers if number in REFUSALS]
    return next((number for number in known if number not in GENERAL), next(iter(known + numbers), None))


def aadsts_codes(body: Mapping[str, Any]) -> list[int]:
    """Return the AADSTS numbers of an Entra error: of `error_codes`, then of the description, then of `error_uri`."""
    listed = body.get("error_codes")
    codes = listed if isinstance(listed, list) else []
    return [
        *(code for code in codes if isinstance(code, int) and 999 < code < 10**8),
        *map(int, _NUMBER.findall(str(body.get("error_description", "")))),
        *map(int, _NUMBER_IN_ADDRESS.findall(str(body.get("error_uri", "")))),
    ]


def _reference(body: Mapping[str, Any]) -> str | None:
    number = aadsts_number(body)
    return None if number is None else f"AADSTS{number}"
