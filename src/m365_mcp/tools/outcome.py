"""Turns errors into the text that a model reads, and counts and logs every call."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from functools import wraps
from time import perf_counter
from typing import Any

from fastmcp.exceptions import FastMCPError, NotFoundError, ToolError
from fastmcp.server.dependencies import get_access_token
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools import ToolResult
from mcp_types import CallToolRequestParams

from m365_mcp import logs, tracing
from m365_mcp.audit.calls import following_call
from m365_mcp.audit.trail import AuditTrail
from m365_mcp.auth.sign_in_events import MAX_NAME, clean, clean_client_id
from m365_mcp.errors import AlreadySent, InternalError, M365Error, OutcomeUnknown
from m365_mcp.metrics import Metrics
from m365_mcp.tools import TOOLSETS, Tool, name_of, sends_mail, tools_for, writes
from m365_mcp.tools.refusals import refused_call

_log = logs.get(__name__)
_FAULT_WHILE_SENDING = "This server has a fault, and it is not known whether the message was sent."


def explained(function: Any) -> Any:
    """Return `function`, which then raises ToolError instead of M365Error.

    FastMCP 4.2 masks every other exception, and logs it with a traceback before any middleware sees it.
    """

    @wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return await function(*args, **kwargs)
        except M365Error as error:
            raise ToolError(error.explain(), log_level=logging.DEBUG) from error

    return call


class ToolOutcome(Middleware):
    """Gives every failed call a code, a sentence and advice, and counts every call.

    Args:
        metrics: counts the calls.
        tools: the tools of the server; the error of one that sends says whether something was sent.
        audit: records a refused call of a tool that writes, unless a send or a decision of the call is recorded.
    """

    def __init__(
        self,
        metrics: Metrics,
        tools: Sequence[Tool] = tools_for(tuple(TOOLSETS), may_ask=True),
        audit: AuditTrail | None = None,
    ) -> None:
        self._metrics = metrics
        self._senders = frozenset(name_of(tool) for tool in tools if sends_mail(tool))
        self._writers = frozenset(name_of(tool) for tool in tools if writes(tool))
        self._names = frozenset(name_of(tool) for tool in tools)
        self._audit = audit or AuditTrail()

    async def on_call_tool(
        self, context: MiddlewareContext[CallToolRequestParams], call_next: CallNext[CallToolRequestParams, ToolResult]
    ) -> ToolResult:
        """Run the tool; turn its exception into a text that a model can act on."""
        tool = context.message.name
        start = perf_counter()
        try:
            with following_call() as call:
                result = await call_next(context)
        except NotFoundError:
            self._count(start, tool, "unknown_tool")
            raise
        except FastMCPError as failure:
            error = _explain(failure)
            self._count(start, tool, error.code, error.reference)
            if self._audit.is_on and tool in self._writers and not call.is_recorded:
                self._audit.record(refused_call(context.message, error))
            raise ToolError(_as_text(error, sends=tool in self._senders), log_level=logging.DEBUG) from failure
        except asyncio.CancelledError:
            self._count(start, tool, "cancelled")  # the client disconnected; a send that has begun still finishes
            raise
        except Exception:  # FastMCP 4.2 lets some pass, such as those of the protocol
            self._count(start, tool, InternalError.code)
            raise
        self._count(start, tool, "ok", message_id=_message_id(result))
        return result

    def _count(
        self, start: float, tool: str, outcome: str, reference: str | None = None, message_id: str | None = None
    ) -> None:
        seconds = perf_counter() - start
        tool = tool if tool in self._names else "unknown"  # a client made it up, so it may be anything
        self._metrics.tool_calls.labels(tool, outcome).inc()
        self._metrics.tool_seconds.labels(tool).observe(seconds)
        token = get_access_token()
        object_id = token.claims.get("oid") if token else None
        tracing.note_call(object_id, None if outcome == "ok" else outcome)
        _log.info(
            "tool_called",
            tool=tool,
            outcome=outcome,
            reference=reference,
            object_id=object_id,
            client_id=clean_client_id(token.client_id) if token else None,
            client_name=clean(token.claims.get("client_name"), MAX_NAME) if token else None,
            message_id=message_id,
            ms=round(seconds * 1000),
        )


def _message_id(result: ToolResult) -> str | None:
    """Return this server's id of the message that a result is about."""
    found = result.structured_content
    identifier = found.get("message_id") if found else None
    return identifier if isinstance(identifier, str) else None


def _explain(failure: FastMCPError) -> M365Error:
    cause = failure.__cause__
    if isinstance(cause, M365Error):
        return cause
    return InternalError()


def _as_text(error: M365Error, *, sends: bool) -> str:
    if isinstance(error, InternalError) and sends:
        error = InternalError(_FAULT_WHILE_SENDING, advice=OutcomeUnknown.advice)
    nothing_sent = sends and not isinstance(error, OutcomeUnknown | InternalError | AlreadySent)
    effect = " Nothing was sent." if nothing_sent else ""
    return error.explain().replace(" What to do:", f"{effect} What to do:", 1)
