"""What a browser brings back from Entra when the sign-in was refused, in our words.

Sources: RFC 6749 section 4.1.2.1, OpenID Connect Core section 3.1.2.6. May know `errors`, `entra.decipher`.
"""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.requests import Request

from m365_mcp.entra.decipher import decipher
from m365_mcp.errors import PersonDeclined


def in_our_words(request: Request) -> Request:
    """Return the callback with Entra's error description, or whatever stands there, replaced by our explanation."""
    query = request.query_params
    if "error" not in query:
        return request
    known = query["error"] if query["error"] in _AUTHORIZE_ERRORS else "server_error"
    body = {"error": known, "error_description": query.get("error_description", "")}
    meant = PersonDeclined() if known == "access_denied" else decipher(400, body)
    told = {"error": known, "error_description": meant.explain(), "state": query.get("state", "")}
    return Request({**request.scope, "query_string": urlencode(told).encode()}, request.receive)


# RFC 6749 section 4.1.2.1, OpenID Connect Core section 3.1.2.6, and Entra's own.
_AUTHORIZE_ERRORS = (
    "access_denied",
    "invalid_request",
    "invalid_scope",
    "invalid_resource",
    "invalid_target",
    "unauthorized_client",
    "unsupported_response_type",
    "server_error",
    "temporarily_unavailable",
    "interaction_required",
    "login_required",
    "consent_required",
)
