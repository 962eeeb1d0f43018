"""Structured logging, and what may never be logged: tokens, codes, addresses, subjects, bodies.

Our own events contain ids, counts and codes only. `redact` also removes personal data from the records of libraries,
and libraries that log such data have a higher log level.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from types import TracebackType
from typing import Any

import structlog

# FastMCP 4.2 logs tool arguments, authorization codes and redirect URIs at DEBUG, and logs client failures that
# our own events already describe at INFO; httpx2 logs full URLs at INFO, uvicorn's access log logs query strings.
_LIBRARY_LEVELS = {
    "fastmcp": logging.WARNING,
    # At ERROR it logs the state, the error text and the code of a callback unchanged.
    "fastmcp.server.auth.oauth_proxy.proxy": logging.CRITICAL,
    "mcp": logging.WARNING,
    "httpx2": logging.WARNING,
    "httpcore2": logging.WARNING,
}

_ADDRESS = re.compile(r"[^\s@<>\"'=]+@[^\s@<>\"']+\.[^\W\d_]{2,}")
_TOKEN = re.compile(r"\beyJ[\w-]+\.[\w-]*\.?[\w-]*")  # a JSON Web Token, complete or truncated
_SHORTEST_OPAQUE = 32
# Codes, states, refresh tokens.
_OPAQUE = re.compile(rf"\b(?=[\w~.-]*\d)(?=[\w~.-]*[A-Za-z])[\w~-]{{{_SHORTEST_OPAQUE},}}\b")
_QUERY = re.compile(r"\?[^\s\"'>]+")
_MARKS = re.compile(r"[@?]|eyJ")  # each address, query string and token has one of these
_OF_LINES = ("exception", "stack")
_SHAPE = ("timestamp", "level", "event", "logger")
_GUID = re.compile(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", re.IGNORECASE)


def redact(text: str) -> str:
    """Return `text` without addresses, tokens, codes and query strings. Request ids (GUIDs) stay."""
    if (len(text) < _SHORTEST_OPAQUE and not _MARKS.search(text)) or _GUID.match(text):
        return text  # nothing below can match, and most texts of our own events are codes and ids
    text = _QUERY.sub("?[query]", _ADDRESS.sub("[address]", _TOKEN.sub("[token]", text)))
    return _OPAQUE.sub(lambda found: found.group() if _GUID.match(found.group()) else "[opaque]", text)


def _redact_event(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: value if key == "timestamp" else _redacted(value) for key, value in event.items()}


def _redacted(value: Any) -> Any:
    """Return a value of a record without personal data; an object of a library, such as an exception, as a text."""
    if isinstance(value, str):
        return redact(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, dict):
        return {str(name): _redacted(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted(one) for one in value]
    return redact(repr(value))


def _on_one_line(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Write what would move the cursor or begin a line as an escape, so that no value can feign another record.

    The lines of a traceback stay, and are indented.
    """
    for name, value in event.items():
        if isinstance(value, str):
            lines = [f"    {_printable(line)}" for line in value.split("\n")] if name in _OF_LINES else []
            event[name] = "\n".join(lines) or _printable(value)
    return event


def _printable(text: str) -> str:
    """Return `text` with an escape in the place of each character that is not printable (`str.isprintable`)."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


def _in_order(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Put what every record has before its own fields."""
    return {**{name: event[name] for name in _SHAPE if name in event}, **event}


def configure(level: str, style: str, worker: int | None = None, *, may_colour: bool = False) -> None:
    """Send every log record of the process to standard error, redacted.

    Args:
        level: `debug`, `info`, `warning` or `error`.
        style: `json`, `text`, or `auto` (text in a terminal).
        worker: number of this process, which each of its records then has; None: there are no workers.
        may_colour: whether text in a terminal has colours.
    """
    as_text = style == "text" or (style == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        *([] if worker is None else [_numbered(worker)]),
    ]
    # The last line of a traceback is the exception's text, so tracebacks are formatted before redaction.
    final: list[Any] = [structlog.processors.format_exc_info, _redact_event, _in_order]
    if as_text:
        final.append(_on_one_line)
    renderer = (
        structlog.dev.ConsoleRenderer(colors=may_colour and sys.stderr.isatty())
        if as_text
        else structlog.processors.JSONRenderer()
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final, renderer],
    )
    handler = _Handler(sys.stderr)
    handler.setFormatter(formatter)
    logging.captureWarnings(True)
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    _quiet_libraries()


class _Handler(logging.StreamHandler[Any]):
    """Writes records; one that cannot be formatted is written without its arguments, as a record too."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name in `logging`
        """Take the fault of a record. The handler of the standard library prints its arguments and a traceback."""
        if record.args and isinstance(sys.exc_info()[1], TypeError | ValueError):
            record.args = None
            self.emit(record)
        # Else the stream is closed or full: there is no other place to tell.


def catch_uncaught() -> None:
    """Write exceptions that nobody catches as records, also those of threads, instead of as tracebacks."""
    sys.excepthook = _uncaught
    threading.excepthook = lambda found: _uncaught(found.exc_type, found.exc_value, found.exc_traceback)
    sys.unraisablehook = lambda found: _uncaught(found.exc_type, found.exc_value, found.exc_traceback)


def _uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if issubclass(kind, SystemExit | KeyboardInterrupt):
        return
    with suppress(Exception):  # at the end of the interpreter parts of it are gone
        _log.error("uncaught_exception", exc_info=(kind, error or kind(), trace))


def _numbered(worker: int) -> Callable[[Any, str, MutableMapping[str, Any]], MutableMapping[str, Any]]:
    def add(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["worker"] = worker
        return event

    return add


def _quiet_libraries() -> None:
    for name, level in _LIBRARY_LEVELS.items():
        logger = logging.getLogger(name)
        logger.handlers.clear()  # FastMCP brings a handler of its own
        logger.propagate = True
        logger.setLevel(level)


def get(name: str) -> structlog.stdlib.BoundLogger:
    """Return a logger; call it with an event name and key=value pairs."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


_log = get(__name__)
