"""What clients see of the server: two tools, their schemas and hints, and the instructions."""

import json
from collections.abc import Collection
from typing import Any

import fastmcp
import pytest
from fastmcp import Client
from jsonschema import Draft202012Validator

from m365_mcp import settings
from m365_mcp.app import build_server
from m365_mcp.container import build_container
from m365_mcp.tools import INSTRUCTIONS, TOOLS, TOOLSETS, sends_mail, tools_for
from m365_mcp.tools.mail import APPROVAL_FIELDS
from m365_mcp.tools.published import publish
from tests.ids import IDS
from tests.schemas import TOOL_SCHEMAS

SETTINGS = {**IDS, "redis_url": "memory://"}
# Arguments whose names say all.
WELL_KNOWN = {"subject", "cc", "bcc", "request_read_receipt", "importance", "top", "folder"}


def test_there_are_exactly_the_two_tools_of_the_source() -> None:
    """send_mail and get_my_profile, no more, unless the operator wants more."""
    assert [tool.__name__ for tool in tools_for((), may_ask=False)] == ["send_mail", "get_my_profile"]


def test_every_toolset_adds_its_own_tools() -> None:
    """What each word in M365_TOOLSETS brings, and that the permissions of each are known."""
    added = {name: [tool.__name__ for tool in tools_for((name,), may_ask=False)[2:]] for name in TOOLSETS}

    assert added["drafts"] == ["create_draft", "send_draft", "discard_draft"]
    assert added["replies"] == ["list_messages", "reply", "forward"]
    assert added["schedule"] == ["schedule_mail", "list_scheduled", "cancel_scheduled"]
    assert added["people"] == ["find_people"]
    assert added["attachments"] == ["attach_files", "send_with_attachments"]
    assert set(TOOLSETS) == set(settings.PERMISSIONS)


def test_hints_say_which_tools_send() -> None:
    """Whatever can put a mail on its way is destructive; after an error such a tool says that nothing was sent."""
    senders = [name for name, tool in TOOL_SCHEMAS.items() if tool["annotations"]["openWorldHint"]]

    assert [tool.__name__ for tool in tools_for(tuple(TOOLSETS), may_ask=False) if sends_mail(tool)] == senders
    assert {"send_mail", "send_draft", "reply", "forward", "schedule_mail"} <= set(senders)
    assert all(TOOL_SCHEMAS[name]["annotations"]["destructiveHint"] for name in senders)


def test_send_mail_has_the_arguments_types_and_defaults_of_the_source() -> None:
    """Names, types and defaults never change."""
    schema = TOOL_SCHEMAS["send_mail"]["inputSchema"]
    strings = {"type": "array", "items": {"type": "string"}}

    assert schema["required"] == ["to", "subject", "body"]
    described = {
        name: {k: v for k, v in part.items() if k != "description"} for name, part in schema["properties"].items()
    }
    of_the_source = {
        "to": strings,
        "subject": {"type": "string"},
        "body": {"type": "string"},
        "cc": strings,
        "content_type": {"type": "string", "default": "HTML", "enum": ["HTML", "Text", "Markdown"]},
        "save_to_sent": {"type": "boolean", "default": True},
    }
    assert {name: described[name] for name in of_the_source} == of_the_source
    assert not {"cc", *(described.keys() - of_the_source.keys())} & set(schema["required"])


def test_get_my_profile_takes_nothing_and_returns_three_fields() -> None:
    """The profile has Graph's own names."""
    schema = TOOL_SCHEMAS["get_my_profile"]
    assert schema["inputSchema"]["properties"] == {}
    assert list(schema["outputSchema"]["properties"]) == [
        "displayName",
        "mail",
        "userPrincipalName",
    ]


