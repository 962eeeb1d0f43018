"""`GET /v1.0/users`: the directory, with `$search` (pages "List users", "Use the $search query parameter")."""

import re
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from m365_simulator.graph.bearer import Caller, read_caller
from m365_simulator.graph.me import DEFAULT_PROPERTIES, choose
from m365_simulator.graph.problems import GraphError, error_response, new_trace
from m365_simulator.people import Person
from m365_simulator.tenant import Tenant

DEFAULT_TOP, LARGEST_TOP = 100, 999
_BASIC = ("displayName", "givenName", "id", "mail", "surname", "userPrincipalName")
"""What User.ReadBasic.All shows (page "Permissions reference")."""
_OPTIONS = ("$search", "$select", "$top", "$count")
_CLAUSE = re.compile(r'"(?P<name>\w+):(?P<value>[^"]*)"')
_FIELDS: dict[str, Callable[[Person], str]] = {
    "displayname": lambda person: person.display_name,
    "givenname": lambda person: person.given_name,
    "surname": lambda person: person.surname,
    "mail": lambda person: person.mail or "",
    "userprincipalname": lambda person: person.user_principal_name,
}


async def users(request: Request) -> Response:
    """Return the people of the caller's tenant that the search finds, in the order of their names."""
    tenant: Tenant = request.app.state.tenant
    trace = new_trace(tenant.clock.today(), request.headers)
    try:
        body = _list(tenant, read_caller(tenant, request), request)
    except GraphError as problem:
        return error_response(problem, trace)
    return JSONResponse(body, headers=trace.headers | {"x-ms-resource-unit": "2"})


def _list(tenant: Tenant, caller: Caller, request: Request) -> dict[str, object]:
    if not caller.has_any("User.ReadBasic.All"):
        raise GraphError(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
    query = request.query_params
    for name in query:
        if name.startswith("$") and name not in _OPTIONS:
            raise _unsupported(f"The query option '{name}' is not modelled.")
    if "$search" in query and request.headers.get("consistencylevel", "").casefold() != "eventual":
        raise _unsupported(
            "Request with $search query parameter only works through MSGraph with a special request header: "
            "'ConsistencyLevel: eventual'"
        )
    top = query.get("$top", str(DEFAULT_TOP))
    if not top.isdecimal() or not 1 <= int(top) <= LARGEST_TOP:
        raise _unsupported(f"Invalid page size specified: '{top}'. Must be between 1 and {LARGEST_TOP} inclusive.")
    fits = _read_search(query.get("$search"))
    found = [one for one in tenant.people.values() if one.tenant_id == caller.person.tenant_id and fits(one)]
    found = sorted(found, key=lambda one: one.display_name.casefold())
    names = query["$select"].split(",") if query.get("$select") else DEFAULT_PROPERTIES
    return {
        "@odata.context": f"{tenant.authority}/v1.0/$metadata#users",
        "value": [_basic(one, names) for one in found[: int(top)]],
    }


def _basic(person: Person, names: list[str]) -> dict[str, object]:
    return {name: value if name in _BASIC else None for name, value in choose(person, names).items()}


def _read_search(text: str | None) -> Callable[[Person], bool]:
    """Understand `"property:value"` clauses joined by OR or AND, each in double quotes."""
    if text is None:
        return lambda _: True
    parts = re.split(r" (AND|OR) ", text.strip())
    clauses = [_clause(part) for part in parts[::2]]
    if len(set(parts[1::2])) > 1:
        raise _unsupported("The simulator does not mix AND and OR.")
    join = all if "AND" in parts[1::2] else any
    return lambda person: join(clause(person) for clause in clauses)


def _clause(text: str) -> Callable[[Person], bool]:
    match = _CLAUSE.fullmatch(text.strip())
    if match is None or match["name"].casefold() not in _FIELDS:
        raise _unsupported("Unrecognized query argument specified: '$search' needs \"property:value\" in quotes.")
    read, wanted = _FIELDS[match["name"].casefold()], match["value"].casefold().split()
    return lambda person: all(_has_word(read(person).casefold(), word) for word in wanted)


def _has_word(text: str, beginning: str) -> bool:
    """Return whether a word of the text begins so: the directory searches by tokens."""
    return any(part.startswith(beginning) for part in (text, *re.split(r"[\W_]+", text)))


def _unsupported(message: str) -> GraphError:
    return GraphError(400, "Request_UnsupportedQuery", message)
