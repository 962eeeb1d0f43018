"""The endpoints of the simulated Microsoft Graph v1.0, each with the delegated permissions of which it needs one."""

from starlette.routing import Route

from m365_simulator.graph.applications import application
from m365_simulator.graph.attachments import (
    add_attachment,
    create_upload_session,
    delete_attachment,
    get_attachment,
    list_attachments,
)
from m365_simulator.graph.call import Endpoint, mailbox_call
from m365_simulator.graph.drafts import change_draft, create_draft, delete_message, send_draft
from m365_simulator.graph.groups import check_member_groups
from m365_simulator.graph.me import me
from m365_simulator.graph.messages import get_folder, get_message, list_messages
from m365_simulator.graph.people import people
from m365_simulator.graph.replies import create_reply, send_reply
from m365_simulator.graph.reply_text import Kind
from m365_simulator.graph.send_mail import send_mail
from m365_simulator.graph.users import users

WRITE = ("Mail.ReadWrite",)
SEND = ("Mail.Send", "Mail.Send.Shared")
READ = ("Mail.Read", "Mail.ReadWrite")
READ_BASIC = ("Mail.ReadBasic", *READ)
_MESSAGE = "/v1.0/me/messages/{id}"
_REPLIES: tuple[tuple[Kind, str, str], ...] = (
    ("reply", "createReply", "reply"),
    ("replyAll", "createReplyAll", "replyAll"),
    ("forward", "createForward", "forward"),
)


def graph_routes() -> list[Route]:
    """Return the routes; their app keeps the tenant and the throttle in its state."""
    return [
        Route("/v1.0/me", me),
        Route("/v1.0/applications(appId='{app_id}')", application),
        Route("/v1.0/me/checkMemberGroups", check_member_groups, methods=["POST"]),
        Route("/v1.0/users", users),
        _route("GET", "/v1.0/me/people", people, "People.Read"),
        _route("POST", "/v1.0/me/sendMail", send_mail, *SEND, sends=True),
        _route("GET", "/v1.0/me/mailFolders/{folder}/messages", list_messages, *READ_BASIC),
        _route("GET", "/v1.0/me/mailFolders('{folder}')/messages", list_messages, *READ_BASIC),
        _route("GET", "/v1.0/me/mailFolders/{folder}", get_folder, *READ_BASIC),
        *_messages(),
        *_attachments(),
        *_replies(),
    ]


def _messages() -> list[Route]:
    return [
        _route("GET", "/v1.0/me/messages", list_messages, *READ_BASIC),
        _route("POST", "/v1.0/me/messages", create_draft, *WRITE),
        _route("GET", _MESSAGE, get_message, *READ_BASIC),
        _route("PATCH", _MESSAGE, change_draft, *WRITE),
        _route("DELETE", _MESSAGE, delete_message, *WRITE),
        _route("POST", f"{_MESSAGE}/send", send_draft, *SEND, sends=True),
    ]


def _attachments() -> list[Route]:
    return [
        _route("GET", f"{_MESSAGE}/attachments", list_attachments, *READ),
        _route("POST", f"{_MESSAGE}/attachments", add_attachment, *WRITE),
        _route("POST", f"{_MESSAGE}/attachments/createUploadSession", create_upload_session, *WRITE),
        _route("GET", f"{_MESSAGE}/attachments/{{attachment}}", get_attachment, *READ),
        _route("DELETE", f"{_MESSAGE}/attachments/{{attachment}}", delete_attachment, *WRITE),
    ]


def _replies() -> list[Route]:
    routes = []
    for kind, creates, sends in _REPLIES:
        routes.append(_route("POST", f"{_MESSAGE}/{creates}", create_reply(kind), *WRITE))
        routes.append(_route("POST", f"{_MESSAGE}/{sends}", send_reply(kind), *SEND, sends=True))
    return routes


def _route(method: str, path: str, endpoint: Endpoint, *scopes: str, sends: bool = False) -> Route:
    return Route(path, mailbox_call(endpoint, *scopes, sends=sends), methods=[method])
