"""Entra's refusals: the table of AADSTS codes, and the JSON error of the token endpoint.

Codes, texts and `error` values follow the page "Microsoft Entra authentication and authorization error codes". Where
nobody has confirmed `error`, `suberror` or status, `Switches.aadsts_overrides` changes them.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from starlette.responses import JSONResponse

from m365_simulator.switches import CodeOverride


@dataclass(frozen=True, slots=True)
class Code:
    """How one AADSTS code is answered."""

    error: str
    status: int = 400
    suberror: str | None = None


CODES: Mapping[int, Code] = {
    28000: Code("invalid_request"),
    28002: Code("invalid_scope"),
    28003: Code("invalid_request"),
    50034: Code("invalid_grant"),
    50011: Code("invalid_request"),
    50013: Code("invalid_grant"),
    50020: Code("invalid_grant"),
    50027: Code("invalid_grant"),
    50057: Code("invalid_grant"),
    50058: Code("login_required"),
    50059: Code("invalid_request"),
    50076: Code("interaction_required", suberror="basic_action"),
    50089: Code("invalid_grant"),
    50147: Code("invalid_request"),
    50173: Code("invalid_grant"),
    50194: Code("invalid_request"),
    54005: Code("invalid_grant"),
    65001: Code("invalid_grant", suberror="consent_required"),
    65004: Code("access_denied"),
    70000: Code("invalid_grant"),
    70003: Code("unsupported_grant_type"),
    70005: Code("unsupported_response_type"),
    70008: Code("invalid_grant"),
    70011: Code("invalid_scope"),
    70043: Code("invalid_grant"),
    90002: Code("invalid_request"),
    90014: Code("invalid_request"),
    90023: Code("invalid_request"),
    90094: Code("access_denied"),
    90130: Code("invalid_request"),
    240002: Code("invalid_grant"),
    500011: Code("invalid_resource"),
    500112: Code("invalid_client"),
    500131: Code("invalid_grant"),
    500133: Code("invalid_grant"),
    501481: Code("invalid_grant"),
    501491: Code("invalid_request"),
    650053: Code("invalid_scope"),
    700005: Code("invalid_grant"),
    700016: Code("unauthorized_client"),
    700021: Code("invalid_client", 401),
    700023: Code("invalid_client", 401),
    700024: Code("invalid_client", 401),
    700027: Code("invalid_client", 401),
    700082: Code("invalid_grant"),
    700211: Code("invalid_client", 401),
    700212: Code("invalid_client", 401),
    700213: Code("invalid_client", 401),
    900144: Code("invalid_request"),
    900561: Code("invalid_request"),
    1002012: Code("invalid_scope"),
    7000112: Code("unauthorized_client"),
    7000114: Code("unauthorized_client"),
    7000215: Code("invalid_client", 401),
    7000218: Code("invalid_client", 401),
    7000222: Code("invalid_client", 401),
    9001023: Code("invalid_request"),
    9002313: Code("invalid_request"),
    9002326: Code("invalid_request"),
    9010010: Code("invalid_target"),
}


class EntraError(Exception):
    """A refusal by Entra: an AADSTS code, its sentence and, for a claims challenge, the claims to ask for."""

    def __init__(self, code: int, text: str, *, claims: str | None = None, error: str | None = None) -> None:
        super().__init__(f"AADSTS{code}: {text}")
        self.code = code
        self.text = text
        self.claims = claims
        self.error = error

    def answer(self, overrides: Mapping[int, CodeOverride]) -> Code:
        """Return `error`, status and `suberror` for this code, an override before the table."""
        known = CODES[self.code]
        override = overrides.get(self.code, CodeOverride())
        return Code(
            override.error or self.error or known.error,
            override.status or known.status,
            override.suberror or known.suberror,
        )


@dataclass(frozen=True, slots=True)
class Trace:
    """The identifiers that every answer of Entra carries."""

    trace_id: str
    correlation_id: str
    timestamp: str


def new_trace(now: datetime, headers: Mapping[str, str]) -> Trace:
    """Make the identifiers of one answer; the correlation id is the client's own when it sent one that is a GUID."""
    sent = headers.get("client-request-id") or headers.get("x-ms-client-request-id") or ""
    try:
        correlation_id = str(uuid.UUID(sent))
    except ValueError:
        correlation_id = str(uuid.uuid4())
    return Trace(str(uuid.uuid4()), correlation_id, now.strftime("%Y-%m-%d %H:%M:%SZ"))


def describe(problem: EntraError, trace: Trace) -> str:
    """Return the text of `error_description`, with the identifiers that support asks for."""
    lines = (
        str(problem),
        f"Trace ID: {trace.trace_id}",
        f"Correlation ID: {trace.correlation_id}",
        f"Timestamp: {trace.timestamp}",
    )
    return "\r\n".join(lines)


def error_response(problem: EntraError, trace: Trace, answer: Code, authority: str) -> JSONResponse:
    """Return the JSON error of the token endpoint (page "OAuth 2.0 authorization code flow", error response)."""
    body: dict[str, object] = {
        "error": answer.error,
        "error_description": describe(problem, trace),
        "error_codes": [problem.code],
        "timestamp": trace.timestamp,
        "trace_id": trace.trace_id,
        "correlation_id": trace.correlation_id,
        "error_uri": f"{authority}/error?code={problem.code}",
    }
    if answer.suberror:
        body["suberror"] = answer.suberror
    if problem.claims:
        body["claims"] = problem.claims
    return JSONResponse(body, answer.status, headers=token_headers(trace))


def token_headers(trace: Trace) -> dict[str, str]:
    """Return the headers of every answer of the token endpoint.

    Strict-Transport-Security is left out on purpose: for `localhost` a browser would apply it to every other port as
    well.
    """
    return {
        "Cache-Control": "no-store, no-cache",
        "Pragma": "no-cache",
        "X-Content-Type-Options": "nosniff",
        "P3P": 'CP="simulator"',
        "x-ms-request-id": trace.trace_id,
        "client-request-id": trace.correlation_id,
        "x-ms-ests-server": "2.1.0 - SIMULATOR ProdSlices",
    }
