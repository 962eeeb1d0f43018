"""Attachments of a draft, in one request or by an upload session (page "Attach large files to Outlook messages")."""

import base64
from dataclasses import replace

from m365_simulator.graph.call import Call, Outcome, item_not_found, too_large
from m365_simulator.graph.drafts import draft, keep
from m365_simulator.graph.json_attachment import read_attachment
from m365_simulator.graph.json_body import read_object, read_parameters
from m365_simulator.graph.message_view import attachment_json
from m365_simulator.graph.problems import GraphError
from m365_simulator.graph.schema import ATTACHMENT, ATTACHMENT_ITEM
from m365_simulator.graph.submission import check_size
from m365_simulator.mail import Attachment
from m365_simulator.outlook.addresses import session_url
from m365_simulator.outlook.responses import session_json
from m365_simulator.uploads import UploadSession

_OF_EVERY_KIND = frozenset({"id", "name", "contentType", "size", "isInline", "lastModifiedDateTime"})


def add_attachment(call: Call) -> Outcome:
    """Return 201 with the metadata of a small attachment."""
    item, body = draft(call), read_object(call.body)
    ATTACHMENT.check(body, "attachment")
    attachment = read_attachment(body)
    if attachment.size >= call.tenant.switches.inline_attachment_bytes:
        raise too_large(call.tenant, "ErrorAttachmentSizeLimitExceeded", "The attachment size exceeds the limit.")
    check_size(call, item.attachments, attachment.size)
    keep(call, replace(item, attachments=(*item.attachments, attachment)))
    return Outcome(201, {"@odata.context": _context(call), **attachment_json(attachment)})


def list_attachments(call: Call) -> Outcome:
    """Return all attachments; with their content, unless `$select` leaves it out."""
    select = _read_select(call)
    found = [_selected(_with_content(one), select) for one in call.item().attachments]
    return Outcome(200, {"@odata.context": _context(call), "value": found})


def get_attachment(call: Call) -> Outcome:
    """Return one attachment; with its content, unless `$select` leaves it out."""
    select, wanted = _read_select(call), call.request.path_params["attachment"]
    for one in call.item().attachments:
        if one.id == wanted:
            return Outcome(200, {"@odata.context": _context(call), **_selected(_with_content(one), select)})
    raise item_not_found()


def _with_content(attachment: Attachment) -> dict[str, object]:
    content = {"contentBytes": base64.b64encode(attachment.content).decode()} if attachment.content else {}
    return attachment_json(attachment) | content


def _read_select(call: Call) -> frozenset[str] | None:
    """Return the properties that `$select` names, None for all; GraphError 400 for what the base type does not have.

    `contentId` and `contentBytes` are properties of a file only (page "attachment resource type").
    """
    for option in call.query:
        if option.startswith("$") and option != "$select":
            raise GraphError(400, "ErrorInvalidUrlQuery", f"The query option '{option}' is not modelled.")
    if not call.query.get("$select"):
        return None
    names = frozenset(name.strip() for name in call.query["$select"].split(","))
    for name in sorted(names - _OF_EVERY_KIND):
        raise GraphError(
            400,
            "BadRequest",
            f"Parsing OData Select and Expand failed: Could not find a property named '{name}' on type "
            "'Microsoft.OutlookServices.Attachment'.",
        )
    return names


def _selected(attachment: dict[str, object], select: frozenset[str] | None) -> dict[str, object]:
    """Return the selected properties; the type and the id are always there."""
    if select is None:
        return attachment
    return {name: value for name, value in attachment.items() if name in select | {"id"} or "@" in name}


def delete_attachment(call: Call) -> Outcome:
    """Answer 204; a draft only can lose an attachment."""
    item = draft(call)
    left = tuple(one for one in item.attachments if one.id != call.request.path_params["attachment"])
    if len(left) == len(item.attachments):
        raise item_not_found()
    keep(call, replace(item, attachments=left))
    return Outcome(204)


def create_upload_session(call: Call) -> Outcome:
    """Return 201 with the address to which the file goes, which needs no token and is on another host."""
    item = draft(call)
    wanted = read_parameters(call.body, "attachmentItem").get("attachmentItem")
    ATTACHMENT_ITEM.check(wanted, "AttachmentItem")
    session = _session(call, item.immutable_id, wanted or {})
    check_size(call, item.attachments, session.size)
    call.tenant.uploads.open(session)
    url = session_url(call.tenant.directory.upload_authority, call.caller.person, session)
    context = f"{call.tenant.authority}/v1.0/$metadata#microsoft.graph.uploadSession"
    return Outcome(201, {"@odata.context": context, "uploadUrl": url, **session_json(session, "0-")})


def _session(call: Call, message: str, wanted: dict[str, object]) -> UploadSession:
    switches, size, name = call.tenant.switches, wanted.get("size"), wanted.get("name")
    kind = str(wanted.get("attachmentType", "")).casefold()
    if kind != "file" or not name or not isinstance(size, int) or isinstance(size, bool):
        raise GraphError(
            400, "ErrorInvalidRequest", "AttachmentItem needs attachmentType 'file', a name and a size in bytes."
        )
    if size < switches.upload_session_minimum_bytes:
        raise GraphError(
            400,
            "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize",
            "The attachment size is less than the minimum allowed size for an upload session.",
        )
    return UploadSession(
        person=call.caller.person.name,
        message=message,
        name=str(name),
        content_type=str(wanted.get("contentType") or "application/octet-stream"),
        size=size,
        is_inline=bool(wanted.get("isInline")),
        content_id=str(wanted["contentId"]) if wanted.get("contentId") else None,
        expires_at=call.tenant.clock.now() + switches.upload_session_seconds,
    )


def _context(call: Call) -> str:
    root = f"{call.tenant.authority}/v1.0/$metadata#users('{call.caller.person.object_id}')"
    return f"{root}/messages('{call.request.path_params['id']}')/attachments"
