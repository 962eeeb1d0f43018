"""Errors of a message that should be in the mailbox; a part of the tree in `errors.base`.

InvalidArgument
  MessageMissing           message_missing
M365Error
  AlreadySent              already_sent
  TooManyScheduled         too_many_scheduled
"""

from __future__ import annotations

from m365_mcp.errors.base import InvalidArgument, M365Error


class MessageMissing(InvalidArgument):
    """The mailbox has no message with this id."""

    code = "message_missing"
    sentence = "The mailbox has no message with this id."
    advice = (
        "Use an id exactly as a tool of this server returned it. The message may have been deleted or moved since then."
    )
    title = "The draft is gone"
    for_person = "Ask your assistant to write the mail again. Nothing was sent."
    status = 404


class AlreadySent(M365Error):
    """A message was to be sent, changed or cancelled, and has left already."""

    code = "already_sent"
    sentence = "This message has been sent already."
    advice = "Do not send it again and do not try to recall it; tell the person."
    title = "Already sent"
    for_person = "Look in Sent Items. You can close this page."
    status = 409


class TooManyScheduled(M365Error):
    """As much of the person's mail is scheduled as this server keeps track of; nothing was scheduled."""

    code = "too_many_scheduled"
    sentence = "Too much mail of this person is scheduled."
    advice = "Tell the person. Call again when some of it has left, or cancel some with cancel_scheduled."
    title = "Too much mail is scheduled"
    for_person = "Nothing was sent. Ask your assistant to cancel scheduled mail that you do not need."
    status = 429
