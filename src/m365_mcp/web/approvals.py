"""/approvals: the pages where a person reads the mail that waits for them, and sends or discards it.

Only the person whose mail it is gets there, proved by a sign-in with Microsoft in the same browser. Source of the
headers: OWASP "Clickjacking Defense"; the text of the mail is a document of its own in a sandbox.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Literal

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from m365_mcp.auth.browser_proof import CALLBACK, PREFIX, BrowserProof, BrowserProofs
from m365_mcp.errors import ApprovalNotYours, ApprovalUnknown, ApprovalVoid
from m365_mcp.sending.approvals import PATH, Approvals
from m365_mcp.sending.held_mail import HeldMail
from m365_mcp.web.approval_requests import checked_form, explained, limited, told_to_script
from m365_mcp.web.pages import Pages
from m365_mcp.web.passkey_ceremonies import PasskeyCeremonies
from m365_mcp.web.rate_limits import ApprovalRates

_ID = re.compile(r"[0-9a-f]{32}")
Proof = Literal["browser", "sign-in", "passkey"]


class ApprovalPages:
    """Answers the requests for the pages.

    Args:
        approvals: the held mail.
        proofs: tells who is at the browser.
        pages: renders.
        proof: what proof the operator asks for.
        clock: returns epoch seconds.
        rates: limits how often the pages are asked for.
        ceremonies: has people approve mail with their passkeys, where the operator asks for that proof.
    """

    def __init__(
        self,
        approvals: Approvals,
        proofs: BrowserProofs,
        pages: Pages,
        proof: Proof,
        clock: Callable[[], float],
        rates: ApprovalRates,
        ceremonies: PasskeyCeremonies | None = None,
    ) -> None:
        self._approvals = approvals
        self._proofs = proofs
        self._pages = pages
        self._is_fresh = proof == "sign-in"
        self._clock = clock
        self._rates = rates
        self._ceremonies = ceremonies

    def routes(self) -> list[Route]:
        """Return the routes of the pages."""
        counted = partial(limited, self._rates, self._proofs)
        return [
            Route(PATH, explained(counted(self._list))),
            Route(f"{PATH}/{{mail_id}}", explained(counted(self._page)), methods=["GET", "POST"]),
            Route(f"{PATH}/{{mail_id}}/body", explained(counted(self._body))),
            Route(f"{PATH}/{{mail_id}}/challenge", told_to_script(counted(self._challenge)), methods=["POST"]),
        ]

    async def _list(self, request: Request) -> Response:
        proof = self._proofs.of(request)
        if proof is None:
            return self._proofs.begin(PATH)
        waiting, has_passkeys = await self._approvals.of(proof.person), self._ceremonies is not None
        return self._pages.approvals(request, waiting, self._clock(), has_passkeys=has_passkeys)

    async def _page(self, request: Request) -> Response:
        mail, proof = await self._find(request), self._proofs.of(request)
        if request.method == "POST":
            return await self._decide(request, self._own(mail, proof), proof)
        if proof is None or (mail is not None and mail.person == proof.person and not self._is_enough(mail, proof)):
            # The id is in the header of a mail that has left, so that its recipients know it.
            hint = mail.sign_in_name if mail and not mail.is_decided else ""
            return self._proofs.begin(_page_of(request), hint, is_fresh=self._is_fresh)
        shown = await self._approvals.show(self._own(mail, proof))
        known = None if self._ceremonies is None else await self._ceremonies.passkeys.of(proof.person)
        passkeys = None if known is None else len(known)
        return self._pages.approval(request, shown, proof.token, self._clock(), passkeys=passkeys)

    async def _decide(self, request: Request, mail: HeldMail, proof: BrowserProof | None) -> Response:
        form = await checked_form(request, proof)
        if form.get("decision") == "send":
            digest = form.get("digest", "")
            if self._ceremonies is not None:
                await self._ceremonies.verify_to_send(mail, digest, form.get("answer", ""))
            sent = await self._approvals.approve(mail, digest)
            return self._pages.approval_done(request, sent, was_sent=True)
        if form.get("decision") != "discard":
            raise ApprovalNotYours
        await self._approvals.decline(mail)
        return self._pages.approval_done(request, mail, was_sent=False)

    async def _challenge(self, request: Request) -> Response:
        proof = self._proofs.of(request)
        mail = self._own(await self._find(request), proof)
        form = await checked_form(request, proof)
        if self._ceremonies is None:
            raise ApprovalUnknown
        if (await self._approvals.show(mail)).digest != form.get("digest"):
            raise ApprovalVoid
        asked = await self._ceremonies.ask_to_send(mail, form["digest"])
        return JSONResponse(asked, headers={"Cache-Control": "no-store"})

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
        return proof.is_fresh(f"{PATH}/{mail.id}", self._clock()) or not self._is_fresh


class ApprovalCallback:
    """ASGI middleware that answers the callbacks of the sign-ins of these pages; `app` answers all others."""

    def __init__(self, app: ASGIApp, proofs: BrowserProofs) -> None:
        self._app = app
        self._finish = explained(proofs.finish)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] == "http" and scope["path"] == CALLBACK:
            request = Request(scope, receive)
            if request.query_params.get("state", "").startswith(PREFIX):
                response = await self._finish(request)
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _page_of(request: Request) -> str:
    query = f"?{request.url.query}" if request.url.query else ""
    return f"{PATH}/{request.path_params['mail_id']}{query}"
