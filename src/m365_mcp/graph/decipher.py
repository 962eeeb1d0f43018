"""Pure: what a reply of Microsoft Graph means, as one of our errors.

Sources: Graph "Error responses and resource types", "Throttling guidance", and the Outlook error codes seen in
public issue threads. Codes decide, messages never.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from m365_mcp.errors import (
    GraphUnavailable,
    M365Error,
    MailboxMissing,
    MessageRefused,
    MessageTooLarge,
    OutcomeUnknown,
    PermissionMissing,
    PersonNotAllowed,
    ReadRefused,
    SignInNeeded,
    Throttled,
)
from m365_mcp.retries import parse_retry_after

_BY_CODE: dict[str, type[M365Error]] = {
    # No licence, a guest, an on-premises mailbox: Graph says 404, the source of this project saw 403.
    "MailboxNotEnabledForRESTAPI": MailboxMissing,
    "MailboxNotSupportedForRESTAPI": MailboxMissing,
    "ErrorAccessDenied": PermissionMissing,
    "Authorization_RequestDenied": PermissionMissing,
    "ErrorSendAsDenied": PermissionMissing,
    "ErrorMessageSubmissionBlocked": PersonNotAllowed,
    "insufficient_claims": PersonNotAllowed,
    "ErrorMessageSizeExceeded": MessageTooLarge,
    "ErrorAttachmentSizeLimitExceeded": MessageTooLarge,
    "RequestEntityTooLarge": MessageTooLarge,
    "InvalidAuthenticationToken": SignInNeeded,
}

_GATEWAY_GAVE_UP = (408, 499)  # somebody between us and Graph stopped waiting; Graph may have gone on

_SENTENCES: dict[str, tuple[str, str]] = {
    "ErrorInvalidRecipients": (
        "Microsoft Graph does not accept one of the recipients.",
        "Check every address and send again.",
    ),
    "ErrorSendAsDenied": (
        "You may not send for this mailbox.",
        "Leave from_ out, or ask the mailbox's owner or your administrator for 'Send as' or 'Send on behalf'.",
    ),
    "ErrorMessageSubmissionBlocked": (
        "Microsoft has blocked this account from sending mail.",
        "Ask your administrator; Microsoft blocks accounts whose mail looks like spam.",
    ),
    "insufficient_claims": (
        "A conditional access policy of your organisation keeps this application from your mailbox.",
        "Ask your administrator to review the policy for this application.",
    ),
    "ErrorItemNotFound": (
        "The message is not there any more.",
        "It may have been sent, moved or deleted; look for it in Outlook.",
    ),
    "ErrorInvalidUser": ("Microsoft Graph does not know this mailbox.", "Check its address."),
    "ErrorQuotaExceeded": ("The mailbox is full.", "Free some space in the mailbox, then send."),
    "ErrorExceededMaxRecipientLimit": (
        "The message has more recipients than this mailbox may write to.",
        "Send it in several messages.",
    ),
    "ErrorExceededMessageLimit": (
        "The mailbox has reached its sending limit.",
        "Wait until tomorrow, then send again.",
    ),
}


@dataclass(frozen=True)
class GraphResponse:
    """What came back: status, headers with lower-case names, raw body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def request_id(self) -> str | None:
        """Graph's own id of the request, for support."""
        return self.headers.get("request-id")

    @property
    def json(self) -> dict[str, Any]:
        """The body as an object, or an empty one when it is not JSON (gateways answer with HTML)."""
        try:
            found = json.loads(self.body)
        except (ValueError, UnicodeDecodeError):
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def error_code(self) -> str:
        """Graph's error code, or an empty string."""
        error = self.json.get("error")
        return str(error.get("code", "")) if isinstance(error, dict) else ""


def decipher(response: GraphResponse, *, changes_something: bool) -> M365Error:
    """Return what a reply other than success means.

    Args:
        response: status 400 and above, or a success status that should not have come.
        changes_something: whether the request could have had an effect, as sending has.
    """
    kind = _BY_CODE.get(response.error_code)
    if response.status == 429:
        return Throttled(
            retry_after=parse_retry_after(response.headers.get("retry-after")), reference=response.request_id
        )
    if response.status >= 500 or response.status < 400 or response.status in _GATEWAY_GAVE_UP:
        # Graph answers 5xx also after it has taken a message, so only a read is known to have had no effect.
        return _unclear(response, changes_something)
    if kind is None:
        refused = MessageRefused if changes_something else ReadRefused
        kind = {401: SignInNeeded, 403: PermissionMissing, 413: MessageTooLarge}.get(response.status, refused)
    sentence, advice = _SENTENCES.get(response.error_code, (None, None))
    return kind(sentence, advice=advice, reference=response.request_id)


def claims_challenge(response: GraphResponse) -> str | None:
    """Return the claims (JSON) a 401 asks a new token for, or None.

    Source: "Claims challenges, claims requests, and client capabilities"; the header holds them base64-encoded.
    """
    found = re.search(r'error="insufficient_claims".*?\bclaims="([^"]+)"', response.headers.get("www-authenticate", ""))
    if found is None:
        return None
    try:
        return base64.b64decode(found.group(1) + "==").decode()
    except (ValueError, UnicodeDecodeError):
        return None


def _unclear(response: GraphResponse, changes_something: bool) -> M365Error:
    if changes_something:
        return OutcomeUnknown(reference=response.request_id)
    wait = parse_retry_after(response.headers.get("retry-after"))
    return GraphUnavailable("Microsoft Graph has a fault of its own.", retry_after=wait, reference=response.request_id)
