"""The inventory of events in docs/logs.md is that of the code, and every record has one shape."""

import ast
import json
import logging
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from m365_mcp.auth.sign_in_events import _NOT_LOGGED, SignInEvent

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "m365_mcp"
CHOSEN = ("log", "level")
METHODS = ("info", "warning", "error", "exception")
ROW = re.compile(r"^\| `([a-z_]+)` \| (.*?) \| (.*?) ?\|$", re.MULTILINE)
# What the source does not say as one literal: events by name, and the fields that a mapping adds.
NAMED_AT_RUN_TIME = {
    "client_addresses_unknown": {"effect", "advice"},
    "proxy_names_no_client": {"effect", "advice"},
    "scheduled_mail_cancelled": {"object_id", "message_id", "by", "rule", "code"},
    "scheduled_mail_not_cancelled": {"object_id", "message_id", "by", "rule", "code"},
    "sign_in": {one.name for one in fields(SignInEvent)} - set(_NOT_LOGGED),
}
ADDED_AT_RUN_TIME = {
    "error_page": {"redirect_host", "client_host", "advice"},
    "session_ended": {"aadsts"},
    "refresh_refused": {"code", "aadsts", "advice"},
    "client_metadata_not_fetched": {"member"},
    "request_refused": {"host", "origin"},
    "starting": {"workers"},
}


def logged() -> Iterator[tuple[str, set[str]]]:
    """Iterate over the events that the source names, with the fields that it names."""
    for file in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if (
                isinstance(node, ast.Call)
                and node.args
                and _is_log(node.func)
                and isinstance(node.args[0], ast.Constant)
            ):
                yield str(node.args[0].value), {one.arg for one in node.keywords if one.arg}


def _is_log(function: ast.expr) -> bool:
    """Return whether this is a method of a logger, or a name that one was given because the level depends."""
    if isinstance(function, ast.Name):
        return function.id in CHOSEN
    is_log = (
        isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) and function.value.id == "_log"
    )
    return is_log and isinstance(function, ast.Attribute) and function.attr in METHODS


def test_inventory_names_every_event_with_its_fields() -> None:
    """Collectors look for these names: an event or field that is new, gone or renamed is seen here."""
    found: dict[str, set[str]] = defaultdict(set)
    for event, names in logged():
        found[event] |= (names - {"exc_info"}) | ADDED_AT_RUN_TIME.get(event, set())
    listed = {event: set(re.findall(r"`(\w+)`", names)) for event, _, names in ROW.findall(_inventory())}

    assert listed == {**found, **NAMED_AT_RUN_TIME}


def _inventory() -> str:
    return (ROOT / "docs" / "logs.md").read_text("utf-8")


def _records(style: str) -> str:
    """Return what a process writes to a pipe: an event of ours, a record of uvicorn and a warning of Python."""
    program = (
        "import logging, warnings\n"
        "from m365_mcp import logs\n"
        f"logs.configure('info', {style!r}, may_colour=True)\n"
        "logs.get('ours').info('event', tool='send_mail')\n"
        "logging.getLogger('uvicorn.error').info('Started')\n"
        "warnings.warn('old')\n"
    )
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stderr


def test_every_record_begins_alike() -> None:
    """A collector finds time, level, event and logger in each record, whoever wrote it."""
    records = [json.loads(line) for line in _records("json").splitlines()]

    assert [list(record)[:4] for record in records] == [["timestamp", "level", "event", "logger"]] * 3
    assert [record["logger"] for record in records] == ["ours", "uvicorn.error", "py.warnings"]
    assert logging.getLogger("m365_mcp").handlers == []


def test_text_has_no_colours_in_a_pipe() -> None:
    """A file or a pipe gets plain text."""
    assert "\x1b" not in _records("text")
