"""Calls a tool of a running server for a person: signs in, calls, prints, and says by the exit code what happened."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from mcp_types import CallToolResult, Tool

from m365_mcp.commands.call_arguments import read_arguments, types_of
from m365_mcp.commands.client_sign_in import (
    BrowserSignIn,
    client_factory,
    open_token_store,
    sign_out,
    token_folder,
)
from m365_mcp.errors import InvalidArgument, M365Error

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
        return await _call(options, tool, words)
    except InvalidArgument as error:
        _tell(f"{error.sentence} {error.advice}")
        return WRONG_USAGE
    except M365Error as error:
        _tell(f"{error.sentence} {error.advice}")
        return UNREACHABLE
    except Exception:  # FastMCP and its transport raise many kinds, also groups of them
        _tell(
            f"The server or the sign-in did not answer at {options.endpoint}. Is it running? Its address ends in /mcp."
        )
        return UNREACHABLE


def _check_address(url: str) -> None:
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise InvalidArgument("--url must be an http or https URL.", advice="Example: http://localhost:8000/mcp")


async def _end_session(options: Options) -> int:
    had_tokens = await sign_out(options.endpoint, open_token_store(token_folder()))
    _tell("Signed out." if had_tokens else "Nobody was signed in.")
    return DONE


async def _call(options: Options, name: str | None, words: Sequence[str]) -> int:
    store = open_token_store(token_folder())
    sign_in = BrowserSignIn(options.endpoint, store, _tell, opens_browser=options.opens_browser)
    transport = StreamableHttpTransport(
        options.endpoint, auth=sign_in, httpx_client_factory=client_factory(options.endpoint)
    )
    async with Client(transport) as client:
        tools = await client.list_tools()
        if name is None:
            _say(_as_list(tools, as_json=options.as_json))
            return DONE
        tool = next((tool for tool in tools if tool.name == name), None)
        if tool is None:
            raise InvalidArgument("The server has no tool of this name.", advice="m365-mcp call lists the tools.")
        if options.shows_arguments:
            _say(_as_help(tool, as_json=options.as_json))
            return DONE
        return _report(await client.call_tool_mcp(name, read_arguments(words, tool.input_schema)), options)


def _report(result: CallToolResult, options: Options) -> int:
    text = "\n".join(block.text for block in result.content if block.type == "text")
    if result.is_error:
        _tell(text)
        return REFUSED
    _say(_as_json(result.structured_content) if options.as_json else text)
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
    sys.stdout.write(f"{text}\n")


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
