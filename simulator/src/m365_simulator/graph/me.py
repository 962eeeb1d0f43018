"""`GET /v1.0/me`: the profile of the signed-in person (page "Get a user")."""

from collections.abc import Iterable, Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from m365_simulator.graph.bearer import Caller, read_caller
from m365_simulator.graph.problems import GraphError, error_response, new_trace
from m365_simulator.people import Person
from m365_simulator.tenant import Tenant

DEFAULT_PROPERTIES = [
    "businessPhones",
    "displayName",
    "givenName",
    "jobTitle",
    "mail",
    "mobilePhone",
    "officeLocation",
    "preferredLanguage",
    "surname",
    "userPrincipalName",
    "id",
]


async def me(request: Request) -> Response:
    """Return the default properties, or exactly those in `$select`."""
    tenant: Tenant = request.app.state.tenant
    trace = new_trace(tenant.clock.today(), request.headers)
    try:
        caller = read_caller(tenant, request)
        body = _profile(tenant, caller, request.query_params.get("$select"))
    except GraphError as problem:
        return error_response(problem, trace)
    return JSONResponse(body, headers=trace.headers | {"x-ms-resource-unit": "1"})


def _profile(tenant: Tenant, caller: Caller, select: str | None) -> dict[str, object]:
    if not caller.has_any("User.Read", "User.ReadBasic.All"):
        raise GraphError(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
    chosen = choose(caller.person, select.split(",") if select else DEFAULT_PROPERTIES)
    fragment = f"users({','.join(chosen)})/$entity" if select else "users/$entity"
    return {"@odata.context": f"{tenant.authority}/v1.0/$metadata#{fragment}", **chosen}


def choose(person: Person, names: Iterable[str]) -> dict[str, object]:
    """Return these properties of a person; GraphError 400 for one that does not exist."""
    known = _properties(person)
    spelling = {name.casefold(): name for name in known}
    chosen: dict[str, object] = {}
    for name in (raw.strip() for raw in names):
        if name.casefold() not in spelling:
            message = (
                f"Parsing OData Select and Expand failed: Could not find a property named '{name}' on type 'user'."
            )
            raise GraphError(400, "BadRequest", message)
        chosen[spelling[name.casefold()]] = known[spelling[name.casefold()]]
    return chosen


def _properties(person: Person) -> Mapping[str, object]:
    return {
        "businessPhones": [],
        "displayName": person.display_name,
        "givenName": person.given_name,
        "jobTitle": person.job_title,
        "mail": person.mail,
        "mobilePhone": None,
        "officeLocation": person.office_location,
        "preferredLanguage": None,
        "surname": person.surname,
        "userPrincipalName": person.user_principal_name,
        "id": person.object_id,
        "otherMails": [],
        "proxyAddresses": [*([f"SMTP:{person.mail}"] if person.mail else ()), *map("smtp:{}".format, person.aliases)],
        "accountEnabled": person.enabled,
    }
