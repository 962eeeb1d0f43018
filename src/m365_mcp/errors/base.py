"""Everything that can go wrong, as one tree; each error carries a code, a sentence and a piece of advice.

    M365Error
      InvalidArgument            invalid_argument            the call itself must change
        MessageTooLarge          message_too_large
        BodyTooComplex           body_too_complex
        RecipientNotAllowed      recipient_not_allowed       the operator does not let mail go there
        SignInAlreadyDone        sign_in_already_done
        IdempotencyKeyReused     idempotency_key_reused
        MessageMissing           message_missing             see `mailbox_errors`, as for AlreadySent
        …                                                    what goes wrong with uploads; see `upload_refusals`
      SignInNeeded               sign_in_needed              the person must sign in again
        PersonDeclined           person_declined
        StepUpNeeded             step_up_needed
        AssertionRefused         assertion_refused
      AdministratorNeeded        administrator_needed        somebody must change a setting; see `refusals`
      MessageRefused             message_refused             Graph said no to this message
      AlreadySent                already_sent                too late: the message has left
      ReadRefused                read_refused                Graph said no to a question
      Unavailable                unavailable                 try again later
        StorageUnavailable       storage_unavailable
        EntraUnavailable         entra_unavailable
        GraphUnavailable         graph_unavailable
        Throttled                throttled
        RateLimited              rate_limited
        ServerBusy               server_busy
      OutcomeUnknown             outcome_unknown             it may have been sent
      InternalError              internal_error              a fault of ours
      SettingsMistake            settings_mistake            the server cannot start

The sentence never holds text that came from outside: no token, address, subject or upstream message.
"""

from __future__ import annotations

from typing import ClassVar

DEFAULT_WAIT_SECONDS = 5.0


class M365Error(Exception):
    """A failure that can be explained.

    Args:
        sentence: what happened, one sentence; the class's own when left out.
        advice: what to do about it; the class's own when left out.
        retry_after: seconds after which trying again makes sense, if known.
        reference: an id from the other side (AADSTS code, Graph request-id) that support staff can look up.
    """

    code: ClassVar[str] = "error"
    sentence: str = "Something went wrong."
    advice: str = "Try again; if it persists, tell the people who run this server."
    status: ClassVar[int] = 500  # the HTTP status this error has when it is the answer to an HTTP request

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
        self.retry_after = retry_after
        self.reference = reference
        super().__init__(self.explain())

    def explain(self) -> str:
        """Return the error as text for a person or a model: code, sentence, advice, reference."""
        text = f"{self.code}: {self.sentence} What to do: {self.advice}"
        if self.retry_after is not None:
            text += f" Retry after {round(self.retry_after)} seconds."
        return f"{text} (reference: {self.reference})" if self.reference else text


class InvalidArgument(M365Error):
    """An argument of the call cannot be used; nothing was done."""

    code = "invalid_argument"
    sentence = "An argument of the call cannot be used."
    advice = "Correct the argument and call again."
    status = 400


class MessageTooLarge(InvalidArgument):
    """The message is larger than Microsoft Graph takes in one request."""

    code = "message_too_large"
    sentence = "The message is larger than Microsoft Graph takes in one request."
    advice = "Shorten the body or send it in several messages."
    status = 413


class BodyTooComplex(InvalidArgument):
    """The body is more work than one message may be: too many tags, cells, styles or the like."""

    code = "body_too_complex"
    sentence = "The body is more work than one message may be."
    advice = "Make the body simpler, send it in several messages, or attach the document as a file."
    status = 413


class IdempotencyKeyReused(InvalidArgument):
    """An idempotency key was used before, for another message."""

    code = "idempotency_key_reused"
    sentence = "This idempotency_key was used for another message."
    advice = "Use a new key for a new message, or the same arguments as before with the old one."
    status = 409


class RecipientNotAllowed(InvalidArgument):
    """An address is outside the domains the operator lets mail go to; the sentence names the entry, not the address."""

    code = "recipient_not_allowed"
    sentence = "An address is in no domain mail may go to."
    advice = (
        "Leave it out, or ask the people who run this server to add its domain to M365_SEND_ALLOWED_DOMAINS; "
        "do not try another address of the same person by yourself."
    )
    status = 403


class SignInAlreadyDone(InvalidArgument):
    """The browser came back from Entra a second time with the same sign-in."""

    code = "sign_in_already_done"
    sentence = "This sign-in is being completed already, or has been."
    advice = "Close this page and go back to your MCP client; if it is not connected, start the sign-in there again."


class SignInNeeded(M365Error):
    """The sign-in has ended for good: revoked, expired, or the account was disabled."""

    code = "sign_in_needed"
    sentence = "The sign-in with Microsoft has ended."
    advice = "Disconnect and reconnect this server in your MCP client, and sign in again."
    status = 401


