"""ASGI middleware of the Microsoft side: reads what a request is about, and notes what the client saw.

It knows where a person hides in a request (bearer token, assertion, refresh token, code, address of an upload), but
keeps only the person's name.
"""

from collections.abc import Mapping
from email.utils import formatdate
from urllib.parse import parse_qs

import jwt
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from m365_simulator.request_log import RequestFacts, RequestRecord
from m365_simulator.tenant import Tenant

FACTS, STRUCK_BY = "m365_simulator.facts", "m365_simulator.struck_by"
"""Where the facts, and the id of a fault that struck, stand in the ASGI scope."""
Fields = Mapping[str, str]


class Observation:
    """Wraps the Microsoft side; what it learns it leaves in the scope for the faults and in the tenant's log.

    Without `whole_bodies` a request is passed on while it still comes in, as an upload must be.
    """

    def __init__(self, app: ASGIApp, tenant: Tenant, *, whole_bodies: bool = True) -> None:
        self._app = app
        self._tenant = tenant
        self._whole_bodies = whole_bodies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = await _read_body(receive) if self._whole_bodies else b""
        if body is None:
            return
        if self._whole_bodies:
            receive = _replay(body, receive)
        scope[FACTS] = _facts(self._tenant, scope, body)
        status: int | None = None

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                date = formatdate(self._tenant.clock.now(), usegmt=True)
                message = {**message, "headers": [*message["headers"], (b"date", date.encode())]}
            await send(message)

        try:
            await self._app(scope, receive, note_status)
        finally:
            self._tenant.requests.records.append(RequestRecord(scope[FACTS], status, scope.get(STRUCK_BY)))


async def _read_body(receive: Receive) -> bytes | None:
    """Return the whole body; None when the client left before its end, for half a request must have no effect."""
    chunks = []
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunks.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(chunks)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return the body once more, then the further messages of the connection."""
    pending = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return pending.pop() if pending else await receive()

    return replay


def _facts(tenant: Tenant, scope: Scope, body: bytes) -> RequestFacts:
    headers = Headers(scope=scope)
    query = _fields(scope["query_string"].decode("latin-1"))
    is_form = headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    form = _fields(body.decode("utf-8", "replace")) if is_form else {}
    fields = query | form
    return RequestFacts(
        id=tenant.requests.next_id(),
        at=tenant.clock.now(),
        method=scope["method"],
        path=scope["path"],
        grant_type=fields.get("grant_type"),
        person=_person(tenant, headers, fields),
        client_auth=_client_auth(headers, form),
        user_agent=headers.get("user-agent"),
        fields=tuple(fields),
        scope=fields.get("scope"),
        resource=fields.get("resource"),
        cookies="cookie" in headers,
        content_range=headers.get("content-range"),
        traceparent=headers.get("traceparent"),
        baggage=headers.get("baggage"),
    )


def _fields(text: str) -> dict[str, str]:
    return {name: values[-1] for name, values in parse_qs(text, keep_blank_values=True).items()}


def _client_auth(headers: Headers, form: Fields) -> str | None:
    """Name the ways in which the client authenticates: `basic`, `body`, `assertion`, `bearer`, or two of them."""
    scheme = headers.get("authorization", "").partition(" ")[0].casefold()
    ways = [scheme] if scheme in ("basic", "bearer") else []
    ways += ["body"] if "client_secret" in form else []
    ways += ["assertion"] if "client_assertion" in form else []
    return "+".join(ways) or None


def _person(tenant: Tenant, headers: Headers, fields: Fields) -> str | None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.casefold() == "bearer":
        return _person_in_token(tenant, token)
    if "assertion" in fields:
        return _person_in_token(tenant, fields["assertion"])
    if "username" in fields:
        chosen = tenant.find_person(fields["username"])
        return chosen.name if chosen else None
    if "authtoken" in fields:
        session = tenant.uploads.find(fields["authtoken"], tenant.clock.now())
        return session.person if session else None
    signs = tenant.sign_ins
    known = signs.refresh_tokens.get(fields.get("refresh_token", "")) or signs.codes.get(fields.get("code", ""))
    signed_in = signs.sessions.get(known.sign_in) if known else None
    return signed_in.person if signed_in else None


def _person_in_token(tenant: Tenant, token: str) -> str | None:
    """Read the person without checking the token: this is for the log and for aiming faults, not for access."""
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        return None
    person = tenant.find_person(str(claims.get("oid", "")))
    return person.name if person else None
