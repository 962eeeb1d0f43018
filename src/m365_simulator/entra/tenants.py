"""Reads the first path segment: which tenant is meant, and whether this single-tenant app may be used there."""

from m365_simulator.entra.problems import EntraError
from m365_simulator.tenant import Tenant

SHARED_ENDPOINTS = ("common", "organizations", "consumers")


def check_tenant(tenant: Tenant, segment: str) -> None:
    """Raise EntraError unless the segment is the tenant's GUID or its verified domain."""
    if segment.casefold() in (tenant.tenant_id, tenant.directory.home.domain):
        return
    if segment in SHARED_ENDPOINTS:
        raise EntraError(
            50194,
            f"Application '{tenant.app.client_id}'({tenant.app.display_name}) is not configured as a multi-tenant "
            "application. "
            f"Usage of the /{segment} endpoint is not supported for such apps. Use a tenant-specific endpoint.",
        )
    raise EntraError(
        90002,
        f"Tenant '{segment}' not found. Check to make sure you have the correct tenant ID and are signing into "
        "the correct cloud.",
    )
