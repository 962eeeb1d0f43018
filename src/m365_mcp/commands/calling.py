"""Calls a tool of a running server for a person: signs in, calls, prints, and says by the exit code what happened."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from typing import Any
from urllib.parse import urlsplit

from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from mcp_types import CallToolResult, Tool

from m365_mcp.commands.call_arguments import read_arguments, types_of
from m365_mcp.commands.client_discovery import client_factory, find_server
from m365_mcp.commands.client_sign_in import BrowserSignIn, open_token_store, sign_out, token_folder
from m365_mcp.errors import InvalidArgument, M365Error, Unavailable

DONE, REFUSED, WRONG_USAGE, UNREACHABLE = range(4)


@dataclass(frozen=True)
class Options:
    """Which server is called, and how the result is shown."""

    url: str
    as_json: bool
    opens_browser: bool
    shows_arguments: bool

    @property
    def endpoint(self) -> str:
        """Address of the MCP endpoint, without a final slash."""
        return self.url.rstrip("/")


async def run_call(options: Options, tool: str | None, words: Sequence[str], *, ends_session: bool) -> int:
    """Call the tool, or list the tools, or end the session; return the exit code."""
    try:
        _check_address(options.url)
        if ends_session:
            return await _end_session(options)
        result = await _call(options, tool, words)
    except Exception as error:  # FastMCP and its transport raise many kinds, also groups of them
        reason = _reason(error)
        if reason is None:
            _tell(f"The call of {options.endpoint} failed: {type(error).__name__}.")
            return UNREACHABLE
        _tell(f"{reason.sentence} {reason.advice}")
        return WRONG_USAGE if isinstance(reason, InvalidArgument) else UNREACHABLE
    if isinstance(result, str):
        _say(result)
        return DONE
    return _report(result, options)


def _reason(error: BaseException | None) -> M365Error | None:
    """Return our own error within what FastMCP and its task groups have wrapped round it."""
    if error is None or isinstance(error, M365Error):
        return error
    within = [*getattr(error, "exceptions", ()), error.__cause__, error.__context__]
    return next((found for found in map(_reason, within) if found is not None), None)


def _check_address(url: str) -> None:
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is none, or half an IPv6 address
        is_address = False
    if not is_address:
        raise InvalidArgument("--url must be an http or https URL.", advice="Example: http://localhost:8000/mcp")


async def _end_session(options: Options) -> int:
    had_tokens = await sign_out(options.endpoint, open_token_store(token_folder()))
    _tell("Signed out." if had_tokens else "Nobody was signed in.")
    return DONE


async def _call(options: Options, name: str | None, words: Sequence[str]) -> str | CallToolResult:
    server = await find_server(options.endpoint)
    store = open_token_store(token_folder())
    sign_in = BrowserSignIn(options.endpoint, store, _tell, opens_browser=options.opens_browser)
    await sign_in.prepare(server)
    transport = StreamableHttpTransport(
        options.endpoint, auth=sign_in, httpx_client_factory=client_factory(options.endpoint)
    )
    async with Client(transport) as client:
        tools = await client.list_tools()
        if name is None:
            return _as_list(tools, as_json=options.as_json)
        tool = next((tool for tool in tools if tool.name == name), None)
        if tool is None:
            raise InvalidArgument("The server has no tool of this name.", advice="m365-mcp call lists the tools.")
        if options.shows_arguments:
            return _as_help(tool, as_json=options.as_json)
        return await _call_once(client, name, read_arguments(words, tool.input_schema))


async def _call_once(client: Client[Any], name: str, arguments: dict[str, Any]) -> CallToolResult:
    """Call the tool; neither FastMCP nor the SDK repeats a tools/call whose answer is lost, and nor do we."""
    try:
        return await client.call_tool_mcp(name, arguments)
    except Exception as error:
        if reason := _reason(error):
            raise reason from None
        raise Unavailable(
            "The answer was lost; what was asked for may have been done.",
            advice="Look before you call again; the same mail with the same arguments is not sent twice.",
        ) from None


def _report(result: CallToolResult, options: Options) -> int:
    text = "\n".join(block.text for block in result.content if block.type == "text")
    if result.is_error:
        _tell(text)
        return REFUSED
    structured = result.structured_content or {}
    if page := structured.get("approval_url"):
        _tell(f"Nothing was sent yet. To send it, open {page} and press Send there.")
    _say(
        _as_json(structured or [block.model_dump(mode="json") for block in result.content]) if options.as_json else text
    )
    return DONE


def _as_list(tools: list[Tool], *, as_json: bool) -> str:
    if as_json:
        return _as_json([{"name": tool.name, "description": tool.description} for tool in tools])
    width = max((len(tool.name) for tool in tools), default=0)
    return "\n".join(f"{tool.name:{width}}  {tool.title or ''}".rstrip() for tool in tools)


def _as_help(tool: Tool, *, as_json: bool) -> str:
    schema = tool.input_schema
    if as_json:
        return _as_json(schema)
    lines = [f"{tool.name}: {tool.title}", ""]
    for key, part in schema.get("properties", {}).items():
        types = " or ".join(sorted(types_of(part, schema) - {"null"})) or "any"
        need = ", required" if key in schema.get("required", []) else ""
        lines.append(f"  {key} ({types}{need})  {part.get('description', '')}".rstrip())
    return "\n".join(lines)


def _as_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _say(text: str) -> None:
    # UTF-8 also where a pipe of Windows, or a locale, has another encoding: the call is done and must not fail now.
    if isinstance(sys.stdout, TextIOWrapper) and not sys.stdout.isatty():
        sys.stdout.reconfigure(encoding="utf-8")
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has read enough; Python would complain once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
