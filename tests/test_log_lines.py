"""One record is one line, or begins one: whatever a library, a client or an exception puts into it."""

from __future__ import annotations

import json
import os
import pty
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from m365_mcp import settings
from m365_mcp.metrics import Metrics
from tests.e2e.programs import free_port

ADDRESS = "ada@contoso.example"
STRANGE = "a\n2026-01-01T00:00:00Z [info     ] tool_called\r\x1b[2J\x07\x85b\u2028c\u202ed"
PROGRAM = """
import logging, sys, threading, warnings
from m365_mcp import logs
from tests.test_log_lines import ADDRESS, STRANGE
logs.configure("info", sys.argv[1], may_colour=True)
logs.catch_uncaught()
def fail():
    raise ValueError(STRANGE + ADDRESS)
class Falls:
    def __del__(self):
        fail()
ours, library = logs.get("ours"), logging.getLogger("library")
ours.info("event", value=STRANGE, word=STRANGE.replace(" ", ""), nested={"deep": [STRANGE, ADDRESS]})
ours.info("event", error=ValueError(ADDRESS))
library.warning("%s", STRANGE)
library.warning("too few %s %s", ADDRESS)
try:
    fail()
except ValueError:
    library.exception("broken")
warnings.warn(STRANGE)
thread = threading.Thread(target=fail)
thread.start()
thread.join()
Falls()
fail()
"""
RECORDS = 9


def written(style: str) -> str:
    """Return what a process writes to a file in which everything goes wrong."""
    ran = subprocess.run([sys.executable, "-c", PROGRAM, style], capture_output=True, check=False)
    assert ran.returncode == 1
    assert ran.stdout == b""
    return ran.stderr.decode()


def test_each_record_is_one_line_of_json() -> None:
    """Records of libraries, tracebacks, warnings, faulty records and exceptions that nobody catches."""
    records = [json.loads(line) for line in written("json").splitlines()]

    assert len(records) == RECORDS
    assert [record["event"] for record in records][-3:] == ["uncaught_exception"] * 3
    assert [record["event"] for record in records][3] == "too few %s %s"
    assert ADDRESS not in json.dumps(records)


@pytest.mark.parametrize("style", ["text", "auto"])
def test_text_begins_a_line_for_each_record_only(style: str) -> None:
    """No value feigns another record, moves a cursor or turns the writing direction; other lines are indented."""
    text = written(style)
    lines = [line for line in text.split("\n") if line and not line.startswith("    ")]

    assert len(lines) == RECORDS
    assert all(line.startswith(("20", "{")) for line in lines)
    assert [character for character in text if not character.isprintable() and character != "\n"] == []
    assert ADDRESS not in text


@contextmanager
def environment(**changes: str) -> Iterator[dict[str, str]]:
    """Yield an environment with these variables of colours and no other."""
    kept = {name: value for name, value in settings.foreign_environment().items() if "COLOR" not in name}
    yield {**kept, "TERM": "xterm-256color", **changes}


def in_terminal(style: str, variables: dict[str, str]) -> str:
    """Return what a process writes to a pseudo-terminal."""
    program = (
        "import sys\n"
        "from m365_mcp import logs, settings\n"
        f"logs.configure('info', {style!r}, may_colour=settings.wants_colour())\n"
        "logs.get('ours').info('event', tool='send_mail')\n"
    )
    master, slave = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", program], stderr=slave, env=variables) as ran:
        os.close(slave)
        found = b""
        while chunk := _read(master):
            found += chunk
    os.close(master)
    assert ran.returncode == 0
    return found.decode()


def _read(master: int) -> bytes:
    try:
        return os.read(master, 65536)
    except OSError:  # Linux: the other side is closed
        return b""


@pytest.mark.parametrize(
    ("style", "changes", "coloured"),
    [
        ("auto", {}, True),
        ("text", {}, True),
        ("json", {}, False),
        ("auto", {"NO_COLOR": "1"}, False),
        ("auto", {"NO_COLOR": ""}, True),
        ("auto", {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        ("auto", {"TERM": "dumb"}, False),
    ],
)
def test_terminal_has_colours_where_it_may(style: str, changes: dict[str, str], coloured: bool) -> None:
    """A real terminal gets text in colours, unless NO_COLOR or TERM=dumb forbid them."""
    with environment(**changes) as variables:
        text = in_terminal(style, variables)

    assert ("\x1b" in text) == coloured
    assert text.lstrip().startswith("{") == (style == "json")


def test_file_has_no_escape_even_where_colours_are_forced() -> None:
    """FORCE_COLOR is about terminals: a file stays plain."""
    with environment(FORCE_COLOR="1", CLICOLOR_FORCE="1") as variables:
        program = (
            "from m365_mcp import logs, settings\n"
            "logs.configure('info', 'text', may_colour=settings.wants_colour())\n"
            "logs.get('ours').info('event', tool='send_mail')\n"
        )
        ran = subprocess.run([sys.executable, "-c", program], env=variables, capture_output=True, check=True)

    assert b"\x1b" not in ran.stderr


def test_broken_connection_to_the_metrics_writes_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    """A scanner that resets its connection leaves no traceback between the records."""
    port = free_port()
    Metrics().listen("127.0.0.1", port)
    for _ in range(20):
        client = socket.create_connection(("127.0.0.1", port))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert client.recv(15).startswith(b"HTTP/1.0 200")

    assert capfd.readouterr().err == ""
