"""Graph's refusals: the error envelope and the headers of every answer (page "Microsoft Graph error responses")."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from starlette.responses import JSONResponse


class GraphError(Exception):
    """A refusal by Graph: status, the `code` that clients branch on, a sentence, and headers of its own."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})


@dataclass(frozen=True, slots=True)
class Trace:
    """The identifiers of one answer; `client_request_id` is the client's own when it sent one."""

    now: datetime
    client_request_id: str
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def headers(self) -> dict[str, str]:
        """The headers of every answer, good or bad."""
        diagnostic = {"ServerInfo": {"DataCenter": "Simulator", "Slice": "E", "Ring": "1", "RoleInstance": "SIM"}}
        return {
            "request-id": self.request_id,
            "client-request-id": self.client_request_id,
            "x-ms-ags-diagnostic": json.dumps(diagnostic, separators=(",", ":")),
            "Cache-Control": "no-store",
        }


def new_trace(now: datetime, headers: Mapping[str, str]) -> Trace:
    """Make the identifiers of one answer."""
    return Trace(now, headers.get("client-request-id") or str(uuid.uuid4()))


def error_response(problem: GraphError, trace: Trace) -> JSONResponse:
    """Return the error envelope; `date` carries no zone."""
    inner = {
        "date": f"{trace.now:%Y-%m-%dT%H:%M:%S}",
        "request-id": trace.request_id,
        "client-request-id": trace.client_request_id,
    }
    body = {"error": {"code": problem.code, "message": problem.message, "innerError": inner}}
    return JSONResponse(body, problem.status, headers=trace.headers | problem.headers)
