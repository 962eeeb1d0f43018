"""Has a client open the approval page, where the client can: elicitation in URL mode (MCP 2025-11-25 and 2026-07-28).

The call that has a mail wait is answered in the form that the client knows:

- 2026-07-28, with the capability `elicitation.url`: `input_required` with an `elicitation/create` in URL mode. The
  client calls again with the person's answer.
- 2025-11-25, with the same capability: the error -32042 with the elicitation in its data. The client calls again when
  it thinks that the person has finished.
- Any other client: the result, whose text and `approval_url` have the link.

What the client answers decides nothing, so nobody reads it: only the page decides. A call that finds the mail waiting
gets the result, whatever the client can, so that no client goes round in a circle.

FastMCP 4.2 leaves an `MCPError` of a middleware as it is, and makes an unnamed failure of one that a tool raises. So
the error is raised here, and no tool raises it; tests/test_upstream.py tells.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from fastmcp.server.dependencies import get_http_headers
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools import InputRequiredToolResult, ToolResult
from mcp.server.session import ServerSession
from mcp.server.streamable_http import MCP_SESSION_ID_HEADER
from mcp.shared.exceptions import UrlElicitationRequiredError
from mcp_types import CallToolRequestParams, ElicitRequest, ElicitRequestURLParams, InputRequiredResult
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

_ERROR_VERSION = "2025-11-25"  # the only version with -32042: 2026-07-28 has retired it
_FOR_THE_PERSON = "A mail waits for you until {until}. Read it on this page, and send or discard it there."
_FOR_THE_MODEL = "approval_needed: {what_to_do} get_send_status tells what became of message_id {message_id}."


class HeldResult(ToolResult):
    """The result of the call that has a mail wait for the person; a repeat of it has an ordinary result."""


def held(result: ToolResult) -> HeldResult:
    """Return the result as that of the call that has a mail wait."""
    return HeldResult(content=result.content, structured_content=result.structured_content, meta=result.meta)


class UrlElicitation(Middleware):
    """Asks the client to open the approval page of a mail that waits since this call.

    Args:
        declares_url: whether the client with a session id has declared that it opens URLs.
    """

    def __init__(self, declares_url: Callable[[str | None], bool]) -> None:
        self._declares_url = declares_url

    async def on_call_tool(
        self, context: MiddlewareContext[CallToolRequestParams], call_next: CallNext[CallToolRequestParams, ToolResult]
    ) -> ToolResult:
        """Run the tool; for a mail that waits since now, ask a client that can to open its page."""
        result = await call_next(context)
        request = context.fastmcp_context.request_context if context.fastmcp_context else None
        is_copy = bool((context.message.arguments or {}).get("allow_duplicate"))  # the next call is another copy
        if not isinstance(result, HeldResult) or request is None or is_copy:
            return result
        fields: dict[str, Any] = result.structured_content or {}
        if request.protocol_version in MODERN_PROTOCOL_VERSIONS:
            return _input_required(fields, result.meta) if _opens_urls(request.session) else result
        if request.protocol_version == _ERROR_VERSION and self._opens_urls(request.session):
            raise UrlElicitationRequiredError([_page(fields, secrets.token_hex(16))], _text(fields))
        return result

    def _opens_urls(self, session: ServerSession) -> bool:
        """Return whether a client of 2025-11-25 opens URLs: the SDK knows it in stateful mode only."""
        headers = get_http_headers(include={MCP_SESSION_ID_HEADER})
        return _opens_urls(session) or self._declares_url(headers.get(MCP_SESSION_ID_HEADER))


def _opens_urls(session: ServerSession) -> bool:
    declared = session.client_capabilities
    return bool(declared and declared.elicitation and declared.elicitation.url is not None)


def _input_required(fields: dict[str, Any], meta: dict[str, Any] | None) -> InputRequiredToolResult:
    asked = {"approval": ElicitRequest(params=_page(fields))}
    return InputRequiredToolResult(InputRequiredResult(input_requests=asked, _meta=meta))


def _page(fields: dict[str, Any], elicitation_id: str | None = None) -> ElicitRequestURLParams:
    """Return the question in URL mode. Only 2025-11-25 has an id, which is unique for each question."""
    message = _FOR_THE_PERSON.format(until=fields["expires_at"])
    return ElicitRequestURLParams(message=message, url=fields["approval_url"], elicitation_id=elicitation_id)


def _text(fields: dict[str, Any]) -> str:
    """Return the text of the error, for a model whose client shows it: the link is in it, too."""
    return _FOR_THE_MODEL.format(what_to_do=fields["warnings"][0], message_id=fields["message_id"])
