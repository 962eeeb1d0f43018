"""Behaviour of Microsoft that is not confirmed, or that an installation may choose.

The defaults are the likelier or the stricter reading; the control plane replaces the whole value (`PATCH
/_control/switches`).
"""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class CodeOverride:
    """How one AADSTS code is to be answered instead of what the table in `entra/problems.py` says."""

    error: str | None = None
    suberror: str | None = None
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Switches:
    """The settings of the stand-in; every number of seconds is a float, every size is in bytes."""

    client_id_required_in_body_with_basic: bool = False
    url_decode_basic_credentials: bool = True
    """RFC 6749 section 2.3.1 wants the credentials form-encoded before Basic; it matters only for `%` and `+`."""

    resource_with_scope_refused: bool = True
    """AADSTS9010010 for `resource` beside `scope`."""
    strict_refresh_rotation: bool = False
    """Refuse a refresh token that was already used; Entra leaves the old one valid."""
    refresh_several_resources: Literal["refuse", "first"] = "refuse"
    """AADSTS28000, or the resource of the first scope wins."""
    mfa_only_when_claims_ask: bool = True
    """Sign-in performs MFA only when `claims` came with the authorization request."""
    user_consent_allowed: bool = True
    """Without it the consent page says that an administrator is needed (AADSTS90094)."""
    aadsts_overrides: dict[int, CodeOverride] = field(default_factory=dict)

    application_reads_itself: bool = False
    """The application may read its own record (application permission Application.Read.All)."""
    unlicensed_status: Literal[403, 404] = 404
    size_exceeded_status: Literal[400, 413] = 413
    cae_needs_client_capability: bool = False
    """Challenge a revoked session only when its token says `xms_cc: cp1`; else the token lives on."""

    immutable_id_survives_send: bool = True
    """Page "Get immutable identifiers": the id of a draft finds the message in Sent Items."""
    send_settles_seconds: float = 0.0
    """How long after the 202 a draft still shows as one, and nothing stands in Sent Items or has arrived."""
    settling_shows: Literal["draft", "nothing"] = "draft"
    """Meanwhile its id finds the draft, or is 404 ("may not succeed immediately", page on immutable identifiers)."""
    settling_draft_sends_again: bool = False
    """A second `/send` meanwhile makes a second mail; otherwise it is 404 at once."""
    deferred_folder: Literal["outbox", "drafts"] = "outbox"
    """Where a message waits for its deferred time."""
    reply_body_keeps_quote: bool = False
    """`message.body` of a reply stands above the quoted original; otherwise it takes its place."""
    patch_takes_headers: bool = False
    """PATCH may change `internetMessageHeaders`, which the page "Update message" does not name."""

    request_bytes: int = 4 * 1024 * 1024
    message_bytes: int = 150 * 1024 * 1024
    """The most that all attachments of a message may have."""
    inline_attachment_bytes: int = 3 * 1024 * 1024
    """An attachment in one request must be smaller (page "Attach large files")."""
    upload_session_minimum_bytes: int = 2 * 1024 * 1024
    """An upload session is refused for a smaller file; 2 MiB was measured, the page says 3 MB."""
    upload_chunk_bytes: int = 4 * 1024 * 1024
    upload_session_seconds: float = 3600.0
    uploads_answer_in_pascal_case: bool = True
    """`NextExpectedRanges` on the upload host, as its page shows; otherwise `nextExpectedRanges` as on Graph."""
    upload_window_bytes: int = 150 * 1024 * 1024
    upload_window_seconds: float = 300.0
    recipients_per_message: int = 500
    recipients_per_day: int = 10_000
    mailbox_concurrency: int = 4
    mailbox_requests: int = 10_000
    mailbox_window_seconds: float = 600.0
    send_seconds: float = 0.0
    """How long one send keeps its place among the concurrent requests."""
    throttle_retry_after: int | None = 10
    sent_although_throttled: bool = False
    """A throttled send is delivered all the same (reported from the field)."""
