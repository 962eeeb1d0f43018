"""The tools as a server offers them: what clients see of each, and how it takes a call.

FastMCP 4.2 validates a call against the function's signature and not against `parameters`, so the published schema may
lack an argument that the function has. A client does not see what the operator has switched off, and a call that gives
it all the same still gets the refusal that names the setting.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Collection
from typing import Any, NoReturn

from fastmcp.exceptions import ToolError, ValidationError
from fastmcp.tools import FunctionTool, ToolResult
from fastmcp.utilities.json_schema import dereference_refs
from mcp_types import Tool as PublishedTool
from pydantic import BaseModel, Field
from pydantic import ValidationError as PydanticValidationError

from m365_mcp.errors import InvalidArgument
from m365_mcp.sending.outbox import Outgoing
from m365_mcp.tools import name_of, sends_mail
from m365_mcp.tools.mail import APPROVAL_FIELDS, Accepted
from m365_mcp.tools.marking import WORDS_OF_OTHERS, legible, marked
from m365_mcp.tools.names import ARGUMENTS, MAX_NAMED, is_quotable
from m365_mcp.tools.outcome import explained
from m365_mcp.tools.reading import read_arguments
from m365_mcp.tools.schemas import input_schema, output_schema
from m365_mcp.tools.url_elicitation import held

MAX_ARGUMENTS = 100  # names in one call; no tool has a fifth of them
# Claude Code 2.1.199 and later then ask the person before each call of the tool, whatever the person has allowed.
USER_INTERACTION = {"anthropic/requiresUserInteraction": True}


class MailTool(FunctionTool):
    """A tool with a short published schema, which reads its arguments as clients send them.

    Attributes:
        accepted: the schema of all arguments, the switched-off ones included.
        words_of_others: the fields of the result that other people chose.
        published_meta: `_meta` of the definition, in place of FastMCP's own empty one.
    """

    accepted: dict[str, Any] = Field(default_factory=dict, exclude=True)
    words_of_others: frozenset[str] = Field(default=frozenset(), exclude=True)
    published_meta: dict[str, Any] | None = Field(default=None, exclude=True)

    def to_mcp_tool(self, **overrides: Any) -> PublishedTool:
        """Return the definition for tools/list."""
        return super().to_mcp_tool(**{"_meta": self.published_meta, **overrides})

    def convert_result(self, raw_value: Any) -> ToolResult:
        """Return the result with its label, and what other people wrote in it marked; see `marking`."""
        is_newly_held = isinstance(raw_value, Accepted) and raw_value.is_newly_held
        if isinstance(raw_value, BaseModel) and self.words_of_others:
            # Before FastMCP writes it as JSON, which half of a surrogate pair would prevent.
            raw_value = raw_value.model_validate(legible(raw_value.model_dump(), self.words_of_others))
        result = marked(super().convert_result(raw_value), self.words_of_others, secrets.token_hex(8))
        return held(result) if is_newly_held else result

    async def run(self, arguments: dict[str, Any]) -> ToolResult:
        """Read the arguments and run the function; one error names every argument that is wrong."""
        if len(arguments) > MAX_ARGUMENTS:
            _refuse(f"The call has {len(arguments):,} arguments, and no tool has so many.")
        try:
            return await super().run(read_arguments(arguments, self.accepted))
        except ValidationError as failure:
            if isinstance(failure.__cause__, PydanticValidationError):
                _refuse(self._argument_errors(failure.__cause__))
            raise

    def _argument_errors(self, error: PydanticValidationError) -> str:
        """Name each argument and what is wrong with it, without its value."""
        details = error.errors(include_url=False, include_input=False, include_context=False)
        unknown = [detail for detail in details if detail["type"] == "unexpected_keyword_argument"]
        known = [detail for detail in details if detail["type"] != "unexpected_keyword_argument"]
        sentences = [f"'{_argument_name(detail['loc'])}': {_problem(detail)}." for detail in known]
        sentences += [self._unknown(str(detail["loc"][0])) for detail in unknown[:MAX_NAMED]]
        if len(unknown) > MAX_NAMED:
            sentences.append(f"{len(unknown) - MAX_NAMED} more names are not arguments of this tool.")
        return " ".join(sentences)

    def _unknown(self, name: str) -> str:
        if not is_quotable(name):
            return "A name that is no identifier is not an argument of this tool."
        meant = ARGUMENTS.meaning(name, self.accepted["properties"])
        if meant is None:
            return f"'{name}': is not an argument of this tool."
        if meant not in self.parameters["properties"]:
            return f"'{name}': is not an argument of this tool, and '{meant}' is switched off on this server."
        return f"'{name}': is not an argument of this tool; use '{meant}'."


def publish(function: Any, switched_off: Collection[str] = (), *, requires_interaction: bool = False) -> MailTool:
    """Return the tool of a function for one server.

    Args:
        function: the function of the tool.
        switched_off: the arguments and results that the operator has switched off.
        requires_interaction: whether clients are to ask the person before each call, if the tool sends.
    """
    called = explained(function)
    called.__doc__ = None  # FastMCP 4.2 would look for sections in it, with a library that nothing else needs
    tool: Any = MailTool.from_function(called)  # FastMCP 4.2 types it as the parent
    parameters = dereference_refs(tool.parameters)
    short = {
        "description": " ".join((function.__doc__ or "").split()),
        "parameters": input_schema(parameters, switched_off),
        "accepted": input_schema(parameters),
        "output_schema": output_schema(dereference_refs(tool.output_schema or {}), switched_off),
        "words_of_others": WORDS_OF_OTHERS[name_of(function)],
        "published_meta": USER_INTERACTION if requires_interaction and sends_mail(function) else None,
    }
    published: MailTool = tool.model_copy(update=short)
    return published


def switched_off(outgoing: Outgoing) -> frozenset[str]:
    """Return the names of the arguments and results that the operator does not allow."""
    allowed = {
        "bcc": outgoing.rules.allow_bcc,
        "from_": outgoing.rules.allow_from,
        "preview": outgoing.shows_previews,
        **dict.fromkeys(APPROVAL_FIELDS, outgoing.may_ask),
    }
    return frozenset(name for name, is_allowed in allowed.items() if not is_allowed)


def _refuse(sentence: str) -> NoReturn:
    error = InvalidArgument(sentence)
    raise ToolError(error.explain(), log_level=logging.DEBUG) from error


def _argument_name(location: tuple[int | str, ...]) -> str:
    name, *rest = location or ("arguments",)
    return str(name) + "".join(f" entry {part + 1}" for part in rest if isinstance(part, int))


def _problem(detail: Any) -> str:
    if detail["type"] in ("missing_argument", "missing_keyword_only_argument"):
        return "is required"
    return str(detail["msg"]).removeprefix("Input ").removeprefix("Value error, ")
