"""Errors as JSON for programs, in the form of RFC 6749 section 5.2."""

from __future__ import annotations

import math

from starlette.responses import JSONResponse, Response

from m365_mcp.errors import ClientMetadataInvalid, M365Error

OPERATOR_SECONDS = 60  # when an operator has to change a setting first


def json_error(status: int, error: str, description: str, headers: dict[str, str] | None = None) -> Response:
    """Return an OAuth-style JSON error that no cache keeps."""
    return JSONResponse(
        {"error": error, "error_description": description}, status, {"Cache-Control": "no-store", **(headers or {})}
    )


def error_as_json(error: M365Error) -> Response:
    """Return an error for a program; on the OAuth error code of a temporary one, clients keep their tokens."""
    code = "invalid_client" if isinstance(error, ClientMetadataInvalid) else "temporarily_unavailable"
    return json_error(error.status, code, error.explain(), retry_header(error))


def retry_header(error: M365Error) -> dict[str, str]:
    """Return the header that says when to try again, for an error of status 429 or 503."""
    if error.status not in (429, 503):
        return {}
    return {"Retry-After": str(math.ceil(OPERATOR_SECONDS if error.retry_after is None else error.retry_after))}
