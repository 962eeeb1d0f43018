"""Proof of who is at a browser: a sign-in with Microsoft of its own, kept in encrypted cookies and nowhere else.

It is an OpenID Connect sign-in (Core section 3.1) through the registered redirect URI of this server. Its `state`
begins with `PREFIX`, so that the callback is told from one of an MCP client's sign-in. It stores nothing on the server,
so that strangers cannot fill the store by opening pages.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from m365_mcp.auth.callbacks import read_refusal
from m365_mcp.entra.token_endpoint import TokenEndpoint
from m365_mcp.entra.verifier import EntraTokenVerifier
from m365_mcp.errors import ApprovalNotYours
from m365_mcp.person import PersonId
from m365_mcp.storage.encryption import RecordCipher

PREFIX = "approval."
CALLBACK = "/auth/callback"
ROUND_SECONDS = 600.0
PROOF_SECONDS = 900.0
FRESH_SECONDS = 300.0  # how old a sign-in may be that is asked for anew
_ROUND, _PROOF = "m365-approval-sign-in", "m365-approval-proof"


@dataclass(frozen=True)
class BrowserProof:
    """Who is at a browser.

    Attributes:
        person: tenant and object id.
        at: when they signed in, in epoch seconds.
        page: the path of the page that a fresh sign-in was for; empty when the browser's own sign-in was enough.
        token: what a form of this browser carries, so that no other site can send it.
        name: the sign-in name; empty: Entra ID told none.
        began_at: when this server sent them to Entra ID.
        signed_in_at: when they signed in with Microsoft, by Entra ID's clock; None: Entra ID did not say.
    """

    person: PersonId
    at: float
    page: str
    token: str
    name: str = ""
    began_at: float = 0.0
    signed_in_at: float | None = None

    def is_fresh(self, page: str, now: float) -> bool:
        """Return whether they have just signed in anew, for this page."""
        return self.page.partition("?")[0] == page and now - self.at < FRESH_SECONDS


@dataclass(frozen=True)
class ProofClient:
    """The client of these sign-ins at Entra ID.

    Attributes:
        authorize_url: Entra's authorization endpoint.
        client_id: the application.
        scope: the scope of this server, with `openid` and `profile`.
        base_url: public URL of this server.
        base_path: its path, without a slash at its end.
    """

    authorize_url: str
    client_id: str
    scope: str
    base_url: str
    base_path: str


class BrowserProofs:
    """Has people prove who they are, and reads the proof of a request.

    Args:
        client: the client at Entra ID.
        endpoint: redeems the code.
        verifier: verifies the tokens.
        cipher: encrypts the cookies.
        clock: returns epoch seconds; for tests.
    """

    def __init__(
        self,
        client: ProofClient,
        endpoint: TokenEndpoint,
        verifier: EntraTokenVerifier,
        cipher: RecordCipher,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._endpoint = endpoint
        self._verifier = verifier
        self._cipher = cipher
        self._clock = clock

    def begin(self, page: str, login_hint: str = "", *, is_fresh: bool = False) -> Response:
        """Send the browser to Entra ID, and back to `page`.

        Args:
            page: path and query of the page, below the public URL.
            login_hint: the sign-in name of the person who is expected; empty: not known.
            is_fresh: whether they must sign in anew, whatever session the browser has with Microsoft.
        """
        sign_in = {
            "state": PREFIX + secrets.token_urlsafe(24),
            "nonce": secrets.token_urlsafe(24),
            "verifier": secrets.token_urlsafe(48),
            "page": page,
            "is_fresh": is_fresh,
            "at": self._clock(),
        }
        query = {
            "client_id": self._client.client_id,
            "response_type": "code",
            "response_mode": "query",
            "redirect_uri": self._redirect_uri,
            "scope": self._client.scope,
            "state": sign_in["state"],
            "nonce": sign_in["nonce"],
            "code_challenge": _challenge(str(sign_in["verifier"])),
            "code_challenge_method": "S256",
            **({"login_hint": login_hint} if login_hint else {}),
            # OpenID Connect Core section 3.1.2.1
            **({"prompt": "login", "max_age": "0"} if is_fresh else {}),
        }
        response = RedirectResponse(f"{self._client.authorize_url}?{urlencode(query)}", 302)
        self._set(response, _ROUND, sign_in, ROUND_SECONDS)
        return response

    async def finish(self, request: Request) -> Response:
        """Answer the callback: send the browser back to its page, with the proof.

        Raises:
            ApprovalNotYours: it is not the callback of a sign-in of this browser, or the proof is not enough.
            M365Error: the meaning of Entra's refusal.
        """
        query, sign_in = request.query_params, self._get(request, _ROUND, ROUND_SECONDS)
        state = query.get("state", "").encode()
        if sign_in is None or not secrets.compare_digest(str(sign_in["state"]).encode(), state):
            raise ApprovalNotYours
        if "code" not in query:
            raise read_refusal(query) if "error" in query else ApprovalNotYours()
        shown = await self._redeem(query["code"], sign_in)
        page = str(sign_in["page"])
        response = RedirectResponse(f"{self._client.base_url}{page}", 302)
        times = {"at": self._clock(), "began_at": float(sign_in["at"])}
        proof = {**shown, **times, "page": page if sign_in["is_fresh"] else ""}
        self._set(response, _PROOF, proof, PROOF_SECONDS)
        self._set(response, _ROUND, None, 0)
        return response

    async def _redeem(self, code: str, sign_in: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the tokens show: who it is, and when they signed in with Microsoft."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": str(sign_in["verifier"]),
            "scope": self._client.scope,
        }
        tokens = await self._endpoint.request(form, repeatable=False)
        claims, reason = await self._verifier.verify(tokens["access_token"])
        id_claims, id_reason = await self._verifier.verify_id_token(str(tokens.get("id_token")), str(sign_in["nonce"]))
        if reason or id_reason:
            raise ApprovalNotYours(f"Entra ID's token does not show who you are: {reason or id_reason}.")
        signed_in_at = id_claims.get("auth_time")
        if sign_in["is_fresh"] and signed_in_at is not None and self._clock() - float(signed_in_at) > FRESH_SECONDS:
            raise ApprovalNotYours("Microsoft did not ask you to sign in anew.")
        person = [str(claims["tid"]), str(claims.get("oid") or claims["sub"])]
        return {"person": person, "name": id_claims.get("preferred_username", ""), "signed_in_at": signed_in_at}

    def of(self, request: Request) -> BrowserProof | None:
        """Return the proof of a request's browser; None: it has none, or none that still holds."""
        proof = self._get(request, _PROOF, PROOF_SECONDS)
        if proof is None:
            return None
        token = hashlib.sha256(f"form {request.cookies[self._name(_PROOF)]}".encode()).hexdigest()
        return BrowserProof(
            PersonId(*proof["person"]),
            float(proof["at"]),
            str(proof["page"]),
            token,
            str(proof.get("name", "")),
            float(proof.get("began_at", 0.0)),
            None if proof.get("signed_in_at") is None else float(proof["signed_in_at"]),
        )

    @property
    def _redirect_uri(self) -> str:
        return f"{self._client.base_url}{CALLBACK}"

    def _name(self, name: str) -> str:
        """Return the name of a cookie, with a digest of this server's address: another one may have the same host."""
        tagged = f"{name}-{hashlib.sha256(self._client.base_url.encode()).hexdigest()[:8]}"
        return f"__Secure-{tagged}" if self._client.base_url.startswith("https:") else tagged

    def _get(self, request: Request, name: str, seconds: float) -> dict[str, Any] | None:
        text = request.cookies.get(self._name(name))
        value = None if text is None else self._cipher.decrypt(text, "cookie", name)
        return value if value is not None and self._clock() - float(value["at"]) < seconds else None

    def _set(self, response: Response, name: str, value: Mapping[str, Any] | None, seconds: float) -> None:
        text = "" if value is None else self._cipher.encrypt(value, "cookie", name)
        response.set_cookie(
            self._name(name),
            text,
            max_age=int(seconds),
            path=self._client.base_path or "/",
            secure=self._client.base_url.startswith("https:"),
            httponly=True,
            samesite="lax",
        )


def _challenge(verifier: str) -> str:
    """Return the code challenge (RFC 7636 section 4.2)."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
