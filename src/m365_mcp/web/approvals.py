"""/approvals: the pages where a person reads the mail that waits for them, and sends or discards it.

Only the person whose mail it is gets there, proved by a sign-in with Microsoft in the same browser. Source of the
headers: OWASP "Clickjacking Defense"; the text of the mail is a document of its own in a sandbox.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from m365_mcp.auth.browser_proof import CALLBACK, FRESH_SECONDS, PREFIX, BrowserProof, BrowserProofs
from m365_mcp.errors import ApprovalNotYours, ApprovalUnknown, M365Error
from m365_mcp.errors.request_error import note
from m365_mcp.sending.approvals import PATH, Approvals
from m365_mcp.sending.held_mail import HeldMail
from m365_mcp.web.pages import Pages
from m365_mcp.web.rate_limits import ApprovalRates
from m365_mcp.web.responses import json_error, retry_header

MAX_FORM_BYTES = 4096
_ID = re.compile(r"[0-9a-f]{32}")
Proof = Literal["browser", "sign-in"]
Respond = Callable[[Request], Awaitable[Response]]


class ApprovalPages:
    """Answers the requests for the pages.

    Args:
        approvals: the held mail.
        proofs: tells who is at the browser.
        pages: renders.
        proof: what proof the operator asks for.
        clock: returns epoch seconds.
        rates: limits how often the pages are asked for.
    """

    def __init__(
        self,
        approvals: Approvals,
        proofs: BrowserProofs,
        pages: Pages,
        proof: Proof,
        clock: Callable[[], float],
        rates: ApprovalRates,
    ) -> None:
        self._approvals = approvals
        self._proofs = proofs
        self._pages = pages
        self._is_fresh = proof == "sign-in"
        self._clock = clock
        self._rates = rates

    def routes(self) -> list[Route]:
        """Return the routes of the pages."""
        return [
            Route(PATH, self._counted(self._list)),
            Route(f"{PATH}/{{mail_id}}", self._counted(self._page), methods=["GET", "POST"]),
            Route(f"{PATH}/{{mail_id}}/body", self._counted(self._body)),
        ]

    def _counted(self, respond: Respond) -> Respond:
        """Return `respond` behind the limits, and with its errors explained."""

        async def answer(request: Request) -> Response:
            proof = self._proofs.of(request)
            self._rates.count(request.scope, proof.person if proof else None)
            return await respond(request)

        return _explained(answer)

    async def _list(self, request: Request) -> Response:
        proof = self._proofs.of(request)
        if proof is None:
            return self._proofs.begin(PATH)
        return self._pages.approvals(request, await self._approvals.of(proof.person), self._clock())

    async def _page(self, request: Request) -> Response:
        mail, proof = await self._find(request), self._proofs.of(request)
        if request.method == "POST":
            return await self._decide(request, self._own(mail, proof), proof)
        if proof is None or (mail is not None and mail.person == proof.person and not self._is_enough(mail, proof)):
            # The id is in the header of a mail that has left, so that its recipients know it.
            hint = mail.sign_in_name if mail and not mail.is_decided else ""
            return self._proofs.begin(_page_of(request), hint, is_fresh=self._is_fresh)
        shown = await self._approvals.show(self._own(mail, proof))
        return self._pages.approval(request, shown, proof.token, self._clock())

    async def _decide(self, request: Request, mail: HeldMail, proof: BrowserProof | None) -> Response:
        form = await _form(request)
        token = form.get("token", "").encode()
        if proof is None or not secrets.compare_digest(token, proof.token.encode()):
            raise ApprovalNotYours
        if form.get("decision") == "send":
            await self._approvals.approve(mail, form.get("digest", ""))
            return self._pages.approval_done(request, mail, was_sent=True)
        if form.get("decision") != "discard":
            raise ApprovalNotYours
        await self._approvals.decline(mail)
        return self._pages.approval_done(request, mail, was_sent=False)

    async def _body(self, request: Request) -> Response:
        mail, proof = await self._find(request), self._proofs.of(request)
        shown = await self._approvals.show(self._own(mail, proof), with_body=True)
        return self._pages.approval_body(request, shown)

    async def _find(self, request: Request) -> HeldMail | None:
        mail_id = request.path_params["mail_id"]
        if not _ID.fullmatch(mail_id):
            raise ApprovalUnknown
        return await self._approvals.find(mail_id)

    def _own(self, mail: HeldMail | None, proof: BrowserProof | None) -> HeldMail:
        """Return the mail if it is the one of the person at the browser. Raises ApprovalNotYours, ApprovalUnknown."""
        if proof is None:
            raise ApprovalNotYours
        if mail is None or mail.person != proof.person:
            raise ApprovalUnknown
        if not self._is_enough(mail, proof):
            raise ApprovalNotYours
        return mail

    def _is_enough(self, mail: HeldMail, proof: BrowserProof) -> bool:
        is_fresh = proof.page.partition("?")[0] == f"{PATH}/{mail.id}" and self._clock() - proof.at < FRESH_SECONDS
        return is_fresh or not self._is_fresh


class ApprovalCallback:
    """ASGI middleware that answers the callbacks of the sign-ins of these pages; `app` answers all others."""

    def __init__(self, app: ASGIApp, proofs: BrowserProofs) -> None:
        self._app = app
        self._finish = _explained(proofs.finish)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] == "http" and scope["path"] == CALLBACK:
            request = Request(scope, receive)
            if request.query_params.get("state", "").startswith(PREFIX):
                response = await self._finish(request)
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _explained(respond: Respond) -> Respond:
    """Return `respond`, whose errors become a page in a browser, and JSON elsewhere."""

    async def answer(request: Request) -> Response:
        try:
            return await respond(request)
        except M365Error as error:
            note(error)
            return json_error(error.status, error.code, error.explain(), retry_header(error))

    return answer


def _page_of(request: Request) -> str:
    query = f"?{request.url.query}" if request.url.query else ""
    return f"{PATH}/{request.path_params['mail_id']}{query}"


async def _form(request: Request) -> dict[str, str]:
    """Return the fields of a form; none of one that is too large or none of ours."""
    length = request.headers.get("content-length", "")
    if not (length.isascii() and length.isdigit() and len(length) < 9) or int(length) > MAX_FORM_BYTES:
        return {}
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return {}
    form = await request.form(max_fields=8)
    return {name: str(value) for name, value in form.items()}
