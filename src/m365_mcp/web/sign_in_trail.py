"""Reads from requests and responses of the OAuth endpoints which sign-in began, completed or was refused, and why.

It stands around everything that can refuse one: our checks, FastMCP, the MCP SDK and Entra's callback. What only the
code inside knows, such as the client's name, comes from `auth.sign_in_events.current`. As the outermost part that reads
records of a sign-in, it also begins and ends what `storage.request_memo` remembers of a request.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from m365_mcp.auth.sign_in_events import Attempt, SignInEvent, SignInLog, Step, following, reference_of
from m365_mcp.auth.sign_in_records import SignInRecords
from m365_mcp.errors import (
    ClientUnknown,
    M365Error,
    PersonDeclined,
    SignInElsewhere,
    SignInExpired,
    StorageUnavailable,
    request_error,
)
from m365_mcp.storage import request_memo
from m365_mcp.web.client_address import client_ip
from m365_mcp.web.error_override import AUTHORIZE, PAGES, is_for_a_person
from m365_mcp.web.oauth_requests import MAX_OAUTH_BODY

_STEPS: dict[str, Step] = {
    "/register": "register",
    "/authorize": "authorize",
    "/consent": "consent",
    "/auth/callback": "callback",
    "/token": "token",
}
_CODE = re.compile(r"[a-z_]{1,40}")  # RFC 6749 allows more, but no error code of ours or of FastMCP is different


class SignInTrail:
    """ASGI middleware that writes the events of sign-ins in `app`.

    Args:
        app: the application whose sign-ins these are.
        log: writes the events.
        records: FastMCP's records of sign-ins.
        clock: returns epoch seconds; for tests.
        notes_addresses: whether events have the IP address of the caller; it is in no log.
    """

    def __init__(
        self,
        app: ASGIApp,
        log: SignInLog,
        records: SignInRecords,
        clock: Callable[[], float] = time.time,
        *,
        notes_addresses: bool = False,
    ) -> None:
        self._app = app
        self._log = log
        self._records = records
        self._clock = clock
        self._notes_addresses = notes_addresses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        step = _STEPS.get(scope["path"]) if scope["type"] == "http" else None
        if step is None or scope["method"] not in ("GET", "POST"):
            await self._app(scope, receive, send)
            return
        address = client_ip(scope) if self._notes_addresses else None
        with following(Attempt(step, address=address)) as attempt, request_memo.remembering():
            exchange = _Exchange(scope, receive, send, lambda: self._follow(attempt, exchange))
            if step == "callback":
                # FastMCP deletes the transaction of a sign-in that succeeds, so it is read before.
                await self._add_transaction(attempt, exchange.query.get("state"))
            try:
                await self._app(scope, exchange.receive, exchange.send)
            except Exception as error:
                # Starlette sends its response first and raises afterwards; then the event is written already.
                if not exchange.is_complete:
                    self._log.write(attempt.refused(_reason(error), self._clock()))
                raise

    async def _follow(self, attempt: Attempt, exchange: _Exchange) -> None:
        event = await self._event(attempt, exchange)
        if event is not None:
            self._log.write(event)

    async def _event(self, attempt: Attempt, exchange: _Exchange) -> SignInEvent | None:
        fields, refusal = exchange.fields, exchange.refusal
        is_refresh = attempt.step == "token" and fields.get("grant_type") != "authorization_code"
        if is_refresh and not attempt.refused_caller:  # of whom is refused, the form is not read
            if refusal is not None:
                code = refusal if isinstance(refusal, str) else refusal.code
                self._log.write_token("token", code, fields.get("client_id"))
            return None
        attempt.client_id = attempt.client_id or fields.get("client_id")
        attempt.client_name = attempt.client_name or fields.get("client_name")
        attempt.redirect_uri = attempt.redirect_uri or fields.get("redirect_uri")
        if refusal is None and attempt.step == "authorize":
            attempt.sign_in = reference_of(exchange.answer_query.get("txn_id", ""))
            return attempt.begun()
        if attempt.step == "consent" and refusal is not None:
            await self._add_transaction(attempt, fields.get("txn_id"))
        # Of a code that was redeemed, the proxy has told; another read would come between the code and the response.
        if attempt.step == "token" and refusal is not None:
            with contextlib.suppress(StorageUnavailable):
                await self._records.add_code(attempt, fields.get("code", ""))
        if refusal is not None:
            attempt.page_reference = request_error.reference() if exchange.shows_page else None
            declined = attempt.step == "consent" and refusal == "access_denied"
            return attempt.refused(PersonDeclined() if declined else refusal, self._clock())
        return attempt.completed(self._clock()) if attempt.step == "token" else None

    async def _add_transaction(self, attempt: Attempt, transaction_id: str | None) -> None:
        # During an outage of the store the event lacks what the store knows, and its code says so.
        with contextlib.suppress(StorageUnavailable):
            if transaction_id:
                await self._records.add_transaction(attempt, transaction_id)


class _Exchange:
    """One request and its response, passed on unchanged and remembered as far as an event needs it.

    Args:
        scope: the request.
        receive: returns the request's body.
        send: takes the response.
        at_end: called before the response is sent, so that nobody sees an answer whose event is missing.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, at_end: Callable[[], Awaitable[None]]) -> None:
        self._path = scope["path"]
        self._is_for_a_person = is_for_a_person(scope)
        self._headers = Headers(scope=scope)
        self._receive = receive
        self._send = send
        self._at_end = at_end
        self.is_complete = False
        self._body = bytearray()
        self._status = 0
        self._answer_headers = Headers()
        self._held: list[Message] = []
        self.query = _first_values(scope["query_string"].decode("latin-1"))

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request" and len(self._body) <= MAX_OAUTH_BODY:
            self._body += message.get("body", b"")
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status, self._answer_headers = message["status"], Headers(raw=message["headers"])
        # The body of an error says why, so its headers wait for it; another response says all in its headers.
        if not self.is_complete and self._status >= 400:
            self._held.append(message)
            if message["type"] == "http.response.start" or message.get("more_body"):
                return
        if not self.is_complete:
            self.is_complete = True
            await self._at_end()
        held, self._held = self._held or [message], []
        for each in held:
            await self._send(each)

    @property
    def fields(self) -> Mapping[str, str]:
        """The parameters of the request: of its form, of its JSON, or of its query."""
        if "json" in self._headers.get("content-type", ""):
            return _registration(_json(self._body))
        return {**self.query, **_first_values(self._body.decode("latin-1"))}

    @property
    def shows_page(self) -> bool:
        """Whether `error_override` makes a page of the response."""
        return self._is_for_a_person and self._status >= 400

    @property
    def answer_query(self) -> Mapping[str, str]:
        """The query of the address that the response redirects to."""
        return _first_values(urlsplit(self._answer_headers.get("location", "")).query)

    @property
    def refusal(self) -> M365Error | str | None:
        """Why the response refuses; None when it does not."""
        error = self.answer_query.get("error")
        if self._status < 400 and error is None:
            return None
        noted = request_error.noted()
        answer = b"".join(message.get("body", b"") for message in self._held)
        return noted or self._page_code() or _code(error or _json(answer).get("error")) or f"http_{self._status}"

    def _page_code(self) -> str | None:
        """Return the code of the error that `error_override` finds in a response in which FastMCP names none."""
        if self._path in PAGES and self._status >= 400:
            return (SignInElsewhere if self._status == 403 else SignInExpired).code
        return ClientUnknown.code if self._path == AUTHORIZE and "link" in self._answer_headers else None


def _reason(error: Exception) -> M365Error | str:
    return error if isinstance(error, M365Error) else "internal_error"


def _first_values(query: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(query, max_num_fields=None).items()}


def _json(text: bytes | bytearray) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _registration(body: Mapping[str, Any]) -> dict[str, str]:
    """Return the name and the first redirect URI of a registration (RFC 7591 section 2), if they are texts."""
    uris = body.get("redirect_uris")
    first = uris[0] if isinstance(uris, list) and uris else None
    found = {"client_name": body.get("client_name"), "redirect_uri": first}
    return {name: value for name, value in found.items() if isinstance(value, str)}


def _code(error: Any) -> str | None:
    return error if isinstance(error, str) and _CODE.fullmatch(error) else None
