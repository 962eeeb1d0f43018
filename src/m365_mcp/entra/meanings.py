"""What refusals of Entra mean: the error of ours, who must act, what happened and what to do about it.

`entra.refusals` says which AADSTS number has which meaning. A text that is left out is the error's own.
"""

from __future__ import annotations

from m365_mcp.entra.meaning import Meaning
from m365_mcp.errors import (
    AppRegistrationMistake,
    AssertionRefused,
    ClientAssertionRejected,
    ClientSecretExpired,
    ClientSecretRejected,
    ConsentMissing,
    EntraUnavailable,
    MicrosoftRefused,
    PersonDeclined,
    PersonNotAllowed,
    SignInNeeded,
    StepUpNeeded,
)

# Consent.
CONSENT = Meaning(ConsentMissing, "administrator")
ADMIN_CONSENT = Meaning(
    ConsentMissing,
    "administrator",
    "An administrator has to approve this application.",
    "If you asked for approval on Microsoft's page, connect again when it is granted.",
    "Choose 'Grant admin consent' under API permissions of the app registration, or approve the request under "
    "Enterprise applications, Admin consent requests.",
)
DECLINED = Meaning(PersonDeclined, "person")

# The app registration and the settings of this server.
REGISTRATION = Meaning(AppRegistrationMistake, "operator")
SCOPE_UNKNOWN = Meaning(
    AppRegistrationMistake,
    "operator",
    "This server asks for a scope that Microsoft does not know.",
    for_administrator=(
        "Compare MCP_SCOPE_NAME with the scope under 'Expose an API' of the app registration, and GRAPH_BASE_URL with "
        "the tenant's cloud."
    ),
)
PERMISSION_NOT_LISTED = Meaning(
    AppRegistrationMistake,
    "operator",
    "The app registration does not list a permission that this server asks for.",
    for_administrator=(
        "Under API permissions of the app registration, add the delegated Microsoft Graph permissions User.Read, "
        "Mail.Send (only where M365_SEND_LEVEL is send) and those that M365_TOOLSETS and M365_SEND_MODE need. Then "
        "choose 'Grant admin consent'."
    ),
)
SERVICE_MISSING = Meaning(
    AppRegistrationMistake,
    "administrator",
    "Your organisation has not enabled a service that this server needs.",
    for_administrator=(
        "Check that the tenant has Microsoft Graph, Exchange Online and this application under Enterprise "
        "applications, and grant admin consent."
    ),
)
RESOURCE_UNKNOWN = Meaning(
    AppRegistrationMistake,
    "operator",
    "The app registration, or what this server asks for, is not in the tenant.",
    for_administrator=(
        "Check AZURE_CLIENT_ID and AZURE_TENANT_ID, and the Application ID URI api://<client id> under 'Expose an API'."
    ),
)
APP_DISABLED = Meaning(
    AppRegistrationMistake,
    "administrator",
    "This application, or a service that it needs, is disabled in your organisation.",
    for_administrator="Open it under Enterprise applications, Properties, and enable it for users to sign in.",
)
TENANT_UNKNOWN = Meaning(
    AppRegistrationMistake,
    "operator",
    "Microsoft does not find the tenant.",
    for_administrator="Check AZURE_TENANT_ID, and whether the tenant is in the cloud of AZURE_AUTHORITY_HOST.",
)
TENANT_ENDPOINT = Meaning(
    AppRegistrationMistake,
    "operator",
    "The app registration does not serve accounts of this tenant.",
    for_administrator=(
        "Set AZURE_TENANT_ID to the tenant's id, or let the app registration serve several tenants "
        "(Authentication, Supported account types)."
    ),
)
REDIRECT_URI = Meaning(
    AppRegistrationMistake,
    "operator",
    "The app registration does not have the redirect URI of this server.",
    for_administrator=(
        "Add the value of MCP_SERVER_BASE_URL followed by /auth/callback to the app registration (Authentication, Web)."
    ),
)
NO_CREDENTIAL = Meaning(
    AppRegistrationMistake,
    "operator",
    "Microsoft does not accept how this server proves that it is the application.",
    for_administrator=(
        "Register the redirect URI under the platform Web, not as a public client. Set AZURE_CLIENT_SECRET or a "
        "certificate, or use workload identity."
    ),
)
SCOPE_OR_ASSERTION = Meaning(
    ClientAssertionRejected,
    "operator",
    "Microsoft does not accept a scope, or the audience of this server's certificate or federated token.",
    for_administrator="Check MCP_SCOPE_NAME, AZURE_TENANT_ID and AZURE_AUTHORITY_HOST.",
)

# How this server proves that it is the application.
SECRET_REJECTED = Meaning(ClientSecretRejected, "operator")
SECRET_EXPIRED = Meaning(ClientSecretExpired, "operator")
ASSERTION_REJECTED = Meaning(ClientAssertionRejected, "operator")
ASSERTION_TIME = Meaning(
    ClientAssertionRejected,
    "operator",
    "This server's certificate assertion or federated token is outside its time range.",
    for_administrator=(
        "Set the clock of this server (NTP). For workload identity, check that the token file is renewed."
    ),
)

