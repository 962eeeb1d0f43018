"""The event that every sign-in leaves when it begins, completes or is refused; written to the log and the metrics.

An event contains no token, code, state, address or full URL. What a client chose itself is cleaned, because anyone can
register: a name is one short line, and of a URL only the host stays.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Literal
from urllib.parse import urlsplit

from m365_mcp import logs
from m365_mcp.errors import M365Error
from m365_mcp.metrics import Metrics
from m365_mcp.person import PersonId

# The step of a sign-in, by the endpoint that answered.
Step = Literal["register", "authorize", "consent", "callback", "token"]
Outcome = Literal["begun", "completed", "refused"]
# Why a redirect URI was refused: what it is, the operator's list, or the client's own registration or document.
RedirectCause = Literal["not_usable", "not_allowed", "not_registered", "not_in_document"]
# Where a client brings a token, or asks for one without a sign-in.
TokenEndpoint = Literal["mcp", "token"]
NO_TOKEN = "no_token"  # noqa: S105 - a code
MAX_NAME = 60  # characters
MAX_ID = 80
_NUMBER = re.compile(r"AADSTS([0-9]+)")
_log = logs.get(__name__)


@dataclass(frozen=True)
class SignInEvent:
    """One thing that happened in a sign-in.

    Attributes:
        outcome: what happened.
        step: where.
        sign_in: the reference that all events of one sign-in have in common; None before it begins.
        code: why it was refused: a code of ours or of OAuth.
        aadsts: Microsoft's number, if Microsoft refused.
        cause: why the redirect URI was refused, if that is the reason.
        client_id: the client's id; of a metadata document only the host.
        client_name: the client's name for itself, cleaned; it is not verified.
        redirect_host: the host of the redirect URI, or its scheme if it has no host.
        seconds: the time since the sign-in began.
        advice: what the operator or an administrator has to change.
        host: the host of the request, if this server does not serve it.
        origin: the origin of the page that sent the request, if it is not allowed.
        ref: the reference on the page that tells a person of the refusal.
        person: who signed in; None before that is known. This and what follows is for the audit and not for the log.
        session: the id of the session that began.
        address: the IP address of the browser, or of the caller where no browser was seen.
    """

    outcome: Outcome
    step: Step
    sign_in: str | None = None
    code: str | None = None
    aadsts: int | None = None
    cause: RedirectCause | None = None
    client_id: str | None = None
    client_name: str | None = None
    redirect_host: str | None = None
    seconds: float | None = None
    advice: str | None = None
    host: str | None = None
    origin: str | None = None
    ref: str | None = None
    person: PersonId | None = None
    session: str | None = None
    address: str | None = None


_NOT_LOGGED = ("person", "session", "address")


@dataclass
class Attempt:
    """What is known about the sign-in that one HTTP request belongs to, not cleaned yet.

    Attributes:
        step: where.
        sign_in: the reference of the sign-in.
        began_at: when FastMCP's transaction was created, in epoch seconds.
        client_id: the client's id.
        client_name: the client's name for itself.
        redirect_uri: where the client wants the browser to return to.
        cause: why the redirect URI was refused.
        refused_caller: the host or the origin that was refused, cleaned.
        page_reference: the reference on the page of a refusal, if the answer is a page.
        person: who signed in.
        session: the id of the session that began.
        address: the IP address of the caller, if it may be recorded.
        browser: the IP address of the browser that came back from Entra ID, if it may be recorded.
    """

    step: Step
    sign_in: str | None = None
    began_at: float | None = None
    client_id: str | None = None
    client_name: str | None = None
    redirect_uri: str | None = None
    cause: RedirectCause | None = None
    refused_caller: Mapping[str, str | None] = field(default_factory=dict)
    page_reference: str | None = None
    person: PersonId | None = None
    session: str | None = None
    address: str | None = None
    browser: str | None = None

    def begun(self) -> SignInEvent:
        """Return the event of a sign-in that has begun."""
        return self._event("begun")

    def completed(self, now: float) -> SignInEvent:
        """Return the event of a sign-in whose client has its tokens."""
        return self._event("completed", seconds=self._seconds(now))

    def refused(self, reason: M365Error | str, now: float) -> SignInEvent:
        """Return the event of a refusal, for an error of ours or an error code of OAuth."""
        if isinstance(reason, str):
            return self._event("refused", code=reason, seconds=self._seconds(now))
        return self._event(
            "refused",
            code=reason.code,
            aadsts=aadsts_of(reason),
            seconds=self._seconds(now),
            advice=reason.administrator_advice if reason.needs_administrator else None,
        )

    def _seconds(self, now: float) -> float | None:
        return None if self.began_at is None else round(max(0.0, now - self.began_at), 1)

    def _event(
        self,
        outcome: Outcome,
        *,
        code: str | None = None,
        aadsts: int | None = None,
        seconds: float | None = None,
        advice: str | None = None,
    ) -> SignInEvent:
        return SignInEvent(
            outcome,
            self.step,
            self.sign_in,
            code,
            aadsts,
            self.cause,
            clean_client_id(self.client_id),
            clean(self.client_name, MAX_NAME),
            host_of(self.redirect_uri),
            seconds,
            advice,
            ref=self.page_reference if outcome == "refused" else None,
            **self.refused_caller,
            person=self.person,
            session=self.session,
            address=self.browser or self.address,
        )


_current: ContextVar[Attempt | None] = ContextVar("m365_mcp_sign_in", default=None)


def followed() -> Attempt | None:
    """Return the sign-in of the current request; None when it belongs to none."""
    return _current.get()


def current() -> Attempt:
    """Return the sign-in of the current request; a new one that nobody reads when there is none."""
    return _current.get() or Attempt("authorize")


@contextmanager
def following(attempt: Attempt) -> Iterator[Attempt]:
    """Make `attempt` the sign-in of the current request and of everything called from it."""
    token = _current.set(attempt)
    try:
        yield attempt
    finally:
        _current.reset(token)


def note_refused_redirect(uri: str, cause: RedirectCause) -> None:
    """Note on the sign-in of the current request that this redirect URI was refused, and why."""
    attempt = current()
    attempt.redirect_uri, attempt.cause = uri, cause


def aadsts_of(refusal: M365Error) -> int | None:
    """Return Microsoft's number of a refusal, or None."""
    number = _NUMBER.fullmatch(refusal.reference or "")
    return int(number[1]) if number else None


