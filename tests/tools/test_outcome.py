"""What a failed call tells a model about the message: "Nothing was sent." only where that is certain."""

from __future__ import annotations

import pytest
from fastmcp.exceptions import ToolError
from fastmcp.server.middleware import MiddlewareContext
from fastmcp.tools import ToolResult
from mcp_types import CallToolRequestParams

from m365_mcp.commands.reference import every_error
from m365_mcp.errors import AlreadySent, InternalError, M365Error, OutcomeUnknown, SettingsMistake
from m365_mcp.metrics import Metrics
from m365_mcp.tools import TOOLSETS, sends_mail, tools_for
from m365_mcp.tools.outcome import ToolOutcome

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
