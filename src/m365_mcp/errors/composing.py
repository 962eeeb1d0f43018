"""Errors of a message that must change before it is sent; a part of the tree in `errors.base`.

InvalidArgument
  IdempotencyKeyReused     idempotency_key_reused
  BodyFormMismatch         body_form                as the next two: probably not meant as it is written
  EmptySubject             empty_subject
  EmptyBody                empty_body
  MessageTooLarge          message_too_large
  BodyTooComplex           body_too_complex
  RecipientNotAllowed      recipient_not_allowed    the operator does not allow this domain

A call with `as_written=true` has no BodyFormMismatch, EmptySubject or EmptyBody.
"""

from __future__ import annotations

from m365_mcp.errors.base import InvalidArgument


class IdempotencyKeyReused(InvalidArgument):
    """An idempotency key was used before, for another message."""

    code = "idempotency_key_reused"
    sentence = "This idempotency_key was used for another message."
    advice = "Use a new key for a new message. To repeat the earlier call, use its key with the same arguments."
    status = 409


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


class MessageTooLarge(InvalidArgument):
    """The message is larger than Microsoft Graph accepts in one request."""

    code = "message_too_large"
    sentence = "The message is larger than Microsoft Graph accepts in one request."
    advice = "Shorten the body or send it in several messages."
    status = 413


class BodyTooComplex(InvalidArgument):
    """The body is more work than one message may be: too many tags, cells, styles or the like."""

    code = "body_too_complex"
    sentence = "The body is more work than one message may be."
    advice = "Make the body simpler, send it in several messages, or attach the document as a file."
    status = 413


class RecipientNotAllowed(InvalidArgument):
    """An address is outside the allowed domains; the sentence names the entry, and only `addresses` the address."""

    addresses: tuple[str, ...] = ()
    code = "recipient_not_allowed"
    sentence = "The operator does not allow mail to the domain of an address."
    advice = (
        "Leave the address out, or ask the people who run this server to add its domain to M365_SEND_ALLOWED_DOMAINS. "
        "Do not try another address of the same person without asking."
    )
    status = 403
