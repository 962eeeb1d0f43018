"""Reads audit files in tests, and validates records against OCSF's own schemas."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

_FILES = {4009: "email_activity", 3002: "authentication", 6003: "api_activity"}


@cache
def validator(class_uid: int) -> Draft202012Validator:
    """Return the validator of an event class."""
    path = Path(__file__).parent / "ocsf" / f"{_FILES[class_uid]}.json"
    return Draft202012Validator(json.loads(path.read_text()))


def problems(record: dict[str, Any]) -> list[str]:
    """Return what OCSF does not allow in a record."""
    return [error.message for error in validator(record["class_uid"]).iter_errors(record)]


def read(path: Path) -> list[dict[str, Any]]:
    """Return the records of a file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def of_class(path: Path, class_uid: int) -> list[dict[str, Any]]:
    """Return the records of one class."""
    return [record for record in read(path) if record["class_uid"] == class_uid]