class PersonDeclined(SignInNeeded):
    """The person cancelled the sign-in, or said no to a permission (AADSTS65004)."""

    code = "person_declined"
    sentence = "The sign-in was cancelled, or a permission was declined."
    advice = "Start again from your MCP client when you want to go on."


class StepUpNeeded(SignInNeeded):
    """Microsoft asks for more proof before it gives a token (multi-factor sign-in, conditional access).

    Args:
        sentence: what Microsoft asks for.
        claims: JSON that makes the next sign-in ask for it, from Entra's refusal.
        reference: the AADSTS code.
    """

    code = "step_up_needed"
    sentence = "Microsoft asks for more proof of who you are, for example multi-factor authentication."
    advice = "Reconnect this server in your MCP client and complete what Microsoft asks for when you sign in."

    def __init__(self, sentence: str | None = None, *, claims: str | None = None, reference: str | None = None) -> None:
        self.claims = claims
        super().__init__(sentence, reference=reference)


class AssertionRefused(SignInNeeded):
    """Entra does not accept the token that stands for the person any more (AADSTS50013, 500133); a new one may do."""

    code = "assertion_refused"
    sentence = "Microsoft does not accept this server's token for you any more."


class MessageRefused(M365Error):
    """Microsoft Graph looked at this message and refused it."""

    code = "message_refused"
    sentence = "Microsoft Graph refused the message."
    advice = "Check the recipients and the content, then send again."
    status = 400


class ReadRefused(M365Error):
    """Microsoft Graph refused to show something, for a reason of its own."""

    code = "read_refused"
    sentence = "Microsoft Graph refused to show it."
    advice = "Check that the account still exists and may sign in; give the reference to your administrator."
    status = 502


class Unavailable(M365Error):
    """Something this server depends on does not answer; no state was lost.

    Args:
        sentence: what happened.
        advice: what to do.
        retry_after: the seconds the other side has asked to wait; without them a client is asked for a few.
        reference: the other side's id.
    """

    code = "unavailable"
    sentence = "A service this server depends on does not answer."
    advice = "Try again in a moment; there is no need to sign in again."
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
    """The store behind the sign-ins (Redis) does not answer in time."""

    code = "storage_unavailable"
    sentence = "The store that holds the sign-ins does not answer."


class EntraUnavailable(Unavailable):
    """Microsoft Entra ID does not answer, or answers with a fault of its own."""

    code = "entra_unavailable"
    sentence = "Microsoft Entra ID does not answer."


class GraphUnavailable(Unavailable):
    """Microsoft Graph could not be reached, or refused for a passing reason; nothing was done."""

    code = "graph_unavailable"
    sentence = "Microsoft Graph could not be reached."


class Throttled(Unavailable):
    """Microsoft asks for fewer requests (429); the request was not carried out."""

    code = "throttled"
    sentence = "Microsoft asks this server to slow down."
    advice = "Wait for the time given, then try again once."


class RateLimited(Unavailable):
    """One address has been written to as often as the operator allows in an hour."""

    code = "rate_limited"
    sentence = "One of the recipients has been written to as often as is allowed in an hour."
    advice = "Wait for the time given, or send one message that says it all; the operator sets M365_SEND_HOURLY_LIMIT."


class ServerBusy(Unavailable):
    """This server has as much work as it takes at a time; nothing was begun."""

    code = "server_busy"
    sentence = "This server is busy with other messages."
    advice = "Try again in a moment, one call at a time."


class OutcomeUnknown(M365Error):
    """The request went out and no clear answer came back; it is never repeated by itself."""

    code = "outcome_unknown"
    sentence = "The message was handed to Microsoft Graph, but no clear answer came back: it may or may not be sent."
    advice = "Do not send it again by yourself; ask the person to look in Sent Items first."
    status = 502


class InternalError(M365Error):
    """A fault in this server."""

    code = "internal_error"
    sentence = "This server has a fault and could not complete the request."
    advice = "Tell the people who run it and give them the time of the call; the log says more."


class SettingsMistake(M365Error):
    """One or more settings cannot be used; the server does not start.

    Args:
        mistakes: pairs of (variable name, what is wrong with it), all of them at once.
    """

    code = "settings_mistake"
    sentence = "One or more settings cannot be used, so the server does not start."
    advice = "Correct the variables in the environment or in .env; .env.example explains each of them."

    def __init__(self, mistakes: tuple[tuple[str, str], ...]) -> None:
        self.mistakes = mistakes
        names = ", ".join(name for name, _ in mistakes)
        super().__init__(f"{len(mistakes)} setting(s) cannot be used: {names}.")
