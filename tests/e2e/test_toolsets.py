"""Toolsets: what is off asks for nothing; what is on asks for exactly its permissions; what is missing is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport

from m365_mcp.settings import PERMISSIONS
from m365_mcp.tools import TOOLSETS
from tests.e2e.grants import assistant_at, start_server
from tests.e2e.person import Assistant, PersonOAuth, direct_client, text_of
from tests.e2e.programs import Server, Simulator

GRAPH = "https://graph.microsoft.com/"
BASIC = {"Mail.Send", "User.Read"}
OIDC = {"openid", "profile", "offline_access"}
NEW = tuple(name for name in TOOLSETS if name != "attachments")
MAIL = {"to": ["grace@contoso.example"], "subject": "Hello", "body": "<p>Hi</p>"}
# One call of each toolset, and whether it could put a mail on its way.
CALLS: dict[str, tuple[str, dict[str, Any], bool]] = {
    "drafts": ("create_draft", MAIL, False),
    "replies": ("reply", {"message_id": "AAMk1", "body": "Hi"}, True),
    "schedule": ("list_scheduled", {}, False),
    "people": ("find_people", {"query": "grace"}, False),
}
FIRST_REQUEST = {
    "drafts": "/v1.0/me/messages",
    "replies": "/v1.0/me/messages/*",
    "schedule": "/v1.0/me/mailFolders/*",
    "people": "/v1.0/me/people",
}


async def names_of(assistant: Assistant) -> set[str]:
    """Return the names of the tools that this client sees."""
    oauth = PersonOAuth(assistant.person, assistant.storage)
    transport = StreamableHttpTransport(assistant.endpoint, auth=oauth, httpx_client_factory=direct_client)
    async with Client(transport) as client:
        return {tool.name for tool in await client.list_tools()}


def asked_for(assistant: Assistant) -> set[str]:
    """Return the scopes of the sign-in at Entra, those of Graph without their prefix, without our own."""
    targets = [page.headers.get("Location", "") for page in assistant.person.pages]
    [query] = [parse_qs(urlsplit(target).query) for target in targets if "/oauth2/v2.0/authorize?" in target]
    return {scope.removeprefix(GRAPH) for scope in query["scope"][0].split() if not scope.startswith("api://")}


async def test_without_toolsets_there_are_two_tools_and_two_permissions(server: Server, simulator: Simulator) -> None:
    """What is off is not listed, cannot be called, and nobody is asked to agree to it."""
    ada = assistant_at(server, simulator)

    names = await names_of(ada)
    called = await ada.call("find_people", {"query": "grace"})

    assert names == {"send_mail", "get_my_profile"}
    assert called.is_error
    assert asked_for(ada) == BASIC | OIDC


@pytest.mark.parametrize("toolset", NEW)
@pytest.mark.sample(2)
async def test_toolset_brings_its_tools_asks_for_its_permissions_and_names_what_is_missing(
    toolset: str, simulator: Simulator, tmp_path: Path
) -> None:
    """Exactly its tools and scopes; without consent, and when Graph denies access, the error says who must do what."""
    server = start_server(tmp_path, simulator, M365_TOOLSETS=toolset)
    ada = assistant_at(server, simulator)
    tool, arguments, sends = CALLS[toolset]

    names = await names_of(ada)
    lacking = [GRAPH + name for name in PERMISSIONS[toolset]]
    simulator.control("DELETE", "consents", person="ada", scopes=lacking)
    not_agreed = text_of(await ada.call(tool, arguments))
    simulator.control("POST", "consents", person="ada", scopes=lacking)
    denied = {"status": 403, "body": {"error": {"code": "ErrorAccessDenied", "message": "ada@contoso.example"}}}
    simulator.control("POST", "faults", where={"path": FIRST_REQUEST[toolset]}, what=denied, times=1)
    not_allowed = text_of(await ada.call(tool, arguments))

    assert names == {"send_mail", "get_my_profile", *(tool.__name__ for tool in TOOLSETS[toolset])}
    assert asked_for(ada) == BASIC | OIDC | set(PERMISSIONS[toolset])
    assert not_agreed.startswith("consent_missing: ")
    assert not_allowed.startswith("permission_missing: ")
    assert "M365_TOOLSETS" in not_agreed
    assert "M365_TOOLSETS" in not_allowed
    assert "ada@contoso.example" not in not_allowed
    assert ("Nothing was sent." in not_allowed) == sends
    assert simulator.outbox == []
