"""Errors of the audit trail; a part of the tree in `errors.base`.

M365Error
  Unavailable
    AuditUnavailable       audit_unavailable        the send could not be recorded, so the message does not leave
"""

from __future__ import annotations

from m365_mcp.errors.base import Unavailable


class AuditUnavailable(Unavailable):
    """The operator requires a record of every send, and this one could not be written; nothing was sent."""

    code = "audit_unavailable"
    sentence = "This server could not write the audit record of the message, so it did not send the message."
    advice = "Try again in a few minutes; if the error persists, tell the people who run this server."
