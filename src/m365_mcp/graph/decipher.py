"""Pure: turns an error response of Microsoft Graph into one of our errors.

Sources: Graph "Error responses and resource types", "Throttling guidance", and the Outlook error codes in public issue
threads. Only codes decide, because Graph's messages may change.
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
    # No licence, a guest, an on-premises mailbox: Graph documents 404; 403 was observed too.
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

_GATEWAY_TIMEOUTS = (408, 499)  # a gateway before Graph stopped waiting; Graph may still carry the request out

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
        "A conditional access policy of your organisation blocks this application from your mailbox.",
        "Ask your administrator to review the policy for this application.",
    ),
    "ErrorItemNotFound": (
        "The message no longer exists.",
        "It may have been sent, moved or deleted; check in Outlook.",
    ),
    "ErrorInvalidUser": ("Microsoft Graph does not know this mailbox.", "Check its address."),
    "ErrorQuotaExceeded": ("The mailbox is full.", "Free some space in the mailbox, then send."),
    "ErrorExceededMaxRecipientLimit": (
        "The message has more recipients than this mailbox may send to.",
        "Send it in several messages.",
    ),
    "ErrorExceededMessageLimit": (
        "The mailbox has reached its sending limit.",
        "Wait until tomorrow, then send again.",
    ),
}


@dataclass(frozen=True)
class GraphResponse:
    """A response of Graph: status, headers with lower-case names, raw body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def request_id(self) -> str | None:
        """Graph's id of the request, for support."""
        return self.headers.get("request-id")

    @property
    def json(self) -> dict[str, Any]:
        """The body as a JSON object, or an empty one if it is none (gateways respond with HTML)."""
        try:
            parsed = json.loads(self.body)
        except (ValueError, UnicodeDecodeError):
            return {}
        return parsed if isinstance(parsed, dict) else {}

    @property
    def error_code(self) -> str:
        """Graph's error code, or an empty string."""
        error = self.json.get("error")
        return str(error.get("code", "")) if isinstance(error, dict) else ""


def decipher(response: GraphResponse, *, changes_something: bool) -> M365Error:
    """Return the error that a response means.

    Args:
        response: a response with status 400 or above, or with an unexpected success status.
        changes_something: whether the request could have had an effect, for example sent a message.
    """
    kind = _BY_CODE.get(response.error_code)
    if response.status == 429:
        return Throttled(
            retry_after=parse_retry_after(response.headers.get("retry-after")), reference=response.request_id
        )
    if response.status >= 500 or response.status < 400 or response.status in _GATEWAY_TIMEOUTS:
        # Graph can return 5xx after it accepted a message, so only a read surely had no effect.
        return _without_clear_result(response, changes_something)
    if kind is None:
        refused = MessageRefused if changes_something else ReadRefused
        kind = {401: SignInNeeded, 403: PermissionMissing, 413: MessageTooLarge}.get(response.status, refused)
    sentence, advice = _SENTENCES.get(response.error_code, (None, None))
    return kind(sentence, advice=advice, reference=response.request_id)


def claims_challenge(response: GraphResponse) -> str | None:
    """Return the claims challenge (JSON) of a 401, or None.

    Source: "Claims challenges, claims requests, and client capabilities"; the header holds the claims as base64.
    """
    challenge = re.search(
        r'error="insufficient_claims".*?\bclaims="([^"]+)"', response.headers.get("www-authenticate", "")
    )
    if challenge is None:
        return None
    try:
        return base64.b64decode(challenge.group(1) + "==").decode()
    except (ValueError, UnicodeDecodeError):
        return None


def _without_clear_result(response: GraphResponse, changes_something: bool) -> M365Error:
    if changes_something:
        return OutcomeUnknown(reference=response.request_id)
    retry_after = parse_retry_after(response.headers.get("retry-after"))
    return GraphUnavailable(
        "Microsoft Graph has an internal fault.", retry_after=retry_after, reference=response.request_id
    )
