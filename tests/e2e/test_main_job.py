"""The main job: sign in with Microsoft, send mail, on real HTTP."""

import asyncio
from typing import Any

import httpx2
import pytest
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport

from tests.e2e.person import Assistant, PersonAtBrowser, PersonOAuth, direct_client, text_of
from tests.e2e.programs import Server, Simulator

OBO = "urn:ietf:params:oauth:grant-type:jwt-bearer"
MAIL = {"to": ["grace@contoso.example"], "subject": "Hello", "body": "<p>Hi</p>"}


async def test_a_person_signs_in_once_and_sends_a_mail(ada: Assistant, simulator: Simulator) -> None:
    """One call of send_mail puts exactly the mail that was asked for into the outbox."""
    mail = {
        "to": ["Grace Hopper <grace@contoso.example>", "bob@bücher.example"],
        "cc": ["linus@contoso.example"],
        "subject": "Grüße ✉ 會議",
        "body": "plain words",
        "content_type": "Text",
        "save_to_sent": False,
    }

    result = await ada.call("send_mail", mail)

    assert not result.is_error, text_of(result)
    assert result.structured_content["status"] == "sent"
    [sent] = simulator.outbox
    assert sent["from"]["address"] == "ada@contoso.example"
    assert [person["address"] for person in sent["to"]] == ["grace@contoso.example", "bob@bücher.example"]
    assert sent["to"][0]["name"] == "Grace Hopper"
    assert [person["address"] for person in sent["cc"]] == ["linus@contoso.example"]
    assert sent["bcc"] == []
    assert sent["subject"] == "Grüße ✉ 會議"
    assert sent["body"] == {"contentType": "Text", "content": "plain words"}
    assert sent["saveToSentItems"] is False
    assert ada.sign_ins == 1


async def test_profile_has_the_three_fields_of_the_source(ada: Assistant) -> None:
    """get_my_profile returns displayName, mail and userPrincipalName, and nothing else."""
    result = await ada.call("get_my_profile")

    assert result.structured_content == {
        "displayName": "Ada Lovelace",
        "mail": "ada@contoso.example",
        "userPrincipalName": "ada@contoso.example",
    }


async def test_later_conversations_need_no_sign_in(ada: Assistant) -> None:
    """A client that kept its tokens is not sent to the browser again."""
    for _ in range(3):
        result = await ada.call("get_my_profile")
        assert not result.is_error

    assert ada.sign_ins == 1


async def test_two_people_send_from_their_own_mailboxes(server: Server, simulator: Simulator) -> None:
    """What a person's assistant sends leaves from that person's mailbox."""
    people = ["ada@contoso.example", "grace@contoso.example"]
    assistants = [Assistant(server.url, PersonAtBrowser(simulator.ready["ca_file"], name)) for name in people]

    for assistant in assistants:
        result = await assistant.call("send_mail", {**MAIL, "subject": f"from {assistant.person.username}"})
        assert not result.is_error, text_of(result)

    assert {message["subject"]: message["from"]["address"] for message in simulator.outbox} == {
        f"from {name}": name for name in people
    }


async def test_simultaneous_first_calls_share_one_exchange(
    ada: Assistant, simulator: Simulator, server: Server
) -> None:
    """Any number of first calls of one person at once cost one On-Behalf-Of exchange, for both scopes."""
    await _sign_in_only(ada)
    simulator.control("DELETE", "requests")
    token = await ada.token()

    async with direct_client(headers={"Authorization": f"Bearer {token}"}, timeout=httpx2.Timeout(60)) as http:
        replies = await asyncio.gather(*(_call_by_hand(http, server, "get_my_profile") for _ in range(30)))

    assert {reply.status_code for reply in replies} == {200}
    assert simulator.count(grant_type=OBO) == 1
    assert not (await ada.call("send_mail", MAIL)).is_error
    assert simulator.count(grant_type=OBO) == 1


async def _sign_in_only(assistant: Assistant) -> None:
    """Sign in without calling a tool, so that no exchange has happened yet."""
    oauth = PersonOAuth(assistant.person, assistant.storage)
    transport = StreamableHttpTransport(assistant.endpoint, auth=oauth, httpx_client_factory=direct_client)
    async with Client(transport) as client:
        await client.list_tools()


async def _call_by_hand(http: httpx2.AsyncClient, server: Server, tool: str) -> httpx2.Response:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": {}}}
    headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
    return await http.post(f"{server.url}/mcp", json=body, headers=headers)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"to": []}, "no recipient"),
        ({"to": ["not-an-address"]}, "'to' entry 1 has no @"),
        ({"to": ["Grace <grace@contoso.example"]}, "'to' entry 1"),
        ({"to": ["a@contoso.example, b@contoso.example"]}, "more than one address"),
        ({"cc": ["a@contoso.example\r\nBcc: eve@example.com"]}, "'cc' entry 1"),
        ({"subject": "Hi\r\nBcc: eve@example.com"}, "'subject'"),
        ({"content_type": "RTF"}, "'content_type' is"),
        ({"to": [f"p{n}@contoso.example" for n in range(501)]}, "501 recipients"),
        ({"body": "x" * 4_100_000}, "4,000,000"),
        ({"body": "x" * 9_000_000}, "4,000,000"),
        ({"to": 5}, "'to'"),
        ({"to": "no-address"}, "'to' entry 1 has no @"),
        ({"bcc": ["eve@example.com"]}, "M365_SEND_BCC"),
        ({"from_": "team@contoso.example"}, "M365_SEND_FROM"),
        ({"sender": "eve@example.com"}, "'sender': is not an argument"),
        ({"subject": None}, "'subject'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.sample(6)
async def test_bad_argument_sends_nothing_and_says_why(
    ada: Assistant, simulator: Simulator, change: dict[str, Any], said: str
) -> None:
    """A refused call has a code, a sentence and advice, and Graph is never asked."""
    result = await ada.call("send_mail", {**MAIL, **change})

    assert result.is_error
    assert said in text_of(result)
    assert "What to do:" in text_of(result)
    assert "Nothing was sent." in text_of(result)
    assert "pydantic" not in text_of(result)
    assert simulator.outbox == []
    assert simulator.count(path="/v1.0/me/sendMail") == 0


@pytest.mark.parametrize("era", ["2025-11-25", "2026-07-28"])
async def test_both_protocol_eras_work_on_one_url(
    ada: Assistant, server: Server, simulator: Simulator, era: str
) -> None:
    """A client of either revision lists and calls the tools with plain POSTs to /mcp."""
    await _sign_in_only(ada)
    meta = {
        "io.modelcontextprotocol/protocolVersion": era,
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params: dict[str, Any] = {"name": "get_my_profile", "arguments": {}}
    headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": era}
    if era == "2026-07-28":
        params["_meta"] = meta
        headers |= {"Mcp-Method": "tools/call", "Mcp-Name": "get_my_profile"}

    async with direct_client(headers={"Authorization": f"Bearer {await ada.token()}"}) as http:
        body = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}
        reply = await http.post(f"{server.url}/mcp", json=body, headers=headers)

    assert reply.status_code == 200, reply.text
    assert reply.json()["result"]["structuredContent"]["displayName"] == "Ada Lovelace"
