"""Errors that a setting in Microsoft 365 or Entra ID causes; a part of the tree in `errors.base`.

AdministratorNeeded        administrator_needed
  ConsentMissing           consent_missing
  TokenVersionMistake      token_version_mistake
  ClientSecretRejected     client_secret_rejected
  ClientSecretExpired      client_secret_expired
  ClientAssertionRejected  client_assertion_rejected
  AppRegistrationMistake   app_registration_mistake
  PersonNotAllowed         person_not_allowed
  MailboxMissing           mailbox_missing
  PermissionMissing        permission_missing
  MicrosoftRefused         microsoft_refused
"""

from __future__ import annotations

from m365_mcp.errors.base import M365Error
from m365_mcp.errors.filled import Filled


class AdministratorNeeded(M365Error):
    """An administrator must change a setting in Microsoft 365 or Entra ID."""

    code = "administrator_needed"
    title = "Sign-in did not finish"
    needs_administrator = True
    sentence = "Microsoft refused the request because of a setting."
    advice = "The sign-in log of Microsoft Entra tells the administrator of the tenant which setting it is."
    status = 403


class ConsentMissing(AdministratorNeeded):
    """This application has no consent to act on the person's behalf (AADSTS65001)."""

    code = "consent_missing"
    sentence = "This application has no consent to send mail and read your profile on your behalf."
    advice = (
        "An administrator opens the app registration in the Azure portal, goes to API permissions, and "
        "chooses 'Grant admin consent' for User.Read, Mail.Send (only where M365_SEND_LEVEL is send) and the "
        "permissions that M365_TOOLSETS and M365_SEND_MODE need. Then try again."
    )
    for_administrator = (
        "Open the app registration in the Azure portal, go to API permissions, and choose 'Grant admin consent' for "
        "User.Read, Mail.Send (only where M365_SEND_LEVEL is send) and the permissions that M365_TOOLSETS and "
        "M365_SEND_MODE need."
    )

    def name_page(self, url: str) -> None:
        """Add the page where an administrator consents to all that the application asks for."""
        self.for_administrator = _with_page(self.administrator_advice, url)
        self.advice = _with_page(self.advice, url)


def _with_page(advice: str, url: str) -> Filled:
    return Filled("%(advice)s The page for admin consent: %(link)s", advice=Filled.of(advice), link=url)


class TokenVersionMistake(AdministratorNeeded):
    """The app registration issues version 1 tokens; this server needs version 2."""

    code = "token_version_mistake"
    sentence = "The app registration issues version 1 access tokens, and this server needs version 2."
    advice = (
        "In the Azure portal, open the app registration and its Manifest. Set requestedAccessTokenVersion (under api) "
        "to 2 and save. Wait a minute and sign in again."
    )


class ClientSecretRejected(AdministratorNeeded):
    """Entra ID does not accept the client secret (AADSTS7000215)."""

    code = "client_secret_rejected"
    sentence = "Microsoft Entra ID does not accept this server's client secret."
    advice = (
        "Set AZURE_CLIENT_SECRET to the secret's Value (not its Secret ID) from Certificates & secrets, "
        "and restart the server."
    )
    status = 503


class ClientSecretExpired(AdministratorNeeded):
    """The client secret has expired (AADSTS7000222)."""

    code = "client_secret_expired"
    sentence = "This server's client secret has expired."
    advice = (
        "Create a new client secret under Certificates & secrets, set AZURE_CLIENT_SECRET to its Value and "
        "restart the server. If JWT_SIGNING_KEY is set, no sign-in is lost."
    )
    status = 503


class ClientAssertionRejected(AdministratorNeeded):
    """Entra ID does not accept the certificate or the federated token (AADSTS700024, 700027, 70021x)."""

    code = "client_assertion_rejected"
    sentence = "Microsoft Entra ID does not accept this server's certificate or federated token."
    advice = (
        "Compare the app registration with this server's credential. For workload identity, check the federated "
        "credential's issuer, subject (system:serviceaccount:<namespace>:<service account>) and audience. "
        "For a certificate, check that it is uploaded and not expired."
    )
    status = 503


class AppRegistrationMistake(AdministratorNeeded):
    """The app registration and this server's settings do not match."""

    code = "app_registration_mistake"
    sentence = "The app registration and this server's settings do not match."
    advice = (
        "Check AZURE_CLIENT_ID, AZURE_TENANT_ID and MCP_SCOPE_NAME against the app registration: Application ID URI "
        "api://<client id>, the scope under 'Expose an API', the redirect URI, and the Graph permissions."
    )
    status = 503


class PersonNotAllowed(AdministratorNeeded):
    """A policy of the tenant does not let this person in (not assigned, or blocked by conditional access)."""

    code = "person_not_allowed"
    sentence = "A policy of your organisation does not allow you to use this application."
    advice = "Ask your administrator to assign you to the application or to review the conditional access policy."
    for_administrator = "Assign the person to the application, or review the conditional access policy."


class MailboxMissing(AdministratorNeeded):
    """The person has no Exchange Online mailbox (Graph: MailboxNotEnabledForRESTAPI)."""

    code = "mailbox_missing"
    sentence = "The signed-in account has no Exchange Online mailbox."
    advice = "Ask the administrator to assign an Exchange Online licence, or sign in with an account that has one."
    for_person = "If you have another account with a mailbox, connect again with that one."
    for_administrator = "Assign an Exchange Online licence to the account."


class PermissionMissing(AdministratorNeeded):
    """The Graph token lacks a permission (Graph: ErrorAccessDenied, Authorization_RequestDenied)."""

    code = "permission_missing"
    sentence = "Microsoft Graph refused the request because a permission is missing."
    advice = (
        "An administrator grants admin consent in the app registration for User.Read, Mail.Send (only where "
        "M365_SEND_LEVEL is send) and the permissions that M365_TOOLSETS and M365_SEND_MODE need, and checks that the "
        "account has an Exchange Online licence."
    )
    for_administrator = (
        "Grant admin consent in the app registration for User.Read, Mail.Send (only where M365_SEND_LEVEL is "
        "send) and the permissions that M365_TOOLSETS and M365_SEND_MODE need, and check that the account has an "
        "Exchange Online licence."
    )


class MicrosoftRefused(AdministratorNeeded):
    """Microsoft refused, and this server does not know the reason or cannot change it; the reference is the number."""

    code = "microsoft_refused"
    sentence = "Microsoft refused the request, for a reason that this server does not know."
    advice = (
        "Try again once. If it is refused again, look the number up at https://login.microsoftonline.com/error, "
        "or give it to the administrator of your Microsoft 365 tenant."
    )
    for_administrator = "Look the number up at https://login.microsoftonline.com/error."
    status = 503
