"""Errors of mail that waits for its sender's approval; a part of the tree in `errors.base`.

M365Error
  ApprovalUnknown          approval_unknown         no such mail waits for the person
  ApprovalOver             approval_over            it was decided, or waited too long
  ApprovalVoid             approval_void            the draft was changed after the page had shown it
  ApprovalNotYours         approval_not_yours       the browser has not shown who the person is
  TooManyHeld              too_many_held            so much mail of the person waits already
  ApprovalTooOften         approval_too_often       the pages are opened more often than this server takes
"""

from __future__ import annotations

from m365_mcp.errors.base import M365Error, Unavailable


class ApprovalUnknown(M365Error):
    """No mail with this id waits for the person, or it waited too long ago."""

    code = "approval_unknown"
    title = "Nothing waits here"
    sentence = "No mail with this address waits for you."
    advice = "Use the message_id of a result with status 'approval_needed'; it is forgotten some time after its end."
    for_person = "Ask your assistant to send the mail again. Nothing was sent."
    status = 404


class ApprovalOver(M365Error):
    """The mail does not wait any more: it was sent or discarded, or its time is over."""

    code = "approval_over"
    title = "This mail does not wait any more"
    sentence = "This mail was sent or discarded, or it waited too long."
    advice = "Look in Sent Items. If it is not there, ask your assistant to send it again."
    for_person = "Look in Sent Items. If it is not there, ask your assistant to send it again."
    status = 410


class ApprovalVoid(M365Error):
    """The draft was changed after the person had read it on the page; nothing was sent."""

    code = "approval_void"
    title = "The mail was changed"
    sentence = "The draft was changed after this page showed it, so it was not sent."
    advice = "Open the page again and read the mail as it is now."
    for_person = "Open the page again and read the mail as it is now."
    status = 409


class ApprovalNotYours(M365Error):
    """The browser is signed in as another person, or its proof has ended; nothing was sent."""

    code = "approval_not_yours"
    title = "Sign in again"
    sentence = "This browser did not show that you are the person whose mail this is."
    advice = "Open the link of the mail again, and sign in with the account that sends it."
    for_person = "Open the link of the mail again, and sign in with the account that sends it."
    status = 403


class TooManyHeld(M365Error):
    """As much of the person's mail waits for approval as this server keeps; nothing was held or sent."""

    code = "too_many_held"
    sentence = "Too much mail of this person waits for approval."
    advice = "Have the person send or discard what waits on the page /approvals of this server, then call again."
    status = 429


class ApprovalTooOften(Unavailable):
    """One person, one address or all together open the pages of waiting mail more often than this server takes."""

    code = "approval_too_often"
    title = "Wait a moment"
    sentence = "The pages of mail that waits were opened too often in a short time."
    advice = "Wait for the time given, then open the page again. This request sent and discarded nothing."
    for_person = "Wait a minute, then reload this page. This request sent and discarded nothing."
    status = 429
