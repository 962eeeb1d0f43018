"""What refusals of Entra mean: the error of ours, who must act, what happened and what to do about it.

`entra.refusals` says which AADSTS number has which meaning. A sentence or advice that is left out is the error's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from m365_mcp.errors import (
    AppRegistrationMistake,
    AssertionRefused,
    ClientAssertionRejected,
    ClientSecretExpired,
    ClientSecretRejected,
    ConsentMissing,
    EntraUnavailable,
    M365Error,
    MicrosoftRefused,
    PersonDeclined,
    PersonNotAllowed,
    SignInNeeded,
    StepUpNeeded,
)

# Who must act: the person who signs in, an administrator of the tenant, the operator of this server, or nobody.
Actor = Literal["person", "administrator", "operator", "nobody"]


@dataclass(frozen=True)
class Meaning:
    """What a refusal means.

    Attributes:
        kind: the error.
        who: who must act.
        sentence: what happened; None: the error's own sentence.
        advice: what to change; None: the error's own advice.
    """

    kind: type[M365Error]
    who: Actor
    sentence: str | None = None
    advice: str | None = None


_SIGN_IN_AGAIN = "Start the sign-in again from your MCP client."
_OTHER_ACCOUNT = "Sign in with another account, or ask your administrator to let your account in."

# Consent.
CONSENT = Meaning(ConsentMissing, "administrator")
ADMIN_CONSENT = Meaning(
    ConsentMissing, "administrator", "An administrator has to grant this application its permissions."
)
APPROVAL = Meaning(
    ConsentMissing,
    "administrator",
    "An administrator has to approve this application.",
    "Ask for approval on Microsoft's page, or ask your administrator to choose 'Grant admin consent' under "
    "API permissions of the app registration. Then sign in again.",
)
DECLINED = Meaning(PersonDeclined, "person")

# The app registration and the settings of this server.
REGISTRATION = Meaning(AppRegistrationMistake, "operator")
SCOPE_UNKNOWN = Meaning(
    AppRegistrationMistake,
    "operator",
    "This server asks for a scope that Microsoft does not know.",
    "Compare MCP_SCOPE_NAME with the scope under 'Expose an API' of the app registration, and GRAPH_BASE_URL with the "
    "tenant's cloud.",
)
PERMISSION_NOT_LISTED = Meaning(
    AppRegistrationMistake,
    "operator",
    "The app registration does not list a permission that this server asks for.",
    "Under API permissions of the app registration, add the delegated Microsoft Graph permissions Mail.Send, User.Read "
    "and those that M365_TOOLSETS and M365_SEND_MODE need. Then an administrator chooses 'Grant admin consent'.",
)
SERVICE_MISSING = Meaning(
    AppRegistrationMistake,
    "administrator",
    "Your organisation has not enabled a service that this server needs.",
    "The administrator checks that the tenant has Microsoft Graph, Exchange Online and this application under "
    "Enterprise applications, and grants admin consent.",
)
RESOURCE_UNKNOWN = Meaning(
    AppRegistrationMistake,
    "operator",
    "The app registration, or what this server asks for, is not in the tenant.",
    "Check AZURE_CLIENT_ID and AZURE_TENANT_ID, and the Application ID URI api://<client id> under 'Expose an API'.",
)
APP_DISABLED = Meaning(
    AppRegistrationMistake,
    "administrator",
    "This application, or a service that it needs, is disabled in your organisation.",
    "The administrator opens it under Enterprise applications, Properties, and enables it for users to sign in.",
)
TENANT_UNKNOWN = Meaning(
    AppRegistrationMistake,
    "operator",
    "Microsoft does not find the tenant.",
    "Check AZURE_TENANT_ID, and whether the tenant is in the cloud of AZURE_AUTHORITY_HOST.",
)
TENANT_ENDPOINT = Meaning(
    AppRegistrationMistake,
    "operator",
    "The app registration does not serve accounts of this tenant.",
    "Set AZURE_TENANT_ID to the tenant's id, or let the app registration serve several tenants "
    "(Authentication, Supported account types).",
)
REDIRECT_URI = Meaning(
    AppRegistrationMistake,
    "operator",
    "The app registration does not have the redirect URI of this server.",
    "Add the value of MCP_SERVER_BASE_URL followed by /auth/callback to the app registration (Authentication, Web).",
)
NO_CREDENTIAL = Meaning(
    AppRegistrationMistake,
    "operator",
    "Microsoft does not accept how this server proves that it is the application.",
    "Register the redirect URI under the platform Web, not as a public client. Set AZURE_CLIENT_SECRET or a "
    "certificate, or use workload identity.",
)
SCOPE_OR_ASSERTION = Meaning(
    ClientAssertionRejected,
    "operator",
    "Microsoft does not accept a scope, or the audience of this server's certificate or federated token.",
    "Check MCP_SCOPE_NAME, AZURE_TENANT_ID and AZURE_AUTHORITY_HOST.",
)

# How this server proves that it is the application.
SECRET_REJECTED = Meaning(ClientSecretRejected, "operator")
SECRET_EXPIRED = Meaning(ClientSecretExpired, "operator")
ASSERTION_REJECTED = Meaning(ClientAssertionRejected, "operator")
ASSERTION_TIME = Meaning(
    ClientAssertionRejected,
    "operator",
    "This server's certificate assertion or federated token is outside its time range.",
    "Set the clock of this server (NTP). For workload identity, check that the token file is renewed.",
)

# The person and the policies of their organisation.
NOT_ASSIGNED = Meaning(
    PersonNotAllowed,
    "administrator",
    "You are not assigned to this application in your organisation.",
    "Ask your administrator to assign you to the application (Enterprise applications, Users and groups).",
)
BLOCKED = Meaning(
    PersonNotAllowed,
    "administrator",
    "A conditional access policy of your organisation blocks this.",
    "Ask your administrator to review the policy; the sign-in log of Microsoft Entra names it.",
)
SECURITY_DEFAULTS = Meaning(
    PersonNotAllowed,
    "administrator",
    "A security policy of your organisation blocks this.",
    "Ask your administrator to review the security policies of the tenant.",
)
DEVICE = Meaning(
    PersonNotAllowed,
    "administrator",
    "Your organisation allows this only from a managed device.",
    "Sign in on a device that your organisation manages, or ask your administrator.",
)
DEVICE_NOT_JOINED = Meaning(
    PersonNotAllowed,
    "administrator",
    "Your organisation allows this only from a device that belongs to it.",
    "Sign in on a device that belongs to your organisation, or ask your administrator.",
)
RISK = Meaning(
    PersonNotAllowed,
    "administrator",
    "Microsoft has blocked the account, because a sign-in looked risky or failed too often.",
    "Wait a while and sign in from your usual place, or ask your administrator to unblock the account.",
)
OUT_OF_HOURS = Meaning(
    PersonNotAllowed,
    "administrator",
    "Your organisation does not allow a sign-in at this hour.",
    "Sign in during the allowed hours, or ask your administrator.",
)
OTHER_DIRECTORY = Meaning(
    PersonNotAllowed,
    "person",
    "The account does not belong to the organisation that this server serves.",
    "Sign in with an account of that organisation, or ask its administrator to add this account as a guest.",
)
CROSS_TENANT = Meaning(
    PersonNotAllowed,
    "administrator",
    "One of the two organisations does not allow its people to use applications of the other.",
    _OTHER_ACCOUNT,
)
# The session ends, because whoever is disabled is out at once.
ACCOUNT_DISABLED = Meaning(
    SignInNeeded,
    "administrator",
    "The Microsoft account is disabled.",
    "Ask your administrator to enable the account, then sign in again.",
)
ACCOUNT_DELETED = Meaning(
    SignInNeeded,
    "administrator",
    "The Microsoft account was deleted from the organisation.",
    "Sign in with another account, or ask your administrator.",
)
ACCOUNT_TYPE = Meaning(
    PersonNotAllowed,
    "person",
    "This server does not serve this type of account.",
    "Sign in with a work or school account.",
)

# More proof, in a new sign-in.
PROOF = Meaning(StepUpNeeded, "person")
MFA = Meaning(StepUpNeeded, "person", "Microsoft asks for multi-factor authentication.")
MFA_AGAIN = Meaning(
    StepUpNeeded,
    "person",
    "Microsoft asks for multi-factor authentication again, because the last one was too long ago.",
)
MFA_ENROLMENT = Meaning(StepUpNeeded, "person", "Microsoft asks you to register for multi-factor authentication.")
OTHER_PROOF = Meaning(
    StepUpNeeded,
    "person",
    "Microsoft asks for the additional proof that your organisation has set up with another provider.",
)

# A new sign-in.
ENDED = Meaning(SignInNeeded, "person")
REVOKED = Meaning(SignInNeeded, "person", "An administrator or you have revoked the sign-in with Microsoft.")
UNUSED = Meaning(SignInNeeded, "person", "The sign-in with Microsoft was not used for 90 days and has ended.")
TOO_LONG_AGO = Meaning(
    SignInNeeded, "person", "Your organisation requires a new sign-in after a set time, and this time is over."
)
PASSWORD = Meaning(
    SignInNeeded,
    "person",
    "The password of the Microsoft account has expired or has to be changed.",
    "Change the password at Microsoft, then disconnect and reconnect this server in your MCP client.",
)
PASSWORD_CHANGED = Meaning(
    SignInNeeded, "person", "The password of the Microsoft account has changed or expired since the sign-in."
)
NOT_FINISHED = Meaning(SignInNeeded, "person", "The sign-in at Microsoft was not finished in time.", _SIGN_IN_AGAIN)
CODE_USED = Meaning(
    SignInNeeded,
    "person",
    "Microsoft's code for this sign-in was used before, or belongs to another sign-in.",
    _SIGN_IN_AGAIN,
)
WRONG_PASSWORD = Meaning(SignInNeeded, "person", "Microsoft did not accept the name or the password.", _SIGN_IN_AGAIN)
TOKEN_REFUSED = Meaning(AssertionRefused, "person")

# Other refusals that a new sign-in does not change.
IDENTITY_PROVIDER = Meaning(
    MicrosoftRefused,
    "administrator",
    "The identity provider of your organisation refused the sign-in.",
    "Ask the administrator of your organisation; Microsoft cannot change it.",
)
FORM = Meaning(
    MicrosoftRefused,
    "operator",
    "Microsoft does not accept the form of this server's request.",
    "Tell the people who run this server the number. A proxy between this server and Microsoft must not change "
    "requests.",
)
UNKNOWN = Meaning(MicrosoftRefused, "administrator")

# A passing fault.
PASSING = Meaning(EntraUnavailable, "nobody", "Microsoft Entra ID has a passing fault.")
TOO_OFTEN = Meaning(EntraUnavailable, "nobody", "Microsoft Entra ID asks for fewer requests.")
