"""Reading messages: `GET /me/messages`, a folder's messages, and one message (pages "List messages", "Get message")."""

from m365_simulator.graph.call import Call, Outcome, item_not_found
from m365_simulator.graph.message_query import Query, read_query, read_shown
from m365_simulator.graph.message_view import DISPLAY_NAMES, FOLDER_IDS, entity_json, may_read_text, message_json
from m365_simulator.graph.problems import GraphError


def list_messages(call: Call) -> Outcome:
    """Return one page of the messages of a folder, or of all folders."""
    folder = call.request.path_params.get("folder")
    query = read_query(call.query)
    _check_extended(call, query.filter.reads_extended or bool(query.shown.extended))
    items = call.mailbox.items if folder is None else call.mailbox.folder(_folder(folder))
    found = query.order.sort([item for item in items if query.filter.fits(item)])
    part = "messages" if folder is None else f"mailFolders('{folder}')/messages"
    body: dict[str, object] = {
        "@odata.context": f"{call.tenant.authority}/v1.0/$metadata#users('{call.caller.person.object_id}')/{part}",
        "value": [message_json(call, item, query.shown) for item in found[query.skip : query.skip + query.top]],
    }
    if len(found) > query.skip + query.top:
        body["@odata.nextLink"] = _next_link(call, query)
    return Outcome(200, body)


def get_message(call: Call) -> Outcome:
    """Return one message, in whatever folder it is."""
    shown = read_shown(call.query)
    _check_extended(call, bool(shown.extended))
    return Outcome(200, entity_json(call, call.item(), shown))


def get_folder(call: Call) -> Outcome:
    """Return one mail folder (page "Get mailFolder"); its id is the `parentFolderId` of its messages."""
    name = _folder(call.request.path_params["folder"])
    known: dict[str, object] = {"id": FOLDER_IDS[name], "displayName": DISPLAY_NAMES[name]}
    names = call.query["$select"].split(",") if call.query.get("$select") else known
    if set(call.query) - {"$select"} or set(names) - set(known):
        raise GraphError(400, "ErrorInvalidUrlQuery", "The simulator shows the id and the name of a folder only.")
    context = f"{call.tenant.authority}/v1.0/$metadata#users('{call.caller.person.object_id}')/mailFolders/$entity"
    return Outcome(200, {"@odata.context": context, **{one: known[one] for one in dict.fromkeys(("id", *names))}})


def _next_link(call: Call, query: Query) -> str:
    following = call.request.url.include_query_params(**{"$skip": str(query.skip + query.top)})
    return f"{call.tenant.authority}{following.path}?{following.query}"


def _check_extended(call: Call, asked: bool) -> None:
    """Mail.ReadBasic shows no extended property (page "Permissions reference")."""
    if asked and not may_read_text(call):
        raise GraphError(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")


def _folder(name: str) -> str:
    """Return the folder with this well-known name or id."""
    for known, folder_id in FOLDER_IDS.items():
        if name.casefold() == known or name == folder_id:
            return known
    raise item_not_found()
