"""The frame of every HTML page of the simulator: one style sheet and strict headers."""

import base64
import hashlib
from importlib.resources import files

from starlette.responses import HTMLResponse

from m365_simulator.templating import render


def asset(name: str) -> str:
    """Return the text of a file in the package's `assets` folder."""
    return files("m365_simulator").joinpath("assets", name).read_text("utf-8")


def card_page(template: str, *, status: int = 200, script: str = "", **values: object) -> HTMLResponse:
    """Return a page with one card in the middle; the style and the optional script are allowed by their hash only.

    There is no `form-action` in the policy: browsers apply it to the redirects after a form as well, and those lead to
    the client.
    """
    style = asset("style.css")
    policy = f"default-src 'none'; style-src {_hash(style)}; base-uri 'none'; frame-ancestors 'none'"
    if script:
        policy += f"; script-src {_hash(script)}"
    return HTMLResponse(render(template, style=style, script=script, **values), status, headers=page_headers(policy))


def page_headers(policy: str) -> dict[str, str]:
    """Return the headers of a page under this content security policy."""
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
