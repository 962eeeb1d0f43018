"""Errors as JSON for programs, in the form of RFC 6749 section 5.2."""

from __future__ import annotations

import math
import re

from starlette.responses import JSONResponse, Response

from m365_mcp.errors import AdministratorNeeded, ClientMetadataInvalid, M365Error
from m365_mcp.web.error_descriptions import one_sentence

_DESCRIPTION = re.compile(r'(\berror_description=)"[^"]*"')
OPERATOR_SECONDS = 60  # when an operator has to change a setting first


def json_error(status: int, error: str, description: str, headers: dict[str, str] | None = None) -> Response:
    """Return an OAuth-style JSON error that no cache keeps."""
    return JSONResponse(
        {"error": error, "error_description": description}, status, {"Cache-Control": "no-store", **(headers or {})}
    )


def is_for_programs(error: M365Error) -> bool:
    """Return whether a program must hear this error in the place of the framework's 400, 401 or 500.

    The framework's response is right when the token, the grant or the client is really invalid.
    """
    return error.status == 503 or isinstance(error, ClientMetadataInvalid | AdministratorNeeded)


def error_as_json(error: M365Error) -> Response:
    """Return an error for a program; on the OAuth error code of a temporary one, clients keep their tokens.

    What an administrator has to change first is temporary too: the same tokens work afterwards.
    """
    if isinstance(error, ClientMetadataInvalid):
        return json_error(error.status, "invalid_client", error.explain())
    status = 503 if isinstance(error, AdministratorNeeded) else error.status
    headers = {"Retry-After": _seconds(error)} if status == 503 else retry_header(error)
    return json_error(status, "temporarily_unavailable", error.explain(), headers)


def challenge(error: M365Error, framework_challenge: str) -> Response:
    """Return the 401 of a program whose sign-in has ended, with the framework's challenge (RFC 6750 section 3)."""
    told = _DESCRIPTION.sub(f'\\1"{one_sentence(error.explain())}"', framework_challenge)
    return json_error(401, "invalid_token", error.explain(), {"WWW-Authenticate": told})


def retry_header(error: M365Error) -> dict[str, str]:
    """Return the header that says when to try again, for an error of status 429 or 503."""
    return {"Retry-After": _seconds(error)} if error.status in (429, 503) else {}


def _seconds(error: M365Error) -> str:
    return str(math.ceil(OPERATOR_SECONDS if error.retry_after is None else error.retry_after))
