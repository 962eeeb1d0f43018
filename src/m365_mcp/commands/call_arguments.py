"""Reads `key=value` words into the arguments of a tool, by the tool's schema."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from m365_mcp.errors import InvalidArgument

_USAGE = "m365-mcp call TOOL --arguments shows the arguments."
_LITERAL = "Files and standard input must be text in UTF-8. A value that begins with @ is written @@."


def read_arguments(words: Sequence[str], schema: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments; a list has one entry for each word with its key, or is written in JSON.

    `key=@file` has the value in a file, `key=-` on standard input, and `key=@@text` means `@text`.

    Raises:
        InvalidArgument: a word is no `key=value`, a key comes twice, or a file cannot be read.
    """
    found: dict[str, Any] = {}
    properties = schema.get("properties", {})
    for word in words:
        key, sign, text = word.partition("=")
        if not sign or not key:
            raise InvalidArgument("Each argument must be written key=value.", advice=_USAGE)
        types = types_of(properties.get(key, {}), schema)
        value = _value(_read(text), types)
        if key not in found:
            found[key] = value
        elif isinstance(found[key], list):
            found[key] += value if isinstance(value, list) else [value]
        else:
            raise InvalidArgument("An argument that is no list was given twice.", advice=_USAGE)
    return found


def types_of(part: dict[str, Any], schema: dict[str, Any]) -> set[str]:
    """Return the JSON types that a part of a schema allows; none when it does not say."""
    if "$ref" in part:
        return types_of(schema.get("$defs", {}).get(str(part["$ref"]).rpartition("/")[2], {}), schema)
    of_choices = {name for choice in part.get("anyOf", []) for name in types_of(choice, schema)}
    named = part.get("type", [])
    if "enum" in part and not named:
        return {"string"}
    return of_choices | ({named} if isinstance(named, str) else set(named))


def _read(text: str) -> str:
    if text == "-":
        return _as_text(sys.stdin.buffer.read())
    if text.startswith("@@"):
        return text[1:]
    if not text.startswith("@"):
        return text
    try:
        content = Path(text[1:]).read_bytes()
    except OSError:
        raise InvalidArgument("The file behind @ cannot be read.", advice=_LITERAL) from None
    return _as_text(content)


def _as_text(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidArgument("A value is not text in UTF-8.", advice=_LITERAL) from None


def _value(text: str, types: set[str]) -> Any:
    if types and not types & {"array", "object", "integer", "number", "boolean"}:
        return text
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    if "array" in types:
        return value if isinstance(value, list) else [value if isinstance(value, dict) else text]
    # What a schema calls a string stays one, also where it looks like a number.
    return text if "string" in types and not isinstance(value, dict) else value
