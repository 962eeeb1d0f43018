"""What a failed call tells a model about the message: "Nothing was sent." only where that is certain."""

from __future__ import annotations

import asyncio

import pytest
from fastmcp.exceptions import ToolError
from fastmcp.server.middleware import MiddlewareContext
from fastmcp.tools import ToolResult
from mcp_types import CallToolRequestParams
from structlog.testing import capture_logs

from m365_mcp.auth.sign_in_events import MAX_NAME
from m365_mcp.commands.reference import every_error
from m365_mcp.errors import AlreadySent, InternalError, M365Error, OutcomeUnknown, SettingsMistake
from m365_mcp.metrics import Metrics
from m365_mcp.tools import TOOLSETS, sends_mail, tools_for
from m365_mcp.tools.outcome import ToolOutcome
from tests.attacks.serving import call, serving

TOOLS = {tool.__name__: sends_mail(tool) for tool in tools_for(tuple(TOOLSETS), may_ask=True)}
ERRORS = [kind for kind in every_error() if kind is not SettingsMistake]  # which stops the start, and no call meets
UNCERTAIN = (OutcomeUnknown, AlreadySent, InternalError)


async def told(tool: str, error: M365Error) -> str:
    """Return what a model reads when `tool` has failed with `error`."""

    async def fail(context: MiddlewareContext[CallToolRequestParams]) -> ToolResult:
        raise ToolError("masked") from error

    context = MiddlewareContext(message=CallToolRequestParams(name=tool, arguments={}))
    with pytest.raises(ToolError) as caught:
        await ToolOutcome(Metrics()).on_call_tool(context, fail)
    return str(caught.value)


@pytest.mark.parametrize("tool", TOOLS)
async def test_nothing_was_sent_is_said_exactly_where_it_is_certain(tool: str) -> None:
    """A tool that sends says it of every error but the three after which the message may have left or has left."""
    for kind in ERRORS:
        text = await told(tool, kind())

        certain = TOOLS[tool] and not issubclass(kind, UNCERTAIN)
        assert text.startswith(f"{kind.code}: ")
        assert (kind.code, text.count("Nothing was sent.")) == (kind.code, int(certain))
        assert "What to do:" in text


@pytest.mark.parametrize("tool", TOOLS)
async def test_fault_of_this_server_while_sending_leaves_the_outcome_open(tool: str) -> None:
    """After a fault of ours a tool that sends gives the advice of an unknown outcome, and any other its own."""
    text = await told(tool, InternalError())

    assert (OutcomeUnknown.advice in text) is TOOLS[tool]
    assert ("it is not known whether the message was sent" in text) is TOOLS[tool]


@pytest.mark.parametrize("fault", [ToolError("masked"), RuntimeError("c4n4ry"), asyncio.CancelledError()])
async def test_name_that_a_client_made_up_is_no_label(fault: BaseException) -> None:
    """A name that is no tool's could be an address, or new for each call, whatever the call ends in."""
    metrics = Metrics()

    async def fail(context: MiddlewareContext[CallToolRequestParams]) -> ToolResult:
        raise fault

    context = MiddlewareContext(message=CallToolRequestParams(name="ada@contoso.example", arguments={}))
    with capture_logs() as logged, pytest.raises(type(fault)):
        await ToolOutcome(metrics).on_call_tool(context, fail)

    outcome = "cancelled" if isinstance(fault, asyncio.CancelledError) else "internal_error"
    value = metrics.registry.get_sample_value
    assert value("m365_mcp_tool_calls_total", {"tool": "unknown", "outcome": outcome}) == 1
    assert [(one["tool"], one["outcome"]) for one in logged] == [("unknown", outcome)]


async def test_record_of_a_call_names_the_client_cleaned() -> None:
    """The name that a client gave itself is one short line without an address; it cannot feign a record."""
    name = "Evil\n2026 [info] tool_called\x1b[2J ada@contoso.example " + "x" * 200
    async with serving() as world:
        client_id = (await world.register(client_name=name)).json()["client_id"]
        tokens = (await world.redeem(client_id, await world.code(client_id))).json()
        with capture_logs() as logged:
            await call(world, tokens["access_token"], "get_my_profile")

    [record] = [one for one in logged if one["event"] == "tool_called"]
    assert record["client_name"].startswith("Evil 2026 [info] tool_called [2J [address] xxx")
    assert len(record["client_name"]) <= MAX_NAME
    assert (record["client_id"], record["outcome"]) == (client_id, "ok")
