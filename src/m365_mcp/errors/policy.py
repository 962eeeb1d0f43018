"""Errors of a message that a policy does not let through; a part of the tree in `errors.base`.

M365Error
  PolicyDenied             policy_denied            a policy forbids the message; the sentence names it
  PolicyFailed             policy_error             a policy could not be evaluated, so the message does not leave
  Unavailable
    PolicyUnavailable      policy_unavailable       what a policy needs to know cannot be looked up at the moment
"""

from __future__ import annotations

from m365_mcp.errors.base import M365Error, Unavailable


class PolicyDenied(M365Error):
    """A policy forbids the message; nothing was sent.

    Attributes:
        rule: the id of the policy.
    """

    rule: str | None = None

    code = "policy_denied"
    sentence = "A policy of this organization does not allow this message."
    advice = (
        "Tell the person which policy it was, and do not look for a way around it. The people who run this server can "
        "change the policy."
    )
    title = "This mail may not be sent"
    for_person = "Nothing was sent. The people who run this server can change the policy."
    status = 403


class PolicyFailed(M365Error):
    """A policy could not be evaluated for the message; nothing was sent.

    Attributes:
        rule: the id of the policy.
    """

    rule: str | None = None

    code = "policy_error"
    sentence = "A policy of this organization could not be evaluated, so the message was not sent."
    advice = "Tell the people who run this server: the policy has a mistake, and only they can correct it."
    title = "This mail was not sent"
    status = 403
    needs_administrator = True


class PolicyUnavailable(Unavailable):
    """What a policy needs to know cannot be looked up; nothing was sent."""

    code = "policy_unavailable"
    sentence = "What a policy of this organization needs to know cannot be looked up at the moment."
    advice = "Wait for the time given, then try again once."
