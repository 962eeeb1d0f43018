"""How an error looks over HTTP: JSON for programs (RFC 6749 section 5.2), a page for people."""

from __future__ import annotations

import math
from html import escape

from starlette.datastructures import MutableHeaders
from starlette.responses import HTMLResponse, JSONResponse, Response

from m365_mcp.errors import M365Error, Unavailable

OPERATOR_SECONDS = 60  # when somebody has to change a setting first
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
_OWN_PAGE = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"}


def json_reply(status: int, error: str, description: str, headers: dict[str, str] | None = None) -> Response:
    """Return an OAuth-style JSON error that no cache keeps."""
    return JSONResponse(
        {"error": error, "error_description": description}, status, {"Cache-Control": "no-store", **(headers or {})}
    )


def error_as_json(error: M365Error) -> Response:
    """Return a passing trouble for a program, in the OAuth word on which clients keep their tokens."""
    return json_reply(error.status, "temporarily_unavailable", error.explain(), retry_header(error))


def error_as_page(error: M365Error) -> Response:
    """Return `error` for a person in a browser."""
    advice = _RELOAD if isinstance(error, Unavailable) else error.advice
    reference = f"<p class=reference>Reference: {escape(error.reference)}</p>" if error.reference else ""
    text = (
        f"<p>{escape(error.sentence)}</p><h2>What to do</h2><p>{escape(advice)}</p>"
        f"<p class=reference>Code: {escape(error.code)}</p>{reference}"
    )
    return plain_page("Sign-in did not finish", text, error.status, retry_header(error))


def welcome_page(endpoint: str) -> Response:
    """Return what a person sees who opens the server's address in a browser."""
    text = (
        f"<p>This is an MCP server that sends mail as you. Add this address to your MCP client:</p>"
        f"<p><code>{escape(endpoint)}</code></p>"
    )
    return plain_page("M365 MCP Server", text)


def plain_page(title: str, content: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a page without scripts that no cache keeps; `content` is HTML."""
    html = _PAGE.format(title=title, content=content)
    return HTMLResponse(html, status, {**PAGE_HEADERS, **_OWN_PAGE, **(headers or {})})


def protect_page(headers: MutableHeaders) -> None:
    """Add what is missing to the headers of an HTML answer; others are left alone."""
    if headers.get("content-type", "").startswith("text/html"):
        for name, value in PAGE_HEADERS.items():
            headers.setdefault(name, value)


def retry_header(error: M365Error) -> dict[str, str]:
    """Return the header that says when to try again, for a passing trouble."""
    if error.status != 503:
        return {}
    return {"Retry-After": str(math.ceil(OPERATOR_SECONDS if error.retry_after is None else error.retry_after))}


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>
:root {{ color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --edge: #d0d7de; --accent: #b35900; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ink: #e6edf3; --paper: #161b22; --edge: #30363d; --accent: #f0a35e; }} }}
body {{ font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 0;
  display: grid; place-items: center; min-height: 100vh; }}
main {{ max-width: 34rem; margin: 1rem; padding: 1.5rem 2rem; border: 1px solid var(--edge); border-radius: 12px; }}
h1 {{ font-size: 1.3rem; margin-top: 0; }} h2 {{ font-size: 1rem; margin-bottom: 0; color: var(--accent); }}
.reference {{ font-size: .85rem; opacity: .75; }} code {{ overflow-wrap: anywhere; }}
</style></head><body><main>
<h1>{title}</h1>
{content}
</main></body></html>
"""