# The person and the policies of their organisation.
NOT_ASSIGNED = Meaning(
    PersonNotAllowed,
    "administrator",
    "You are not assigned to this application in your organisation.",
    for_administrator="Assign the person to the application under Enterprise applications, Users and groups.",
)
BLOCKED = Meaning(
    PersonNotAllowed,
    "administrator",
    "A conditional access policy of your organisation blocks this.",
    for_administrator="Review the policy; the sign-in log of Microsoft Entra names it.",
)
SECURITY_DEFAULTS = Meaning(
    PersonNotAllowed,
    "administrator",
    "A security policy of your organisation blocks this.",
    for_administrator="Review the security defaults and the other security policies of the tenant.",
)
DEVICE = Meaning(
    PersonNotAllowed,
    "administrator",
    "Your organisation allows this only from a device that it manages.",
    "Connect again on a device that your organisation manages.",
    "Check whether the device is joined and compliant, or review the policy that the sign-in log of Microsoft Entra "
    "names.",
)
RISK = Meaning(
    PersonNotAllowed,
    "administrator",
    "Microsoft has blocked the account, because a sign-in looked risky or failed too often.",
    "Wait a while, then connect again from your usual place.",
    "Check the account in the sign-in log and under Identity Protection of Microsoft Entra, and unblock it.",
)
OUT_OF_HOURS = Meaning(
    PersonNotAllowed,
    "administrator",
    "Your organisation does not allow a sign-in at this hour.",
    "Connect again during the hours that your organisation allows.",
    "Check the logon hours of the account in Active Directory.",
)
OTHER_DIRECTORY = Meaning(
    PersonNotAllowed,
    "person",
    "The account does not belong to the organisation that this server serves.",
    "Connect again and sign in with an account of that organisation, or ask its administrator to add yours as a guest.",
)
CROSS_TENANT = Meaning(
    PersonNotAllowed,
    "administrator",
    "One of the two organisations does not allow its people to use applications of the other.",
    "If you have an account of the organisation that this server serves, connect again with that one.",
    "Review the cross-tenant access settings and the tenant restrictions of both organisations.",
)
# The session ends, because whoever is disabled is out at once.
ACCOUNT_DISABLED = Meaning(
    SignInNeeded,
    "administrator",
    "The Microsoft account is disabled.",
    for_administrator="Enable the account in Microsoft Entra if the person may use it; then the person connects again.",
)
ACCOUNT_DELETED = Meaning(
    SignInNeeded,
    "administrator",
    "The Microsoft account was deleted from the organisation.",
    "If you have another account of your organisation, connect again with that one.",
    "Restore the account under Users, Deleted users, if the person may use it.",
)
ACCOUNT_TYPE = Meaning(
    PersonNotAllowed,
    "person",
    "This server does not serve this type of account.",
    "Connect again and sign in with a work or school account.",
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
    "Change your password at Microsoft, then go back to your assistant and connect again.",
)
PASSWORD_CHANGED = Meaning(
    SignInNeeded, "person", "The password of the Microsoft account has changed or expired since the sign-in."
)
NOT_FINISHED = Meaning(SignInNeeded, "person", "The sign-in at Microsoft was not finished in time.")
CODE_USED = Meaning(
    SignInNeeded,
    "person",
    "Microsoft's code for this sign-in was used before, or belongs to another sign-in.",
)
WRONG_PASSWORD = Meaning(SignInNeeded, "person", "Microsoft did not accept the name or the password.")
TOKEN_REFUSED = Meaning(AssertionRefused, "person")

# Other refusals that a new sign-in does not change.
IDENTITY_PROVIDER = Meaning(
    MicrosoftRefused,
    "administrator",
    "The identity provider of your organisation refused the sign-in.",
    for_administrator="Look into the log of your identity provider, for example AD FS; Microsoft cannot change it.",
)
FORM = Meaning(
    MicrosoftRefused,
    "operator",
    "Microsoft does not accept the form of this server's request.",
    for_administrator=(
        "Check that no proxy between this server and Microsoft changes requests. If there is none, tell the people who "
        "make this server."
    ),
)
UNKNOWN = Meaning(MicrosoftRefused, "administrator", for_person="Go back to your assistant and connect once more.")
WITHOUT_NUMBER = Meaning(
    MicrosoftRefused,
    "administrator",
    for_person="Go back to your assistant and connect once more.",
    for_administrator=(
        "Microsoft gave no number. Look for the time of the refusal in the sign-in log of Microsoft Entra; it says why."
    ),
)

# A passing fault; the same callback, opened again, would only repeat it.
PASSING = Meaning(
    EntraUnavailable,
    "nobody",
    "Microsoft Entra ID has a passing fault.",
    "Go back to your assistant and connect again in a moment.",
)
TOO_OFTEN = Meaning(
    EntraUnavailable,
    "nobody",
    "Microsoft Entra ID asks for fewer requests.",
    "Wait a minute, then go back to your assistant and connect again.",
)
