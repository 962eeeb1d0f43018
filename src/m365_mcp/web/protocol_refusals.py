"""Responses of the HTTP protocol itself to requests that the application never sees; see `bounded_http`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus


@dataclass(frozen=True)
class Refusal:
    """A response after which the connection is closed, in the form of `responses.json_error`."""

    status: HTTPStatus
    error: str
    description: str

    def render(self, default_headers: list[tuple[bytes, bytes]]) -> bytes:
        """Return the response as HTTP/1.1."""
        body = json.dumps({"error": self.error, "error_description": self.description}).encode()
        headers = [
            *default_headers,
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
            (b"connection", b"close"),
        ]
        lines = b"".join(b"%b: %b\r\n" % header for header in headers)
        return b"HTTP/1.1 %d %b\r\n%b\r\n%b" % (self.status, self.status.phrase.encode(), lines, body)


MALFORMED = Refusal(
    HTTPStatus.BAD_REQUEST, "invalid_request", "The request is not valid HTTP/1.1. Send a request of RFC 9112."
)
SEVERAL_HOSTS = Refusal(
    HTTPStatus.BAD_REQUEST,
    "invalid_request",
    "The request has more than one Host header. Send one, with the host of this server.",
)
TOO_LATE = Refusal(
    HTTPStatus.REQUEST_TIMEOUT,
    "request_timeout",
    "The request did not arrive in the time that this server allows. Send it again, without pauses.",
)
TOO_LARGE = Refusal(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "request_header_fields_too_large",
    "The request line and the header fields are larger than this server accepts. Send a shorter request.",
)
