"""Drafts: creating, changing, deleting and sending them (pages "Create message", "Update message", "message: send")."""

from dataclasses import replace

from m365_simulator.graph.call import Call, Outcome, item_not_found
from m365_simulator.graph.json_body import Json, read_object
from m365_simulator.graph.json_message import Fields, deferred_until, read_draft, read_fields
from m365_simulator.graph.message_view import entity_json, etag
from m365_simulator.graph.mime_message import read_mime_message
from m365_simulator.graph.problems import GraphError
from m365_simulator.graph.send_mail import is_mime
from m365_simulator.graph.submission import check_size, own_address, refuse_submitted, submit
from m365_simulator.mail import Message, new_id

ALWAYS_CHANGEABLE = ("isRead", "categories", "importance", "flag", "inferenceClassification")
NOT_CHANGEABLE = ("attachments", "id", "conversationId", "parentFolderId", "isDraft", "changeKey", "webLink")


def create_draft(call: Call) -> Outcome:
    """Return 201 with the new draft."""
    own = own_address(call.caller.person)
    message = read_mime_message(call.body, own) if is_mime(call) else read_draft(call.body, own)
    check_size(call, message.attachments)
    return keep_new(call, message)


def keep_new(call: Call, message: Message) -> Outcome:
    """Put a new draft into the mailbox, and answer 201 with it."""
    draft = replace(message, folder="drafts", created_at=call.tenant.clock.now())
    call.mailbox.put(draft)
    call.tenant.mail.announce()
    return Outcome(201, entity_json(call, draft), {"ETag": etag(draft)})


def keep(call: Call, draft: Message) -> Message:
    """Put the next state of a draft into the mailbox, under a new change key."""
    changed = replace(draft, change_key=new_id())
    call.mailbox.put(changed)
    call.tenant.mail.announce()
    return changed


def change_draft(call: Call) -> Outcome:
    """Return 200 with the draft as it is now; of what was sent only a few properties can change."""
    item, wanted = call.item(), read_object(call.body)
    refuse_submitted(call, item)
    _check_match(call, item)
    _check_changeable(call, item, wanted)
    return Outcome(200, entity_json(call, keep(call, replace(item, **_merged(item, read_fields(wanted))))))


def delete_message(call: Call) -> Outcome:
    """Answer 204; the message moves to Deleted Items, and from there it goes for good (page "List messages").

    A deferred message that has not left yet is called back, and never arrives.
    """
    item = call.item()
    _check_match(call, item)
    submission = call.tenant.mail.submission_of(item)
    if submission is None:
        call.tenant.mail.delete(call.caller.person.name, item)
    elif submission.deferred:
        call.tenant.mail.recall(submission)
    else:
        raise item_not_found()
    return Outcome(204)


def send_draft(call: Call) -> Outcome:
    """Answer 202; the draft moves to Sent Items, where its mutable id does not find it.

    In which folder it lies does not matter: a draft in Deleted Items is sent from there.
    """
    item = call.item()
    if not item.is_draft:
        raise item_not_found()
    if not call.tenant.switches.settling_draft_sends_again:
        refuse_submitted(call, item)
    submit(call, item, "draft")
    return Outcome(202)


def draft(call: Call) -> Message:
    """Return the draft that the path names; GraphError for what is sent or on its way."""
    item = call.item()
    refuse_submitted(call, item)
    if not item.is_draft:
        raise GraphError(400, "ErrorInvalidOperation", "The operation can only be performed on a draft.")
    return item


def _merged(item: Message, fields: Fields) -> Fields:
    """Extended properties are merged by id; the others stay what they were."""
    if "extended" not in fields:
        return fields
    by_id = {one.id.casefold(): one for one in (*item.extended, *fields["extended"])}
    extended = tuple(by_id.values())
    return fields | {"extended": extended, "visible_at": deferred_until(extended)}


def _check_changeable(call: Call, item: Message, wanted: Json) -> None:
    refused = set(NOT_CHANGEABLE)
    if not call.tenant.switches.patch_takes_headers:
        refused.add("internetMessageHeaders")
    names = {name for name in wanted if "@" not in name}
    if names & refused or (not item.is_draft and names - set(ALWAYS_CHANGEABLE)):
        raise GraphError(400, "ErrorInvalidPropertySet", "The property cannot be changed on this message.")


def _check_match(call: Call, item: Message) -> None:
    """Honour `If-Match`."""
    wanted = call.request.headers.get("if-match")
    if wanted not in (None, "*", etag(item)):
        raise GraphError(
            412,
            "ErrorIrresolvableConflict",
            "The send or update operation could not be performed because the change "
            "key passed in the request does not match the current change key for the item.",
        )
