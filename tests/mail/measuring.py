"""What composing costs: `python -m tests.mail.measuring` prints processor time and memory for every heavy body.

Each body is composed in a process of its own. A body that the limits refuse is measured once as it is, and once as
large as they admit. The time is a ratio, said in seconds of an idle core: see `tests/yardstick.py`.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

from m365_mcp.errors import M365Error
from m365_mcp.mail import MAX_REQUEST_BYTES, MailRules, MessageRequest, compose_message
from m365_mcp.mail.markdown import MAX_CHARACTERS
from tests.mail.heavy_bodies import HTML, MARKDOWN
from tests.yardstick import idle_core_seconds

MOST_SECONDS = 1.5  # of one idle core, that any body may cost
SHAPES = {"Markdown": (MARKDOWN, MAX_CHARACTERS), "HTML": (HTML, MAX_REQUEST_BYTES)}


@dataclass(frozen=True)
class Cost:
    """What one body costs.

    Attributes:
        outcome: "ok", or the code of the error.
        seconds: of an idle core.
        megabytes: by which the peak memory of the process grew.
    """

    content_type: str
    shape: str
    characters: int
    outcome: str
    seconds: float
    megabytes: float


def measured(content_type: str, *shapes: str) -> list[Cost]:
    """Return what these shapes cost, measured in other processes."""
    command = [sys.executable, "-m", "tests.mail.measuring", content_type, *shapes]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [Cost(**json.loads(line)) for line in out.splitlines()]


def _measure(content_type: str, shape: str) -> Iterator[Cost]:
    shapes, length = SHAPES[content_type]
    whole = _in_child(content_type, shape, shapes[shape], length)
    yield whole
    low, high = 0, length
    admitted = None
    for _ in range(3 if whole.outcome != "ok" else 0):
        middle = (low + high) // 2
        cost = _in_child(content_type, shape, shapes[shape], middle)
        low, high, admitted = (middle, high, cost) if cost.outcome == "ok" else (low, middle, admitted)
    if admitted:
        yield admitted


def _in_child(content_type: str, shape: str, make: Callable[[int], str], length: int) -> Cost:
    read, write = os.pipe()
    if not os.fork():
        cost = _cost(content_type, shape, make(length))
        os.write(write, json.dumps(asdict(cost)).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as out:
        found = out.read()
    os.wait()
    return Cost(**json.loads(found))


def _cost(content_type: str, shape: str, body: str) -> Cost:
    request = MessageRequest(to=["a@b.example"], subject="s", body=body, content_type=content_type)
    before = _peak()
    outcome = "ok"

    def compose() -> None:
        nonlocal outcome
        try:
            compose_message(request, MailRules())
        except M365Error as error:
            outcome = error.code

    seconds = idle_core_seconds(compose, enough=MOST_SECONDS)
    return Cost(content_type, shape, len(body), outcome, round(seconds, 3), round(_peak() - before, 1))


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(arguments: list[str]) -> None:
    """Print one JSON object a line, for the shapes asked for or for all."""
    wanted = arguments[:1] or list(SHAPES)
    for content_type in wanted:
        for shape in arguments[1:] or SHAPES[content_type][0]:
            for cost in _measure(content_type, shape):
                sys.stdout.write(json.dumps(asdict(cost)) + "\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
