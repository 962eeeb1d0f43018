"""The tree of errors; each error has a code, a sentence and a piece of advice.

    M365Error
      InvalidArgument            invalid_argument            the call itself must change
        …                                                    see `errors.composing`, `.mailbox`, `.uploads`, `.sign_in`
      SignInNeeded               sign_in_needed              the person must sign in again
        PersonDeclined           person_declined
        StepUpNeeded             step_up_needed
        AssertionRefused         assertion_refused
      AdministratorNeeded        administrator_needed        a setting at Microsoft; see `errors.microsoft`
      MessageRefused             message_refused             Graph refused this message
      PolicyDenied               policy_denied               see `errors.policy`, `.approval`, `.passkeys`
      AlreadySent                already_sent                it has left already; see `errors.mailbox`
      ReadRefused                read_refused                Graph refused to return data
      Unavailable                unavailable                 try again later; see also `errors.audit` and `.policy`
        StorageUnavailable       storage_unavailable
        EntraUnavailable         entra_unavailable
        GraphUnavailable         graph_unavailable
        Throttled                throttled
        RateLimited              rate_limited
        ServerBusy               server_busy
        TooManyRequests          too_many_requests
        StoreNearlyFull          store_nearly_full           and AuditUnavailable, see `errors.audit`
      OutcomeUnknown             outcome_unknown             it may have been sent
      InternalError              internal_error              a fault in this server
      SettingsMistake            settings_mistake            the server cannot start

A sentence never contains text from outside: no token, address, subject or message of Microsoft's.
"""

from __future__ import annotations

from typing import ClassVar

DEFAULT_WAIT_SECONDS = 5.0


class M365Error(Exception):
    """An error that tells what happened and what to do about it.

    A class also says how a page shows it: `title` is the heading, `for_person` what the person at the page can do, and
    `for_administrator` what an administrator can do; None: `advice` is meant for them. `needs_administrator` is true
    where the person at the page cannot act alone. `entra.decipher` sets the three on the error itself.

    Args:
        sentence: what happened, one sentence; the class's own when left out.
        advice: what to do about it; the class's own when left out.
        retry_after: seconds to wait before trying again, if known.
        reference: Microsoft's id of the failure (AADSTS code, Graph request-id), for support staff.
    """

    code: ClassVar[str] = "error"
    sentence: str = "Something went wrong."
    advice: str = "Try again; if the error persists, tell the people who run this server."
    status: ClassVar[int] = 500  # the HTTP status of a response with this error
    title: ClassVar[str] = "That did not work"
    for_person: str | None = None
    for_administrator: str | None = None
    needs_administrator: bool = False
    client_url: str | None = None  # of a sign-in: where the browser tells the client of this error (RFC 6749 4.1.2.1)

    def __init__(
        self,
        sentence: str | None = None,
        *,
        advice: str | None = None,
        retry_after: float | None = None,
        reference: str | None = None,
    ) -> None:
        self.sentence = sentence or type(self).sentence
        self.advice = advice or type(self).advice
        self.for_administrator = None if advice else type(self).for_administrator
        self.retry_after = retry_after
        self.reference = reference
        super().__init__(self.explain())

    @property
    def person_advice(self) -> str | None:
        """What the person at a page can do; None: nothing without an administrator."""
        return self.for_person or (None if self.needs_administrator else self.advice)

    @property
    def administrator_advice(self) -> str:
        """What an administrator or the operator can do."""
        return self.for_administrator or self.advice

    def explain(self) -> str:
        """Return the error as text for a person or a model: code, sentence, advice, reference."""
        text = f"{self.code}: {self.sentence} What to do: {self.advice}"
        if self.retry_after is not None:
            text += f" Retry after {round(self.retry_after)} seconds."
        return f"{text} (reference: {self.reference})" if self.reference else text


class InvalidArgument(M365Error):
    """An argument of the call is not valid; nothing was done."""

    code = "invalid_argument"
    sentence = "An argument of the call is not valid."
    advice = "Correct the argument and call again."
    status = 400


class SignInNeeded(M365Error):
    """The sign-in was revoked or has expired, or the account was disabled."""

    code = "sign_in_needed"
    title = "Sign-in did not finish"
    sentence = "The sign-in with Microsoft has ended."
    advice = "Disconnect and reconnect this server in your MCP client, and sign in again."
    for_person = "Go back to your assistant and connect again. You can close this page."
    status = 401


class PersonDeclined(SignInNeeded):
    """The person cancelled the sign-in or declined a permission (AADSTS65004)."""

    code = "person_declined"
    sentence = "The sign-in was cancelled, or a permission was declined."
    advice = "To try again, start the sign-in from your MCP client."


class StepUpNeeded(SignInNeeded):
    """Microsoft requires more proof before it issues a token (multi-factor authentication, conditional access).

    Args:
        sentence: what Microsoft requires.
        claims: the claims challenge of Entra's refusal, JSON; the next sign-in sends it to Entra.
        reference: the AADSTS code.
    """

    code = "step_up_needed"
    sentence = "Microsoft requires more proof of who you are, for example multi-factor authentication."
    advice = "Reconnect this server in your MCP client and complete what Microsoft asks for during the sign-in."

    def __init__(self, sentence: str | None = None, *, claims: str | None = None, reference: str | None = None) -> None:
        self.claims = claims
        super().__init__(sentence, reference=reference)


