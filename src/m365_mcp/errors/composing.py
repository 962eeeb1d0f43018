"""Errors of a message that is probably not meant as it is written; a part of the tree in `errors.base`.

InvalidArgument
  BodyFormMismatch         body_form
  EmptySubject             empty_subject
  EmptyBody                empty_body

A call with `as_written=true` has none of them.
"""

from __future__ import annotations

from m365_mcp.errors.base import InvalidArgument


class BodyFormMismatch(InvalidArgument):
    """The body is in another format than `content_type` says, and sending it so would spoil the mail."""

    code = "body_form"
    sentence = "The body is in another format than content_type says."
    advice = "Use the content_type of the body, or repeat the call with as_written=true to send the body as it is."


class EmptySubject(InvalidArgument):
    """The subject is empty."""

    code = "empty_subject"
    sentence = "The subject is empty."
    advice = "Write a subject, or repeat the call with as_written=true to send the mail without one."


class EmptyBody(InvalidArgument):
    """The body shows nothing to a reader, and there is no attachment."""

    code = "empty_body"
    sentence = "The body has nothing that a reader would see, and there is no attachment."
    advice = "Write the text of the mail, or repeat the call with as_written=true to send it empty."