@pytest.mark.parametrize("tool", TOOL_SCHEMAS.values(), ids=TOOL_SCHEMAS)
def test_tool_is_described_for_a_model(tool: dict[str, Any]) -> None:
    """Title, description, all four hints, closed and flat schemas, and a description where a name does not say all."""
    assert tool["title"]
    assert 80 < len(tool["description"]) < 2048
    hints = {"readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"}
    assert {name for name, value in tool["annotations"].items() if isinstance(value, bool)} == hints
    assert tool["inputSchema"]["additionalProperties"] is False
    described = {name for name, part in tool["inputSchema"]["properties"].items() if part.get("description")}
    assert tool["inputSchema"]["properties"].keys() - described <= WELL_KNOWN
    for schema in (tool["inputSchema"], tool["outputSchema"]):
        Draft202012Validator.check_schema(schema)
        assert "$ref" not in str(schema)
        assert "$defs" not in str(schema)


@pytest.mark.parametrize("name", [name for name, tool in TOOL_SCHEMAS.items() if tool["annotations"]["openWorldHint"]])
def test_tool_that_sends_says_what_a_model_must_know(name: str) -> None:
    """A model reads that the mail leaves, that the person agrees first, and what is not repeated."""
    text = TOOL_SCHEMAS[name]["description"]

    assert "leaves immediately" in text or "sends it without another call" in text
    assert "agree" in text
    assert "outcome_unknown" in text
    assert "repeat" in text.lower()
    assert "delivered" not in json.dumps(TOOL_SCHEMAS)


def characters(tools: Collection[dict[str, Any]]) -> int:
    """Return how much of a conversation tools take: the characters of their compact JSON."""
    return len(json.dumps(tools, ensure_ascii=False, separators=(",", ":")))


def test_k8_tools_take_little_of_a_conversation() -> None:
    """All fifteen tools, with everything allowed, and the two that are always there stay below their limits."""
    always = [tool.__name__ for tool in TOOLS]

    assert len(TOOL_SCHEMAS) == 15
    assert characters([*TOOL_SCHEMAS.values()]) <= 26_000  # 25,578 when this was written, with approval
    off = [publish(tool, APPROVAL_FIELDS).to_mcp_tool() for tool in tools_for(tuple(TOOLSETS), may_ask=False)]
    shown = [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in off]
    assert characters(shown) <= 24_000  # 23,937 when this was written
    assert characters([TOOL_SCHEMAS[name] for name in always]) <= 5_300  # 3,790 when this was written


async def test_k8_clients_get_the_definitions_that_are_counted() -> None:
    """What tools/list answers is what the documents show and the limits count."""
    chosen = {
        "m365_toolsets": ",".join(TOOLSETS),
        "m365_send_bcc": True,
        "m365_send_from": True,
        "m365_send_approval": "all",
    }
    container = build_container(settings.load(**SETTINGS, **chosen, m365_show_previews=True))
    try:
        async with Client(build_server(container)) as client:
            listed = await client.list_tools()
    finally:
        await container.close()

    shown = [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in listed]
    assert shown == list(TOOL_SCHEMAS.values())


async def test_server_names_itself_and_gives_instructions() -> None:
    """A model reads what to do before sending and after an unknown outcome."""
    container = build_container(settings.load(**SETTINGS))
    try:
        server = build_server(container)
        names = [tool.name for tool in await server.list_tools(run_middleware=False)]
    finally:
        await container.close()

    assert names == ["send_mail", "get_my_profile"]
    assert server.instructions == INSTRUCTIONS
    assert "outcome_unknown" in INSTRUCTIONS


def test_no_definition_refers_to_another() -> None:
    """Some clients follow no `$ref`; FastMCP, which would take them out at each list, is told not to look."""
    assert "$ref" not in json.dumps(TOOL_SCHEMAS)


async def test_no_spans_are_made_where_nothing_takes_them() -> None:
    """Where nobody asks for traces, FastMCP makes no spans, also with the SDK of OpenTelemetry installed."""
    container = build_container(settings.load(**SETTINGS))
    try:
        build_server(container)
    finally:
        await container.close()

    assert fastmcp.settings.telemetry_mode == "off"
