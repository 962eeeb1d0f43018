"""Errors of passkeys, with which a person approves mail and which they add themselves; a part of the tree in `.base`.

M365Error
  PasskeyRefused           passkey_refused          the browser's answer does not prove the passkey
  PasskeyNeeded            passkey_needed           the form came without a passkey
  TooManyPasskeys          too_many_passkeys        the person has as many as this server keeps
AdministratorNeeded
  SignInTimeMissing        sign_in_time_missing     the ID token does not say when the person signed in
"""

from __future__ import annotations

from m365_mcp.errors.base import M365Error
from m365_mcp.errors.microsoft import AdministratorNeeded


class PasskeyRefused(M365Error):
    """The answer is not by a passkey of this person, or is for something else, or comes too late; nothing was done."""

    code = "passkey_refused"
    title = "Your passkey was not accepted"
    sentence = "The answer of your browser does not prove a passkey of yours for this, so nothing was done."
    advice = "Go back, reload the page, and try once more."
    for_person = "Go back, reload the page, and try once more."
    status = 403


class PasskeyNeeded(M365Error):
    """Send was pressed without a passkey, as in a browser without scripts; nothing was sent."""

    code = "passkey_needed"
    title = "Your passkey is needed"
    sentence = "This server sends mail only after you confirm it with a passkey, so nothing was sent."
    advice = "Open the page of the mail in a browser with scripts and passkeys, and press Send there."
    for_person = "Open the page of the mail in a browser with scripts and passkeys, and press Send there."
    status = 403


class TooManyPasskeys(M365Error):
    """The person has as many passkeys as this server keeps; none was added."""

    code = "too_many_passkeys"
    title = "You have many passkeys already"
    sentence = "This server keeps no more passkeys of one person."
    advice = "Remove a passkey that you do not use any more, then add the new one."
    for_person = "Remove a passkey that you do not use any more, then add the new one."
    status = 409


class SignInTimeMissing(AdministratorNeeded):
    """The ID token has no `auth_time`, so that a new sign-in looks like an old session; nothing was changed."""

    code = "sign_in_time_missing"
    title = "Passkeys cannot be changed here yet"
    sentence = "Microsoft did not say when you signed in, and only a new sign-in may change passkeys."
    advice = (
        "An administrator opens the app registration in the Azure portal, goes to Token configuration, and adds the "
        "optional claim auth_time to the ID token."
    )
    for_administrator = (
        "Open the app registration in the Azure portal, go to Token configuration, and add the optional claim "
        "auth_time to the ID token."
    )
