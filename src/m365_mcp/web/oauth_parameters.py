"""Brings the parameters of OAuth requests into the one form that FastMCP 4.2 and the MCP SDK 2.3 read.

- A parameter without a value counts as left out (RFC 6749 section 3.1), in requests and in our redirects.
- This server has one scope. Whatever a client asks for, it is granted that scope, and the answer says so (RFC 6749
  section 3.3). So the SDK, which refuses the words of OpenID Connect and every other scope, does not see the parameter.
- A client may send its id and secret in the Authorization header (RFC 6749 section 2.3.1); the SDK wants a `client_id`
  in the form. Two different secrets are refused. A secret goes on only as its hash, which is what the store has (see
  `auth.client_secrets`).
- A registration without `token_endpoint_auth_method` is one of a public client; the SDK would issue a secret.

It runs behind `OAuthRequests`, which passes a form on in one message.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from m365_mcp.auth.client_secrets import hash_secret, method_of
from m365_mcp.redirects import RedirectPattern
from m365_mcp.web.responses import json_error

QUERY_PATHS = ("/authorize",)
FORM_PATHS = ("/authorize", "/token", "/revoke")
REDIRECTING_PATHS = ("/consent", "/auth/callback")
Fields = Sequence[tuple[str, str]]
_TWO_SECRETS = (
    "The request has two different client secrets. Send one, in the Authorization header or in the form "
    "(RFC 6749 section 2.3)."
)


class OAuthParameters:
    """ASGI middleware that rewrites parameters.

    Args:
        app: the app behind it.
        allowed: the redirect URIs that this server registers.
    """

    def __init__(self, app: ASGIApp, allowed: Sequence[RedirectPattern]) -> None:
        self._app = app
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        if path in REDIRECTING_PATHS:
            send = _without_empty_state(send)
        if path in QUERY_PATHS:
            scope = {**scope, "query_string": _write(_requested(_read(scope["query_string"])))}
        if scope["method"] == "POST" and path in FORM_PATHS:
            fields = _requested(_read(await _body(receive)))
            if path != "/authorize" and _has_two_secrets(fields, Headers(scope=scope)):
                await json_error(400, "invalid_request", _TWO_SECRETS)(scope, receive, send)
                return
            scope, receive = _with_body(scope, _write(_authenticated(fields, Headers(scope=scope))))
        elif scope["method"] == "POST" and path == "/register":
            scope, receive = _with_body(scope, _registration(await _body(receive), self._allowed))
        await self._app(scope, receive, send)


def _read(encoded: bytes) -> Fields:
    # Latin-1 keeps every byte, so that a `state` in another coding comes back as it was.
    return parse_qsl(encoded.decode("latin-1"), encoding="latin-1")


def _write(fields: Fields) -> bytes:
    return urlencode(fields, encoding="latin-1").encode()


def _requested(fields: Fields) -> Fields:
    return [(name, value) for name, value in fields if name != "scope"]


def _authenticated(fields: Fields, headers: Headers) -> Fields:
    """Return the fields with the client's id and the hash of its secret, wherever it sent them."""
    sent = dict(fields)
    client_id, secret = basic_credentials(headers.get("authorization", ""))
    if client_id and sent.get("client_id", client_id) == client_id:
        sent = {**sent, "client_id": client_id}
        sent.setdefault("client_secret", secret)
    hashed = {"client_secret": hash_secret(sent["client_secret"])} if sent.get("client_secret") else {}
    added = {name: sent[name] for name in ("client_id",) if name in sent} | hashed
    return [*((name, value) for name, value in fields if name not in ("client_id", "client_secret")), *added.items()]


def _has_two_secrets(fields: Fields, headers: Headers) -> bool:
    """Return whether a client sends two different secrets, of which one is wrong; the same one twice does no harm.

    A header with another client's id is not about this client: some proxies in front of a server have one of their own.
    """
    client_id, secret = basic_credentials(headers.get("authorization", ""))
    secrets = {value for name, value in fields if name == "client_secret"}
    if dict(fields).get("client_id", client_id) == client_id:
        secrets.add(secret)
    return len(secrets - {""}) > 1


def basic_credentials(header: str) -> tuple[str, str]:
    """Return the client's id and secret from an Authorization header; empty where there are none."""
    scheme, _, encoded = header.partition(" ")
    if scheme != "Basic":
        return "", ""
    try:
        client_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return unquote_plus(client_id), unquote_plus(secret)


def _registration(body: bytes, allowed: Sequence[RedirectPattern]) -> bytes:
    """Return a registration (RFC 7591 section 2) with a method of authentication, and without a scope."""
    try:
        metadata: Any = json.loads(body)
        if not isinstance(metadata, dict):
            return body
        known = {name: value for name, value in metadata.items() if name != "scope" and value not in (None, "")}
        return json.dumps({**known, "token_endpoint_auth_method": method_of(known, allowed)}).encode()
    except (ValueError, RecursionError):
        return body  # the SDK refuses it, in its own words


async def _body(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    return body


def _with_body(scope: Scope, body: bytes) -> tuple[Scope, Receive]:
    headers = MutableHeaders(raw=list(scope["headers"]))
    headers["content-length"] = str(len(body))

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return {**scope, "headers": headers.raw}, receive


def _without_empty_state(send: Send) -> Send:
    """Return a `send` that takes the empty `state` out of a redirect; FastMCP adds one where the client sent none."""

    async def forward(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=list(message["headers"]))
            if "location" in headers:
                headers["location"] = _drop_last_empty_state(headers["location"])
                message = {**message, "headers": headers.raw}
        await send(message)

    return forward


def _drop_last_empty_state(address: str) -> str:
    # A client's own redirect URI may have such a parameter, too: it comes first, and stays.
    base, question, query = address.partition("?")
    parameters = query.split("&")
    places = [place for place, parameter in enumerate(parameters) if parameter.partition("=")[0] == "state"]
    if not places or parameters[places[-1]] != "state=":
        return address
    del parameters[places[-1]]
    return f"{base}{question}{'&'.join(parameters)}"
