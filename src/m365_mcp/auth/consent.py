"""Our consent page in the place of FastMCP's: what a person is asked, and the form that FastMCP expects back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import urlsplit

from fastmcp.server.auth.oauth_proxy.models import OAuthTransaction
from mcp.shared.auth import OAuthClientInformationFull
from starlette.requests import Request
from starlette.responses import Response

CSRF_FIELD = "csrf_token"


@dataclass(frozen=True)
class ConsentRequest:
    """What a person is asked.

    Attributes:
        client_id: id of the client, a URL if it has a metadata document.
        client_name: what the client calls itself; may be anything.
        named_by: the host that vouches for the name: it serves the client's metadata document and receives the answer.
            None: nobody does.
        redirect_uri: where the answer goes.
        scopes: the requested scopes.
        form_fields: hidden fields that the form sends back, the CSRF token among them.
    """

    client_id: str
    client_name: str
    named_by: str | None
    redirect_uri: str
    scopes: tuple[str, ...]
    form_fields: dict[str, str]


ConsentPage = Callable[[Request, ConsentRequest], Response]


def consent_request(
    client: OAuthClientInformationFull | None, transaction: OAuthTransaction, form_fields: dict[str, str]
) -> ConsentRequest:
    """Return what the person is asked in the sign-in `transaction` of `client`."""
    return ConsentRequest(
        transaction.client_id,
        (client and client.client_name) or "",
        named_by(client, transaction.client_id, transaction.client_redirect_uri),
        transaction.client_redirect_uri,
        tuple(transaction.scopes),
        form_fields,
    )


def named_by(client: OAuthClientInformationFull | None, client_id: str, redirect_uri: str) -> str | None:
    """Return the host that vouches for the client's name, or None.

    A registration can claim any name. A metadata document proves who wrote it, and that says who gets the answer only
    if the answer goes to the same host.
    """
    host = urlsplit(client_id).hostname
    has_document = getattr(client, "cimd_document", None) is not None
    return host if has_document and host is not None and host == urlsplit(redirect_uri).hostname else None


def hidden_fields(page: Response) -> dict[str, str]:
    """Return the hidden fields of the form on FastMCP's consent page; none for another page."""
    parser = _HiddenFields()
    parser.feed(bytes(page.body).decode())
    return parser.found if CSRF_FIELD in parser.found else {}


class _HiddenFields(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "input" and given.get("type") == "hidden":
            self.found[given.get("name") or ""] = given.get("value") or ""


def with_cookies(page: Response, original: Response) -> Response:
    """Return `page` with the cookies of `original`, which bind the form to this browser."""
    page.raw_headers.extend(header for header in original.raw_headers if header[0] == b"set-cookie")
    return page