class AssertionRefused(SignInNeeded):
    """Entra no longer accepts the assertion of the person (AADSTS50013, 500133); a refreshed one may be accepted."""

    code = "assertion_refused"
    sentence = "Microsoft no longer accepts this server's token for you."


class MessageRefused(M365Error):
    """Microsoft Graph refused this message."""

    code = "message_refused"
    sentence = "Microsoft Graph refused the message."
    advice = "Check the recipients and the content, then send the message again."
    status = 400


class ReadRefused(M365Error):
    """Microsoft Graph refused to return data, for a reason that this server does not know."""

    code = "read_refused"
    sentence = "Microsoft Graph refused to return the data."
    advice = "Check that the account still exists and may sign in. If so, give the reference to your administrator."
    status = 502


class Unavailable(M365Error):
    """A service that this server depends on does not answer; no state was lost.

    Args:
        sentence: what happened.
        advice: what to do.
        retry_after: the seconds that the service asked to wait; when it did not ask, a default applies.
        reference: the service's id of the failure.
    """

    code = "unavailable"
    title = "Please try again in a moment"
    sentence = "A service that this server depends on does not answer."
    advice = "Try again in a moment; there is no need to sign in again."
    for_person: str | None = (
        "Reload this page in a moment. If that does not help, go back to your assistant and connect again."
    )
    status = 503

    def __init__(
        self,
        sentence: str | None = None,
        *,
        advice: str | None = None,
        retry_after: float | None = None,
        reference: str | None = None,
    ) -> None:
        self.asked_to_wait = retry_after
        wait = DEFAULT_WAIT_SECONDS if retry_after is None else retry_after
        super().__init__(sentence, advice=advice, retry_after=wait, reference=reference)


class StorageUnavailable(Unavailable):
    """The store of the sign-ins (Redis) does not answer in time."""

    code = "storage_unavailable"
    sentence = "The store of the sign-ins does not answer."


class EntraUnavailable(Unavailable):
    """Microsoft Entra ID does not answer, or answers with a server error."""

    code = "entra_unavailable"
    sentence = "Microsoft Entra ID does not answer."


class GraphUnavailable(Unavailable):
    """Microsoft Graph could not be reached, or refused for a temporary reason; nothing was done."""

    code = "graph_unavailable"
    sentence = "Microsoft Graph could not be reached."
    for_person = "Try again in a moment."


class Throttled(Unavailable):
    """Microsoft asks for fewer requests (429); the request was not carried out."""

    code = "throttled"
    sentence = "Microsoft asks this server to slow down."
    advice = "Wait for the time given, then try again once."
    for_person = "Try again in a moment."


class RateLimited(Unavailable):
    """The person, or everybody together, has done as much in an hour or a day as the operator allows."""

    code = "rate_limited"
    sentence = "A limit of this server for an hour or a day is reached."
    advice = "Wait for the time given, then try again once."
    for_person = "Nothing was sent. Ask your assistant to send the message again later."


class ServerBusy(Unavailable):
    """This server has as much work as it takes at a time; nothing was begun."""

    code = "server_busy"
    sentence = "This server is busy with other messages."
    advice = "Try again in a moment, one call at a time."
    for_person = "Try again in a moment."


class TooManyRequests(Unavailable):
    """More sign-ins begin from one address, with one client or in total than this server takes."""

    code = "too_many_requests"
    sentence = "More sign-ins are beginning than this server takes at a time."
    advice = "Wait for the time given, then try again. Whoever is signed in stays signed in."
    for_person = "Wait a minute, then reload this page, or go back to your assistant and connect again."
    status = 429


class StoreNearlyFull(Unavailable):
    """The store keeps its last room for people who are signed in."""

    code = "store_nearly_full"
    sentence = "The store of the sign-ins is nearly full, so no sign-in can begin."
    advice = "Try again in some minutes. The operator can give Redis more memory (maxmemory)."
    for_person = "Try again in some minutes. Whoever is signed in stays signed in."


class OutcomeUnknown(M365Error):
    """The request went out and no clear answer came back; this server does not repeat it."""

    code = "outcome_unknown"
    sentence = "The message went to Microsoft Graph, but no clear answer came back: it may or may not have been sent."
    advice = "Do not send it again by yourself; ask the person to look in Sent Items first."
    title = "It is not known whether it was sent"
    for_person = "Look in Sent Items before you ask your assistant to send it again."
    status = 502


class InternalError(M365Error):
    """A fault in this server."""

    code = "internal_error"
    sentence = "This server has a fault and could not complete the request."
    advice = "Tell the people who run this server, with the time of the call; the log has the details."
    for_administrator = "Search the log of this server for the reference above, or for the time."
    needs_administrator = True


class SettingsMistake(M365Error):
    """One or more settings are not valid; the server does not start.

    Args:
        mistakes: all mistakes, as pairs of the variable's name and what is wrong with it.
    """

    code = "settings_mistake"
    sentence = "One or more settings are not valid, so the server does not start."
    advice = "Correct the variables in the environment or in .env; .env.example explains each of them."

    def __init__(self, mistakes: tuple[tuple[str, str], ...]) -> None:
        self.mistakes = mistakes
        super().__init__(f"Settings that are not valid: {', '.join(name for name, _ in mistakes)}.")
