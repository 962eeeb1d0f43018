"""What a model reads at each level of M365_SEND_LEVEL: only tools that are there, and what they really do."""

from __future__ import annotations

import json
import re
from typing import Any, get_args

import pytest
from fastmcp import Client
from hypothesis import given
from hypothesis import strategies as st

from m365_mcp import settings
from m365_mcp.app import build_server
from m365_mcp.container import build_container
from m365_mcp.mail import SendLevel
from m365_mcp.tools import TOOLSETS, instructions_for, name_of, sends_mail, tools_for
from tests.ids import IDS

LEVELS: tuple[SendLevel, ...] = get_args(SendLevel)
EVERY_NAME = {name_of(tool) for tool in tools_for(tuple(TOOLSETS), may_ask=False)}
READING = {"get_my_profile", "list_messages", "find_people", "list_scheduled"}
SENDING = {"send_mail", "send_draft", "send_with_attachments", "schedule_mail", "reply", "forward"}


async def published(level: SendLevel, *toolsets: str) -> tuple[str, dict[str, dict[str, Any]]]:
    """Return the instructions of a server, and its tools as clients see them."""
    chosen = {"m365_toolsets": ",".join(toolsets), "m365_send_bcc": True, "m365_send_from": True}
    container = build_container(settings.load(**IDS, redis_url="memory://", m365_send_level=level, **chosen))
    try:
        server = build_server(container)
        async with Client(server) as client:
            listed = await client.list_tools()
    finally:
        await container.close()
    return str(server.instructions), {tool.name: tool.model_dump(mode="json", by_alias=True) for tool in listed}


@pytest.mark.parametrize(
    ("level", "names"),
    [
        ("send", EVERY_NAME),
        ("draft", EVERY_NAME - (SENDING - {"reply", "forward"})),
        ("off", READING),
    ],
)
async def test_level_says_which_tools_are_listed(level: SendLevel, names: set[str]) -> None:
    """At draft no tool sends, reply and forward leave drafts; at off every tool only reads."""
    _, tools = await published(level, *TOOLSETS)

    assert tools.keys() == names
    hints = {name: tool["annotations"] for name, tool in tools.items()}
    assert {name for name, hint in hints.items() if hint["openWorldHint"]} == (SENDING if level == "send" else set())
    assert all(hints[name]["readOnlyHint"] for name in hints) == (level == "off")


@pytest.mark.parametrize("level", LEVELS)
async def test_model_reads_of_no_tool_that_is_not_there(level: SendLevel) -> None:
    """Instructions, descriptions and schemas name only tools that the server offers."""
    instructions, tools = await published(level, *TOOLSETS)

    text = f"{instructions} {json.dumps(tools)}"
    assert {name for name in EVERY_NAME if re.search(rf"\b{name}\b", text)} - {"reply", "forward"} <= tools.keys()
    assert ("sends no mail" in instructions) == (level != "send")
    assert ("leaves immediately" in text) == (level == "send")


async def test_reply_that_leaves_a_draft_says_so() -> None:
    """At draft the description says that nothing is sent, and the result has the draft and its link."""
    _, tools = await published("draft", "replies")

    for name in ("reply", "forward"):
        assert "draft" in tools[name]["title"].lower()
        assert "It sends nothing." in tools[name]["description"]
        assert {"status", "draft_id", "web_link"} <= tools[name]["outputSchema"]["properties"].keys()
        assert not {"idempotency_key", "allow_duplicate"} & tools[name]["inputSchema"]["properties"].keys()


@given(st.sets(st.sampled_from(sorted(TOOLSETS))), st.sampled_from(LEVELS), st.booleans())
def test_every_toolset_goes_with_every_level(toolsets: set[str], level: SendLevel, may_ask: bool) -> None:
    """A toolset that has no tool at a level is no error; get_my_profile is always there."""
    tools = tools_for(sorted(toolsets), level, may_ask=may_ask)
    instructions = instructions_for(sorted(toolsets), level, may_ask=may_ask)
    names = {name_of(tool) for tool in tools}

    assert "get_my_profile" in names
    assert any(map(sends_mail, tools)) == (level == "send")
    assert ("get_send_status" in names) == ("get_send_status" in instructions) == (may_ask and level == "send")


@given(
    st.sets(st.sampled_from(sorted(TOOLSETS))),
    st.sampled_from(LEVELS),
    st.sampled_from(["direct", "draft"]),
    st.booleans(),
)
def test_permission_to_send_is_asked_for_at_level_send_only(
    toolsets: set[str], level: SendLevel, mode: str, shared: bool
) -> None:
    """Whatever else is chosen, only a server that sends asks for Mail.Send, and only one that writes for writing."""
    chosen = {"m365_toolsets": ",".join(toolsets), "m365_send_mode": mode, "m365_send_from": shared}
    asked = settings.load(**IDS, **chosen, m365_send_level=level).graph_permissions

    assert any(name.startswith("Mail.Send") for name in asked) == (level == "send")
    assert level != "off" or "Mail.ReadWrite" not in asked
    assert "User.Read" in asked
