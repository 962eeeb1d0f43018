"""Reads the first path segment: which tenant is meant, whether the app may be used there, and by whom.

A tenant is told by its GUID; None stands for /organizations and /common, which serve every work account once the app
is multi-tenant.
"""

from m365_simulator.entra.problems import EntraError
from m365_simulator.people import Person
from m365_simulator.tenant import Tenant

SHARED_ENDPOINTS = ("organizations", "common")


def read_tenant(tenant: Tenant, segment: str) -> str | None:
    """Return what the segment means; EntraError for an unknown tenant, or one in which the app does not exist."""
    organization = tenant.find_organization(segment)
    if organization is not None and (tenant.app.multi_tenant or organization.id == tenant.tenant_id):
        return organization.id
    if segment in SHARED_ENDPOINTS and tenant.app.multi_tenant:
        return None
    if segment in (*SHARED_ENDPOINTS, "consumers"):
        raise _shared_endpoint_refused(tenant, segment)
    raise EntraError(
        90002,
        f"Tenant '{segment}' not found. Check to make sure you have the correct tenant ID and are signing into "
        "the correct cloud.",
    )


def may_sign_in(tenant: Tenant, tenant_id: str | None, person: Person) -> bool:
    """Return whether the person has an account in the tenant that was asked, and may use this app."""
    if person.tenant_id != tenant.tenant_id and not tenant.app.multi_tenant:
        return False
    return tenant_id in (None, person.tenant_id)


def check_account(tenant: Tenant, tenant_id: str | None, person: Person) -> None:
    """Raise EntraError for a person of another tenant."""
    if may_sign_in(tenant, tenant_id, person):
        return
    organization = tenant.find_organization(tenant_id or "") or tenant.directory.home
    raise EntraError(
        50020,
        f"User account '{person.user_principal_name}' from identity provider "
        f"'https://sts.windows.net/{person.tenant_id}/' does not exist in tenant '{organization.display_name}' and "
        f"cannot access the application '{tenant.app.client_id}'({tenant.app.display_name}) in that tenant. The "
        "account needs to be added as an external user in the tenant first. Sign out and sign in again with a "
        "different Microsoft Entra user account.",
    )


def _shared_endpoint_refused(tenant: Tenant, segment: str) -> EntraError:
    app = f"Application '{tenant.app.client_id}'({tenant.app.display_name})"
    if tenant.app.multi_tenant:
        # The app is for work accounts ("AzureADMultipleOrgs"), not for personal ones.
        return EntraError(
            90130,
            f"{app} is not supported over the /common or /consumers endpoints. "
            "Please use the /organizations or tenant-specific endpoint.",
        )
    return EntraError(
        50194,
        f"{app} is not configured as a multi-tenant application. "
        f"Usage of the /{segment} endpoint is not supported for such apps. Use a tenant-specific endpoint.",
    )