def reference_of(transaction_id: str) -> str:
    """Return the reference of a sign-in, from which nobody finds FastMCP's transaction id (the `state` at Entra)."""
    return hashlib.sha256(f"sign-in:{transaction_id}".encode()).hexdigest()[:16]


def _ignore(_: SignInEvent) -> None:
    return


@dataclass(frozen=True)
class SignInLog:
    """Writes the events of sign-ins.

    Attributes:
        metrics: counts them.
        observe: is told of every event.
    """

    metrics: Metrics
    observe: Callable[[SignInEvent], None] = _ignore

    def write(self, event: SignInEvent) -> None:
        """Write one event to the log and count it."""
        self.metrics.sign_ins.labels(event.outcome, event.code or "").inc()
        self.observe(event)
        found = asdict(event).items()
        fields = {name: value for name, value in found if value is not None and name not in _NOT_LOGGED}
        log = _log.warning if event.advice else _log.info
        log("sign_in", **fields)

    def write_token(self, endpoint: TokenEndpoint, code: str, client_id: str | None = None) -> None:
        """Write that a token was refused, and count it.

        Args:
            endpoint: where.
            code: of ours or of OAuth; `no_token` is counted only, because a client that has none begins so.
            client_id: the client's id, not cleaned yet.
        """
        self.metrics.token_refusals.labels(endpoint, code).inc()
        if code != NO_TOKEN:
            _log.info("token_refused", endpoint=endpoint, code=code, client_id=clean_client_id(client_id))


def clean(text: str | None, limit: int) -> str | None:
    """Return `text` as one short line without control characters, addresses and tokens; None when nothing is left."""
    if text is None:
        return None
    visible = "".join(" " if unicodedata.category(character)[0] in "CZ" else character for character in text[:4096])
    line = logs.redact(" ".join(visible.split()))
    return (line if len(line) <= limit else f"{line[: limit - 1]}…") or None


def host_of(uri: str | None) -> str | None:
    """Return the host of a redirect URI, or its scheme if it has no host; None when it has neither."""
    if uri is None:
        return None
    try:
        parts = urlsplit(uri)
        host = parts.hostname
    except ValueError:
        return None
    return clean(host or (f"{parts.scheme}:" if parts.scheme else None), MAX_ID)


@lru_cache(maxsize=256)  # each call of a tool asks for that of its client
def clean_client_id(client_id: str | None) -> str | None:
    """Return a client id as one short line; of the URL of a metadata document only the host."""
    is_url = client_id is not None and "://" in client_id
    return (host_of(client_id) if is_url else None) or clean(client_id, MAX_ID)
