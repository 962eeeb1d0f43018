"""What an error page says to the person in front of it, and what they can copy for their IT."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.requests import Request

from m365_mcp import logs
from m365_mcp.auth.sign_in_events import current, host_of
from m365_mcp.errors import (
    AuthorizationRequestTooLarge,
    ClientMetadataInvalid,
    M365Error,
    PageUnknown,
    RedirectNotAllowed,
    RedirectNotInDocument,
    RedirectNotRegistered,
    RedirectNotUsable,
    Unavailable,
    request_error,
)
from m365_mcp.mail.text import clean
from m365_mcp.web.pages.languages import Language

MAX_SUBJECT = 300
# Of a refusal that a script shows. A language may join sentences without a blank.
SENTENCE_AND_ADVICE = "%(sentence)s %(advice)s"
FOR_IT = "Send this to your IT support: %(line)s"
_REDIRECT_REFUSED = (RedirectNotAllowed, RedirectNotInDocument, RedirectNotRegistered, RedirectNotUsable)
# A reload must ask again, and nothing on the page is worth a second look by a robot.
HEADERS = {"X-Robots-Tag": "noindex"}
_log = logs.get(__name__)


@dataclass(frozen=True)
class Subject:
    """What a refusal is about, as far as the administrator has to know it.

    Attributes:
        redirect_uri: the redirect URI that was refused.
        client_id: the id of the client that was refused.
    """

    redirect_uri: str = ""
    client_id: str = ""

    @classmethod
    def of(cls, request: Request, error: M365Error) -> Subject:
        """Return what `error` is about; the sign-in of the request knows more than the query, as of a form."""
        query, attempt = request.query_params, current()
        if isinstance(error, _REDIRECT_REFUSED):
            return cls(redirect_uri=clean(attempt.redirect_uri or query.get("redirect_uri", ""), MAX_SUBJECT))
        if isinstance(error, ClientMetadataInvalid | AuthorizationRequestTooLarge):
            return cls(client_id=clean(attempt.client_id or query.get("client_id", ""), MAX_SUBJECT))
        return cls()


def values(request: Request, error: M365Error, language: Language, now: datetime) -> dict[str, Any]:
    """Return what the template shows, and log what the administrator needs to find it again."""
    subject, reference = Subject.of(request, error), request_error.reference()
    _log_page(error, reference, subject)
    return {
        "title": language.translate(type(error).title, M365Error.title),
        "sentence": _sentence(error, language),
        "needs_administrator": error.needs_administrator,
        "to_do": _person_advice(error, language),
        "advice": _administrator_advice(error, language),
        "line": _line(error, now, reference),
        "subject": subject.redirect_uri or subject.client_id,
        # Entra's refusal in the address of a callback stays there.
        "can_reload": isinstance(error, Unavailable)
        and request.method == "GET"
        and "error" not in request.query_params,
        "redirect_uri": subject.redirect_uri,
        "client_url": error.client_url,
    }


def explain(request: Request, error: M365Error, language: Language, now: datetime) -> str:
    """Return what happened and what the person can do, for a script to show; log what their IT will look for."""
    advice = _person_advice(error, language)
    if advice is None:
        reference = request_error.reference()
        _log_page(error, reference, Subject.of(request, error))
        advice = language.translate(FOR_IT) % {"line": " · ".join(_line(error, now, reference))}
    return language.translate(SENTENCE_AND_ADVICE) % {"sentence": _sentence(error, language), "advice": advice}


# A text that only this occurrence has may be without a translation. Then its kind's stands there, which says less, and
# in the end one that is true of every error, so that a page has one language.
def _sentence(error: M365Error, language: Language) -> str:
    return language.translate(error.sentence, type(error).sentence, M365Error.sentence)


def _person_advice(error: M365Error, language: Language) -> str | None:
    kind = type(error)
    forms = (error.person_advice, kind.for_person or kind.advice, M365Error.advice)
    return None if forms[0] is None else language.translate(forms[0], *forms[1:])


def _administrator_advice(error: M365Error, language: Language) -> str:
    kind = type(error)
    return language.translate(error.administrator_advice, kind.for_administrator or kind.advice, M365Error.advice)


def _line(error: M365Error, now: datetime, reference: str) -> list[str]:
    parts = [error.code, *([error.reference] if error.reference else []), f"{now:%Y-%m-%d %H:%M:%S} UTC"]
    return [*parts, f"ref {reference}"]


def _log_page(error: M365Error, reference: str, subject: Subject) -> None:
    if isinstance(error, PageUnknown):
        return  # robots look for a hundred programs that are not here
    found = {
        "redirect_host": host_of(subject.redirect_uri or None),
        "client_host": host_of(subject.client_id or None),
        "advice": error.administrator_advice if error.needs_administrator else None,
    }
    level = _log.warning if error.needs_administrator else _log.info
    known = {name: value for name, value in found.items() if value is not None}
    level("error_page", code=error.code, aadsts=error.reference, ref=reference, **known)
