"""Makes the JSON Schemas of a tool short, because a model reads them in every conversation. Pure functions.

pydantic writes a title for each property, and `anyOf` with `null` for each optional one. A model needs neither: the
title repeats the name, and an argument that may be left out need not be null.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

Schema = dict[str, Any]
_NULL = {"type": "null"}


def input_schema(schema: Schema, without: Collection[str] = ()) -> Schema:
    """Return the schema of the arguments in short, without the properties named `without`."""
    return _short(schema, without, nullable=False)


def output_schema(schema: Schema, without: Collection[str] = ()) -> Schema:
    """Return the schema of the result in short, without the properties named `without`; null stays a value there."""
    return _short(schema, without, nullable=True)


def _short(schema: Schema, without: Collection[str], *, nullable: bool) -> Schema:
    schema = _without_any_of(schema, nullable=nullable)
    short = {key: value for key, value in schema.items() if key != "title"}
    if short.get("default", "") is None:
        del short["default"]
    if "properties" in short:
        if nullable:
            short.pop("description", None)  # the tool's own description says what the result is
        short["properties"] = {
            name: _short(part, without, nullable=nullable)
            for name, part in short["properties"].items()
            if name not in without
        }
        required = [name for name in short.pop("required", ()) if name not in without]
        if required and not nullable:
            short["required"] = required
    if "items" in short:
        short["items"] = _short(short["items"], without, nullable=nullable)
    return short


def _without_any_of(schema: Schema, *, nullable: bool) -> Schema:
    """Return the only schema beside null in `anyOf`; a nullable schema keeps null as a second type."""
    choices = schema.get("anyOf", [])
    others = [choice for choice in choices if choice != _NULL]
    if len(others) != 1 or len(choices) != 2:
        return schema
    outer = {key: value for key, value in schema.items() if key != "anyOf"}
    return {**others[0], **outer, "type": [others[0]["type"], "null"] if nullable else others[0]["type"]}
