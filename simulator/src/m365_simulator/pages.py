"""The frame of every HTML page of the simulator: one style sheet, strict headers, escaped text. Knows no tenant.

Functions named `*_html` return markup that is safe to insert; everything else is text and goes through `escape`.
"""

import base64
import hashlib
from html import escape
from importlib.resources import files

from starlette.responses import HTMLResponse

RIBBON = "Simulator: no real accounts, no real mail"


def asset(name: str) -> str:
    """Return the text of a file in the package's `assets` folder."""
    return files("m365_simulator").joinpath("assets", name).read_text("utf-8")


def card_page(title: str, inner_html: str, *, status: int = 200, script: str = "") -> HTMLResponse:
    """Return a page with one card in the middle; the style and the optional script are allowed by their hash only.

    There is no `form-action` in the policy: browsers apply it to the redirects after a form as well, and those lead to
    the client.
    """
    style = asset("style.css")
    script_html = f"<script>{script}</script>" if script else ""
    policy = f"default-src 'none'; style-src {_hash(style)}; base-uri 'none'; frame-ancestors 'none'"
    if script:
        policy += f"; script-src {_hash(script)}"
    html = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{style}</style></head>"
        f'<body class="narrow"><p class="ribbon">{RIBBON}</p>'
        f'<main class="card">{inner_html}</main>{script_html}</body></html>'
    )
    return HTMLResponse(html, status, headers=page_headers(policy))


def page_headers(policy: str) -> dict[str, str]:
    """Return the headers of a page under this content security policy."""
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }


def initials_html(name: str) -> str:
    """Return the round badge that stands for a person; it is decoration, so it is hidden from screen readers."""
    letters = "".join(word[0] for word in name.split()[:2]).upper() or "?"
    return f'<span class="badge" aria-hidden="true">{escape(letters)}</span>'


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
