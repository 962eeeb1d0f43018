"""`GET /applications(appId='…')`: the record of the application, for a token of the application itself."""

from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from m365_simulator.app_registration import AppRegistration
from m365_simulator.graph.bearer import read_application
from m365_simulator.graph.problems import GraphError, error_response, new_trace
from m365_simulator.tenant import Tenant


async def application(request: Request) -> Response:
    """Respond with the record, or with 403 as Graph does where no administrator has allowed it."""
    tenant: Tenant = request.app.state.tenant
    trace = new_trace(tenant.clock.today(), request.headers)
    try:
        _check(tenant, request)
    except GraphError as problem:
        return error_response(problem, trace)
    return JSONResponse(_record(tenant.app))


def _check(tenant: Tenant, request: Request) -> None:
    read_application(tenant, request)
    if not tenant.switches.application_reads_itself:
        raise GraphError(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
    if request.path_params["app_id"].casefold() != tenant.app.client_id:
        raise GraphError(404, "Request_ResourceNotFound", "The resource does not exist.")


def _record(app: AppRegistration) -> dict[str, object]:
    """Return the properties that matter here (page "application resource type")."""
    return {
        "appId": app.client_id,
        "displayName": app.display_name,
        "identifierUris": [app.app_id_uri],
        "api": {
            "requestedAccessTokenVersion": app.token_version,
            "oauth2PermissionScopes": [{"value": app.scope_name, "isEnabled": True}],
        },
        "web": {"redirectUris": list(app.redirect_uris)},
        "passwordCredentials": [
            {"hint": secret.value[:3], "endDateTime": _date(secret.expires_at), "secretText": None}
            for secret in app.secrets
        ],
    }


def _date(seconds: float | None) -> str:
    """Return the end of a secret; one without an end has Microsoft's longest."""
    return "2299-12-31T00:00:00Z" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
