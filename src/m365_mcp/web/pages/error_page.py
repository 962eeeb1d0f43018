"""What an error page says to the person in front of it, and what they can copy for their IT."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

from starlette.requests import Request

from m365_mcp import logs
from m365_mcp.auth.client_texts import clean
from m365_mcp.errors import (
    M365Error,
    PageUnknown,
    RedirectNotAllowed,
    RedirectNotInDocument,
    RedirectNotRegistered,
    RedirectNotUsable,
    Unavailable,
)
from m365_mcp.web.pages.languages import Language

MAX_URI = 300
_REDIRECT_REFUSED = (RedirectNotAllowed, RedirectNotInDocument, RedirectNotRegistered, RedirectNotUsable)
# A reload must ask again, and nothing on the page is worth a second look by a robot.
HEADERS = {"X-Robots-Tag": "noindex"}
_log = logs.get(__name__)


def values(request: Request, error: M365Error, language: Language, now: datetime) -> dict[str, Any]:
    """Return what the template shows, and log what the administrator needs to find it again."""
    reference = secrets.token_hex(3)
    _log_page(error, reference)
    kind, say = type(error), language.translate
    parts = [error.code, *([error.reference] if error.reference else []), f"{now:%Y-%m-%d %H:%M:%S} UTC"]
    return {
        "title": say(kind.title),
        "sentence": say(error.sentence, kind.sentence),
        "needs_administrator": error.needs_administrator,
        "to_do": None if error.needs_administrator else say(kind.for_person or error.advice, kind.advice),
        "advice": say(error.advice, kind.advice),
        "line": [*parts, f"ref {reference}"],
        "can_reload": isinstance(error, Unavailable) and request.method == "GET",
        "redirect_uri": _redirect_uri(request, error),
    }


def explain(error: M365Error, language: Language) -> str:
    """Return what happened and what the person can do, without code, for a script to show."""
    kind, say = type(error), language.translate
    return f"{say(error.sentence, kind.sentence)} {say(kind.for_person or error.advice, kind.advice)}"


def _redirect_uri(request: Request, error: M365Error) -> str:
    refused = isinstance(error, _REDIRECT_REFUSED)
    return clean(request.query_params.get("redirect_uri", ""), MAX_URI) if refused else ""


def _log_page(error: M365Error, reference: str) -> None:
    if isinstance(error, PageUnknown):
        return  # robots look for a hundred programs that are not here
    advice = {"advice": error.advice} if error.needs_administrator else {}
    level = _log.warning if error.needs_administrator else _log.info
    level("error_page", code=error.code, aadsts=error.reference, ref=reference, **advice)
