"""`POST /v1.0/me/checkMemberGroups`: which of these groups the caller is in.

The page "directoryObject: checkMemberGroups" names User.Read as the least permission for the signed-in user.
Microsoft's list of permissions (microsoft-graph-devx-content, permissions.json) does not name it, and people report
that Graph refused it (microsoft-graph-docs, issues 746 and 4853). So this endpoint asks for what all of them accept:
GroupMember.Read.All besides the permission to read the profile.
"""

import uuid

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from m365_simulator.graph.bearer import Caller, read_caller
from m365_simulator.graph.json_body import read_parameters
from m365_simulator.graph.problems import GraphError, error_response, new_trace
from m365_simulator.tenant import Tenant

MOST_GROUPS = 20


async def check_member_groups(request: Request) -> Response:
    """Return those of the ids in `groupIds` whose group the caller is in; one wrong id refuses them all."""
    tenant: Tenant = request.app.state.tenant
    trace = new_trace(tenant.clock.today(), request.headers)
    try:
        found = _groups_of(read_caller(tenant, request), await request.body())
    except GraphError as problem:
        return error_response(problem, trace)
    context = f"{tenant.authority}/v1.0/$metadata#Collection(Edm.String)"
    return JSONResponse({"@odata.context": context, "value": found}, headers=trace.headers)


def _groups_of(caller: Caller, body: bytes) -> list[str]:
    if not (caller.has_any("GroupMember.Read.All") and caller.has_any("User.Read", "User.ReadBasic.All")):
        raise GraphError(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
    asked = read_parameters(body, "groupIds").get("groupIds")
    if not isinstance(asked, list) or not asked or not all(isinstance(one, str) for one in asked):
        raise _bad_request("A collection of strings is expected for the parameter 'groupIds'.")
    if len(asked) > MOST_GROUPS:
        raise _bad_request(f"The number of ids in 'groupIds' exceeds the limit of {MOST_GROUPS}.")
    for one in asked:
        if not _is_guid(one):
            raise _bad_request("Invalid object identifier in 'groupIds'.")
    return [one for one in asked if one.casefold() in caller.person.groups]


def _is_guid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.casefold()
    except ValueError:
        return False


def _bad_request(message: str) -> GraphError:
    return GraphError(400, "Request_BadRequest", message)
