"""Reads the arguments of a call as the client means them, before they are validated. Pure functions.

A client may send lists and objects as JSON text (anthropics/claude-code issues 58771 and 86459), one value where a list
is expected, numbers and Booleans as text, names of formats in any case, and something empty for every argument that it
does not want to give. A model cannot mend what its client does, so the server reads such a call as it is meant:

- The schema decides, so a new tool needs nothing here, and text stays text: `["a"]` as a body is a body.
- An optional argument that is null or empty is left out. A required one that is null is missing; any other empty
  required one is passed on, and has an error of its own.
- A list with an empty entry beside others is passed on: a recipient may be missing there.

Nothing here refuses a call. What cannot be read is passed on as it is, and validation says what is wrong with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from m365_mcp.tools.schemas import Schema

MAX_TEXT = 8_000_000  # characters of JSON text that are parsed; attachments in a call take 4 million
MAX_PARTS = 20_000  # commas and brackets in the texts of one list; pydantic's parser allows a depth of 200
MAX_ENTRIES = 1_000  # entries of a list that are looked at
_MAX_DEPTH = 4  # lists and objects in one another that are looked at when something may be empty
_JSON: TypeAdapter[Any] = TypeAdapter(Any)
_NOTHING = ("", "null", "none", "undefined")  # text for "not given", where the type is not text
_INTEGER = re.compile(r"[+-]?\d{1,15}", re.ASCII)


def read_arguments(arguments: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    """Return the arguments of a call, or the fields of an object in it, as `schema` expects them."""
    required, properties = schema.get("required", ()), schema.get("properties", {})
    read: dict[str, Any] = {}
    for name, given in arguments.items():
        part = properties.get(name)
        value = given if part is None else _read(given, part)
        if part is not None and (value is None or (name not in required and _is_empty(value))):
            continue
        read[name] = value
    return read


def _read(value: Any, schema: Schema) -> Any:
    read = _READERS.get(schema.get("type", ""))
    return value if value is None or read is None else read(value, schema)


def _read_list(value: Any, schema: Schema) -> Any:
    items = schema.get("items", {})
    values = _as_list(value, items)
    if not isinstance(values, list) or len(values) > MAX_ENTRIES or _parts(*values) > MAX_PARTS:
        return values
    return [_read(entry, items) for one in values for entry in _as_entries(one, items)]


def _as_list(value: Any, items: Schema) -> Any:
    """Return the list that a value stands for: JSON text of a list, or one entry alone."""
    is_object = items.get("type") == "object"
    if isinstance(value, str):
        if _is_nothing(value):
            return []
        parsed = _parse(value)
        if isinstance(parsed, list):
            return parsed
        value = parsed if is_object and isinstance(parsed, dict) else value
    if isinstance(value, dict if is_object else str):
        return [value]
    return value


def _as_entries(entry: Any, items: Schema) -> list[Any]:
    """Return the entries that one entry stands for: JSON text of a list is all of its entries."""
    parsed = _parse(entry) if isinstance(entry, str) else None
    expected = dict if items.get("type") == "object" else str
    if isinstance(parsed, list) and all(isinstance(one, expected) for one in parsed):
        return parsed
    return [entry]


def _read_object(value: Any, schema: Schema) -> Any:
    parsed = _parse(value) if isinstance(value, str) else value
    return read_arguments(parsed, schema) if isinstance(parsed, dict) else value


def _read_boolean(value: Any, schema: Schema) -> Any:
    if not isinstance(value, str):
        return value
    known = {"true": True, "false": False}
    return None if _is_nothing(value) else known.get(value.strip().lower(), value.strip())


def _read_integer(value: Any, schema: Schema) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, str):
        return value
    if _is_nothing(value):
        return None
    return int(value) if _INTEGER.fullmatch(value.strip()) else value


def _read_text(value: Any, schema: Schema) -> Any:
    choices = schema.get("enum")
    if choices is None or not isinstance(value, str):
        return value
    wanted = value.strip().lower()
    chosen = next((choice for choice in choices if choice.lower() == wanted), None)
    return None if chosen is None and _is_nothing(value) else chosen or value


_READERS: dict[str, Callable[[Any, Schema], Any]] = {
    "array": _read_list,
    "object": _read_object,
    "boolean": _read_boolean,
    "integer": _read_integer,
    "string": _read_text,
}


def _parse(text: str) -> Any:
    """Return the list or object that JSON text holds, or None. Its size and depth have limits."""
    text = text.strip() if len(text) <= MAX_TEXT else ""
    if text[:1] not in ("[", "{") or text[-1:] not in ("]", "}"):
        return None
    if _parts(text) > MAX_PARTS:
        return None
    try:
        return _JSON.validate_json(text)
    except ValidationError:
        return None


def _parts(*values: Any) -> int:
    """Return how many parts JSON text may have at most, over all texts among the values."""
    return sum(text.count(mark) for text in values if isinstance(text, str) for mark in ",[{")


def _is_nothing(text: str) -> bool:
    if len(text) > MAX_ENTRIES:
        return False
    parsed = _parse(text)
    return text.strip().lower() in _NOTHING if parsed is None else _is_empty(parsed)


def _is_empty(value: Any, depth: int = _MAX_DEPTH) -> bool:
    """Tell whether a value says nothing: null, blank text, or a list or object of nothing else."""
    if isinstance(value, str):
        return not value or value.isspace()
    if isinstance(value, list | dict) and depth and len(value) <= MAX_ENTRIES:
        parts = value.values() if isinstance(value, dict) else value
        return all(_is_empty(part, depth - 1) for part in parts)
    return value is None
