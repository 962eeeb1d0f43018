"""What the requests for the pages below /approvals have in common: their forms, and how they are refused."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from m365_mcp.auth.browser_proof import BrowserProof, BrowserProofs
from m365_mcp.errors import ApprovalNotYours, M365Error
from m365_mcp.errors.request_error import note
from m365_mcp.web.pages.error_page import explain
from m365_mcp.web.pages.languages import language_of
from m365_mcp.web.rate_limits import ApprovalRates
from m365_mcp.web.responses import json_error, retry_header

MAX_FORM_BYTES = 16_384  # the answer of a passkey with a long key has a few thousand
Respond = Callable[[Request], Awaitable[Response]]


def limited(rates: ApprovalRates, proofs: BrowserProofs, respond: Respond) -> Respond:
    """Return `respond` behind the limits on how often these pages are asked for; beyond them it raises."""

    async def answer(request: Request) -> Response:
        proof = proofs.of(request)
        rates.count(request.scope, proof.person if proof else None)
        return await respond(request)

    return answer


def explained(respond: Respond) -> Respond:
    """Return `respond`, whose errors become a page in a browser, and JSON elsewhere."""

    async def answer(request: Request) -> Response:
        try:
            return await respond(request)
        except M365Error as error:
            note(error)
            return json_error(error.status, error.code, error.explain(), retry_header(error))

    return answer


def told_to_script(respond: Respond) -> Respond:
    """Return `respond`, whose errors become JSON with what a script shows to the person, in their language."""

    async def answer(request: Request) -> Response:
        try:
            return await respond(request)
        except M365Error as error:
            message = explain(request, error, language_of(request), datetime.now(UTC))
            headers = {"Cache-Control": "no-store", **retry_header(error)}
            return JSONResponse({"error": error.code, "message": message}, error.status, headers)

    return answer


async def checked_form(request: Request, proof: BrowserProof | None) -> dict[str, str]:
    """Return the fields of a form of our own page. Raises ApprovalNotYours for every other one."""
    form = await _form(request)
    if proof is None or not secrets.compare_digest(form.get("token", "").encode(), proof.token.encode()):
        raise ApprovalNotYours
    return form


async def _form(request: Request) -> dict[str, str]:
    """Return the fields of a form; none of one that is too large or none of ours."""
    length = request.headers.get("content-length", "")
    if not (length.isascii() and length.isdigit() and len(length) < 9) or int(length) > MAX_FORM_BYTES:
        return {}
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return {}
    form = await request.form(max_fields=8)
    return {name: str(value) for name, value in form.items()}
