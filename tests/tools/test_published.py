"""What a server publishes of its tools, and how these take a call, in one process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastmcp import Client
from mcp_types import TextContent

from m365_mcp import settings
from m365_mcp.app import build_server
from m365_mcp.container import build_container
from tests.ids import IDS

SETTINGS = {**IDS, "redis_url": "memory://"}
EVERYTHING = {"m365_toolsets": "drafts,attachments,replies,schedule,people"}
MAIL = {"to": ["a@x.example"], "subject": "Hi", "body": "<p>Hi</p>"}
NOT_SIGNED_IN = "sign_in_needed: "  # the call was accepted, and nobody is signed in over a connection in memory


@asynccontextmanager
async def connected(**chosen: Any) -> AsyncIterator[Client[Any]]:
    container = build_container(settings.load(**{**SETTINGS, **EVERYTHING, **chosen}))
    try:
        async with Client(build_server(container)) as client:
            yield client
    finally:
        await container.close()


async def told(client: Client[Any], tool: str, **arguments: Any) -> str:
    """Return the error of a call."""
    result = await client.call_tool(tool, arguments, raise_on_error=False)
    [content] = result.content
    assert result.is_error
    assert isinstance(content, TextContent)
    return content.text


@pytest.mark.parametrize(("setting", "argument"), [("m365_send_bcc", "bcc"), ("m365_send_from", "from_")])
@pytest.mark.parametrize("is_on", [True, False])
async def test_k8_switched_off_argument_is_not_published(setting: str, argument: str, is_on: bool) -> None:
    """K8: an argument that the operator does not allow is in no schema, and one that is allowed is in several."""
    async with connected(**{setting: is_on}) as client:
        tools = [tool for tool in await client.list_tools() if argument in tool.input_schema["properties"]]

    assert (len(tools) > 3) is is_on
    assert bool(tools) is is_on


@pytest.mark.parametrize("is_on", [True, False])
async def test_i6_clients_are_told_to_ask_before_each_send(is_on: bool) -> None:
    """I6: M365_SEND_REQUIRE_INTERACTION marks every tool that sends, and no other; by default none is marked."""
    async with connected(**({"m365_send_require_interaction": True} if is_on else {})) as client:
        tools = await client.list_tools()

    marked = {tool.name for tool in tools if tool.meta == {"anthropic/requiresUserInteraction": True}}
    sending = {"send_mail", "send_draft", "send_with_attachments", "reply", "forward", "schedule_mail"}
    assert marked == (sending if is_on else set())
    assert all(tool.meta is None for tool in tools if tool.name not in marked)


async def test_i6_tools_that_only_leave_drafts_do_not_ask() -> None:
    """I6: where nothing is sent, no call needs the person."""
    async with connected(m365_send_require_interaction=True, m365_send_level="draft") as client:
        assert [tool.name for tool in await client.list_tools() if tool.meta] == []


@pytest.mark.parametrize("is_on", [True, False])
async def test_k8_switched_off_preview_is_not_published(is_on: bool) -> None:
    """K8: a result that the operator does not allow is in no schema."""
    async with connected(m365_show_previews=is_on) as client:
        [schema] = [tool.output_schema for tool in await client.list_tools() if tool.name == "list_messages"]

    assert schema is not None
    assert ("preview" in schema["properties"]["messages"]["items"]["properties"]) is is_on


@pytest.mark.parametrize(
    ("argument", "value"), [("bcc", ["b@x.example"]), ("bcc", '["b@x.example"]'), ("from_", "team@x.example")]
)
async def test_k8_switched_off_argument_keeps_its_own_refusal(argument: str, value: Any) -> None:
    """K8: a call that gives it nevertheless is told which setting allows it."""
    async with connected() as client:
        text = await told(client, "send_mail", **MAIL, **{argument: value})

    assert f"'{argument}' is switched off" in text
    assert f"M365_SEND_{argument.strip('_').upper()}" in text


@pytest.mark.parametrize("value", [None, "", [""], []])
async def test_k8_switched_off_argument_that_is_empty_does_no_harm(value: Any) -> None:
    """K8: a client that fills every argument it ever saw is not refused for an empty one."""
    async with connected() as client:
        assert (await told(client, "send_mail", **MAIL, bcc=value, from_=value)).startswith(NOT_SIGNED_IN)


async def test_k8_one_error_names_every_argument_that_is_wrong() -> None:
    """K8: unknown names with the names that are meant, missing and wrong ones, and fields of attachments."""
    async with connected() as client:
        text = await told(
            client,
            "send_mail",
            recipients=["a@x.example"],
            subject="Hi",
            html_body="x",
            priority="high",
            sender="team@x.example",
            blind_copy=["b@x.example"],
            banana=1,
            top=5,
            save_to_sent="maybe",
            attachments=[{"filename": "a.txt", "contentBytes": "QQ=="}],
            **{"ada@x.example": 1},
        )

    assert text.startswith("invalid_argument: ")
    assert "'to': is required." in text
    assert "'body': is required." in text
    assert "'save_to_sent': should be a valid boolean" in text
    assert "'recipients': is not an argument of this tool; use 'to'." in text
    assert "'html_body': is not an argument of this tool; use 'body'." in text
    assert "'priority': is not an argument of this tool; use 'importance'." in text
    assert "'sender': is not an argument of this tool, and 'from_' is switched off on this server." in text
    assert "'blind_copy': is not an argument of this tool, and 'bcc' is switched off on this server." in text
    assert "'banana': is not an argument of this tool." in text
    assert "'top': is not an argument of this tool." in text
    assert "'attachments entry 1': 'filename' is not a field, use 'name'; 'contentBytes' is not a field" in text
    assert "A name that is no identifier is not an argument of this tool." in text
    assert "x.example" not in text
    assert "Nothing was sent." in text


async def test_k8_thousands_of_unknown_arguments_are_refused_at_once() -> None:
    """K8: a call with more names than any tool has is refused as a whole, and many unknown ones are counted."""
    async with connected() as client:
        many = await told(client, "send_mail", **{f"x{number}": 1 for number in range(5_000)})
        some = await told(client, "send_mail", **MAIL, **{f"x{number}": 1 for number in range(25)})

    assert "The call has 5,000 arguments, and no tool has so many." in many
    assert some.count("is not an argument") == 10
    assert "15 more names are not arguments of this tool." in some


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({**MAIL, "to": ""}, "'to'"),
        ({**MAIL, "to": [""]}, "'to' entry 1 is empty"),
        ({**MAIL, "to": None}, "'to': is required"),
        ({**MAIL, "to": "a@x.example, b@x.example"}, "'to' entry 1"),
        ({**MAIL, "subject": ""}, "empty_subject: "),
        ({**MAIL, "subject": None}, "'subject': is required"),
        ({**MAIL, "body": ""}, "empty_body: "),
    ],
)
async def test_k8_required_argument_that_is_empty_has_its_own_error(arguments: dict[str, Any], reason: str) -> None:
    """K8: the error says that the argument is empty or missing, not that it has another type."""
    async with connected() as client:
        text = await told(client, "send_mail", **arguments)

    assert reason in text
    assert "valid list" not in text


async def test_k8_misspelled_call_in_a_client_that_fills_everything_is_accepted() -> None:
    """K8: every argument as text or empty is one call that the tool takes."""
    async with connected(m365_send_bcc=True, m365_send_from=True) as client:
        text = await told(
            client, "send_mail", to='["a@x.example"]', subject="[x]", body='["a"]', cc="", bcc=[""], reply_to="[]",
            from_="", content_type="text", importance="", attachments="[]", request_read_receipt="false",
            save_to_sent="TRUE", as_written="", idempotency_key="", allow_duplicate=None,
        )  # fmt: skip

    assert text.startswith(NOT_SIGNED_IN)
