"""What clients see of the server: two tools, their schemas and hints, and the instructions."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from m365_mcp import settings
from m365_mcp.app import build_container, build_server
from m365_mcp.commands.reference import tool_schemas
from m365_mcp.tools import INSTRUCTIONS, TOOLSETS, sends_mail, tools_for

IDS = {"azure_client_id": "a", "azure_client_secret": "b", "azure_tenant_id": "c", "redis_url": "memory://"}
SCHEMAS = {tool["name"]: tool for tool in tool_schemas()}


def test_there_are_exactly_the_two_tools_of_the_source() -> None:
    """send_mail and get_my_profile, no more, unless the operator wants more."""
    assert [tool.__name__ for tool in tools_for(())] == ["send_mail", "get_my_profile"]


def test_every_toolset_adds_its_own_tools() -> None:
    """What each word in M365_TOOLSETS brings, and that the permissions of each are known."""
    added = {name: [tool.__name__ for tool in tools_for((name,))[2:]] for name in TOOLSETS}

    assert added["drafts"] == ["create_draft", "send_draft", "discard_draft"]
    assert added["replies"] == ["list_messages", "reply", "forward"]
    assert added["schedule"] == ["schedule_mail", "list_scheduled", "cancel_scheduled"]
    assert added["people"] == ["find_people"]
    assert added["attachments"] == ["attach_files", "send_with_attachments"]
    assert set(TOOLSETS) == set(settings.PERMISSIONS)


def test_hints_say_which_tools_send() -> None:
    """Whatever can put a mail on its way is destructive; after an error such a tool says that nothing was sent."""
    senders = [name for name, tool in SCHEMAS.items() if tool["annotations"]["openWorldHint"]]

    assert [tool.__name__ for tool in tools_for(tuple(TOOLSETS)) if sends_mail(tool)] == senders
    assert {"send_mail", "send_draft", "reply", "forward", "schedule_mail"} <= set(senders)
    assert all(SCHEMAS[name]["annotations"]["destructiveHint"] for name in senders)


def test_send_mail_has_the_arguments_types_and_defaults_of_the_source() -> None:
    """Names, types and defaults never change."""
    schema = SCHEMAS["send_mail"]["inputSchema"]
    strings = {"type": "array", "items": {"type": "string"}}

    assert schema["required"] == ["to", "subject", "body"]
    described = {
        name: {k: v for k, v in part.items() if k != "description"} for name, part in schema["properties"].items()
    }
    of_the_source = {
        "to": strings,
        "subject": {"type": "string"},
        "body": {"type": "string"},
        "cc": {"anyOf": [strings, {"type": "null"}], "default": None},
        "content_type": {"type": "string", "default": "HTML", "enum": ["HTML", "Text", "Markdown"]},
        "save_to_sent": {"type": "boolean", "default": True},
    }
    assert {name: described[name] for name in of_the_source} == of_the_source
    assert all("default" in described[name] for name in described.keys() - of_the_source.keys())


def test_get_my_profile_takes_nothing_and_returns_three_fields() -> None:
    """The profile has Graph's own names."""
    assert SCHEMAS["get_my_profile"]["inputSchema"]["properties"] == {}
    assert list(SCHEMAS["get_my_profile"]["outputSchema"]["properties"]) == ["displayName", "mail", "userPrincipalName"]


@pytest.mark.parametrize("tool", SCHEMAS.values(), ids=SCHEMAS)
def test_tool_is_described_for_a_model(tool: dict[str, Any]) -> None:
    """Title, description, all four hints, closed and flat schemas, every argument described."""
    assert tool["title"]
    assert 80 < len(tool["description"]) < 2048
    hints = ("readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint")
    assert {name for name in hints if isinstance(tool["annotations"].get(name), bool)} == set(hints)
    assert tool["inputSchema"]["additionalProperties"] is False
    for schema in (tool["inputSchema"], tool["outputSchema"]):
        Draft202012Validator.check_schema(schema)
        assert "$ref" not in str(schema)
        assert "$defs" not in str(schema)
        assert all(part["description"] for part in schema["properties"].values())


async def test_server_names_itself_and_gives_instructions() -> None:
    """A model reads what to do before sending and after an unknown outcome."""
    container = build_container(settings.load(**IDS))
    try:
        server = build_server(container)
        names = [tool.name for tool in await server.list_tools(run_middleware=False)]
    finally:
        await container.close()

    assert names == ["send_mail", "get_my_profile"]
    assert server.instructions == INSTRUCTIONS
    assert "outcome_unknown" in INSTRUCTIONS
