"""/approvals/passkeys: the page where people see, add and remove the passkeys with which they approve mail.

It opens after a new sign-in with Microsoft, and each such sign-in makes one change.
"""

from __future__ import annotations

from functools import partial

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from m365_mcp.auth.browser_proof import BrowserProof, BrowserProofs
from m365_mcp.errors import ApprovalNotYours
from m365_mcp.web.approval_requests import checked_form, explained, limited, told_to_script
from m365_mcp.web.pages import Pages
from m365_mcp.web.passkey_ceremonies import PASSKEYS_PATH, PasskeyCeremonies
from m365_mcp.web.rate_limits import ApprovalRates


class PasskeyPages:
    """Answers the requests for the page.

    Args:
        ceremonies: adds and removes passkeys.
        proofs: tells who is at the browser.
        pages: renders.
        rates: limits how often the page is asked for.
    """

    def __init__(
        self, ceremonies: PasskeyCeremonies, proofs: BrowserProofs, pages: Pages, rates: ApprovalRates
    ) -> None:
        self._ceremonies = ceremonies
        self._proofs = proofs
        self._pages = pages
        self._rates = rates

    def routes(self) -> list[Route]:
        """Return the routes of the page."""
        counted = partial(limited, self._rates, self._proofs)
        return [
            Route(PASSKEYS_PATH, explained(counted(self._page)), methods=["GET", "POST"]),
            Route(f"{PASSKEYS_PATH}/challenge", told_to_script(counted(self._challenge)), methods=["POST"]),
        ]

    async def _page(self, request: Request) -> Response:
        proof = self._proofs.of(request)
        if request.method == "POST":
            return await self._change(request, await self._fresh(proof))
        if proof is None or not await self._ceremonies.may_change(proof):
            query = f"?{request.url.query}" if request.url.query else ""
            return self._proofs.begin(f"{PASSKEYS_PATH}{query}", proof.name if proof else "", is_fresh=True)
        return await self._show(request, proof, token=proof.token)

    async def _change(self, request: Request, proof: BrowserProof) -> Response:
        form = await checked_form(request, proof)
        if form.get("decision") == "add":
            await self._ceremonies.add(proof, form.get("answer", ""), form.get("name", ""))
        elif form.get("decision") == "remove":
            await self._ceremonies.remove(proof, form.get("passkey", ""))
        else:
            raise ApprovalNotYours
        return await self._show(request, proof, token="")

    async def _challenge(self, request: Request) -> Response:
        proof = await self._fresh(self._proofs.of(request))
        await checked_form(request, proof)
        return JSONResponse(await self._ceremonies.ask_to_add(proof), headers={"Cache-Control": "no-store"})

    async def _fresh(self, proof: BrowserProof | None) -> BrowserProof:
        if proof is None or not await self._ceremonies.may_change(proof):
            raise ApprovalNotYours
        return proof

    async def _show(self, request: Request, proof: BrowserProof, token: str) -> Response:
        return self._pages.passkeys(request, await self._ceremonies.passkeys.of(proof.person), token)
