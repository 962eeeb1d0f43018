"""Every page a person sees in a browser, and the server's icon: templates, styles and scripts are files in this folder.

A page loads nothing from elsewhere. Its Content-Security-Policy allows only its own style and script, each by hash (CSP
level 3), and the hashes are computed from the files.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from html import escape
from importlib.resources import files
from string import Template

from mcp_types import Icon
from starlette.datastructures import MutableHeaders
from starlette.responses import HTMLResponse, Response

from m365_mcp.errors import M365Error, Unavailable
from m365_mcp.web.responses import retry_header

_RELOAD = "Reload this page in a moment; if that does not help, start the sign-in again from your MCP client."
# MCP security best practices: no framing, no copies, and no address with a code in it for the next site.
# `same-origin` and not `no-referrer`: the latter turns the Origin of our own consent form into "null".
PAGE_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class _Html(str):
    """Text that is HTML already, so that filling it into a template does not escape it."""

    __slots__ = ()


def landing_page(endpoint: str) -> Response:
    """Return the page at the server's address, which names the MCP endpoint."""
    return _page("M365 MCP Server", _fill("landing.html", endpoint=endpoint))


def error_page(error: M365Error) -> Response:
    """Return `error` for a person whose sign-in did not finish."""
    advice = _RELOAD if isinstance(error, Unavailable) else error.advice
    return _error_page("Sign-in did not finish", error, advice)


def refused_page(error: M365Error) -> Response:
    """Return `error` for a person who has opened an upload link that cannot be used."""
    return _error_page("No file can be uploaded here", error, error.advice)


def upload_page(name: str, size: int | None) -> Response:
    """Return the page that uploads one file to the page's own address.

    Args:
        name: the file's name.
        size: its announced size in bytes; None when any size is accepted.
    """
    style, script = _read("upload.css"), _read("upload.js")
    html = _fill(
        "upload.html",
        style=style,
        script=script,
        name=name,
        size="" if size is None else str(size),
        announced_size="" if size is None else f" ({size:,} bytes)",
    )
    return _response(html, f"style-src {_hash(style)}; script-src {_hash(script)}; connect-src 'self'")


def protect_page(headers: MutableHeaders) -> None:
    """Add the headers that an HTML response lacks; other responses stay as they are."""
    if headers.get("content-type", "").startswith("text/html"):
        for name, value in PAGE_HEADERS.items():
            headers.setdefault(name, value)


def server_icon() -> Icon:
    """Return the icon that MCP clients show, as a data URL."""
    encoded = base64.b64encode(_read("icon.svg").encode()).decode()
    return Icon(src=f"data:image/svg+xml;base64,{encoded}", mime_type="image/svg+xml")


def _error_page(title: str, error: M365Error, advice: str) -> Response:
    reference = _fill("error_reference.html", reference=error.reference) if error.reference else _Html()
    content = _fill("error.html", sentence=error.sentence, advice=advice, code=error.code, reference=reference)
    return _page(title, content, error.status, retry_header(error))


def _page(title: str, content: _Html, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    style = _read("page.css")
    html = _fill("page.html", title=title, style=style, content=content)
    return _response(html, f"style-src {_hash(style)}", status, headers)


def _response(html: _Html, sources: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    policy = f"default-src 'none'; {sources}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    return HTMLResponse(html, status, {**PAGE_HEADERS, "Content-Security-Policy": policy, **(headers or {})})


def _fill(file: str, **values: str) -> _Html:
    """Return the template `file` with `values`, each escaped unless it is HTML already."""
    safe = {name: value if isinstance(value, _Html) else escape(value) for name, value in values.items()}
    return _Html(Template(_read(file)).substitute(safe))


@cache
def _read(file: str) -> _Html:
    return _Html(files(__name__).joinpath(file).read_text("utf-8"))


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
