"""What can be wrong with a message that should be in the mailbox: the rest of the tree in `errors`.

InvalidArgument
  MessageMissing           message_missing
M365Error
  AlreadySent              already_sent
"""

from __future__ import annotations

from m365_mcp.errors.base import InvalidArgument, M365Error


class MessageMissing(InvalidArgument):
    """An id names no message of this mailbox."""

    code = "message_missing"
    sentence = "There is no such message in the mailbox."
    advice = (
        "Use an id exactly as a tool of this server returned it; the message may have been deleted or moved meanwhile."
    )
    status = 404


class AlreadySent(M365Error):
    """A message was to be sent, changed or called back, and has left already."""

    code = "already_sent"
    sentence = "This message has been sent already."
    advice = "Do not send it again and do not look for a way to take it back; tell the person."
    status = 409
