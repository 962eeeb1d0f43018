"""`$filter` for messages, as far as it is modelled: a few comparisons joined by `and` (page "Use the $filter query").

A filter becomes a function that takes a message and tells whether it fits.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from m365_simulator.graph.problems import GraphError
from m365_simulator.mail import Message

Fits = Callable[[Message], bool]
_TEXT = r"'(?P<value>(?:[^']|'')*)'"
_BY_TEXT = re.compile(rf"(?P<name>internetMessageId|conversationId|subject) eq {_TEXT}")
_BY_FLAG = re.compile(r"(?P<name>isDraft|isRead) eq (?P<value>true|false)")
_BY_TIME = re.compile(
    r"(?P<name>sentDateTime|receivedDateTime|createdDateTime) (?P<operator>ge|gt|le|lt) (?P<value>\d[\dT:.Z+-]*)"
)
_BY_EXTENDED = re.compile(
    r"singleValueExtendedProperties/any\((?P<x>\w+): ?(?P=x)/id eq '(?P<id>[^']+)' and "
    rf"(?P=x)/value eq {_TEXT}\)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Filter:
    """What was asked: the properties in their order, and whether extended properties are among them."""

    properties: tuple[str, ...]
    clauses: tuple[Fits, ...]
    reads_extended: bool

    def fits(self, message: Message) -> bool:
        """Return whether the message satisfies every clause."""
        return all(clause(message) for clause in self.clauses)


def read_filter(text: str | None) -> Filter:
    """Return the filter; GraphError 400 for what the simulator does not understand."""
    parts = _clauses(text) if text is not None else []
    read = [_read_clause(part.strip()) for part in parts]
    names = tuple(name for name, _ in read)
    return Filter(names, tuple(clause for _, clause in read), "singleValueExtendedProperties" in names)


def _clauses(text: str) -> list[str]:
    """Split at every `and` that stands outside quotes and parentheses."""
    clauses, depth, quoted = [""], 0, False
    for piece in re.split(r"( and |['()])", text):
        quoted ^= piece == "'"
        depth += 0 if quoted else (piece == "(") - (piece == ")")
        if piece == " and " and not quoted and depth == 0:
            clauses.append("")
        else:
            clauses[-1] += piece
    return clauses


def _read_clause(text: str) -> tuple[str, Fits]:
    if match := _BY_TEXT.fullmatch(text):
        return match["name"], _text_clause(match["name"], _unquoted(match["value"]))
    if match := _BY_FLAG.fullmatch(text):
        attribute = {"isDraft": "is_draft", "isRead": "is_read"}[match["name"]]
        wanted = match["value"] == "true"
        return match["name"], lambda message: getattr(message, attribute) == wanted
    if match := _BY_TIME.fullmatch(text):
        return match["name"], _time_clause(match["name"], match["operator"], match["value"])
    if match := _BY_EXTENDED.fullmatch(text):
        name, value = match["id"], _unquoted(match["value"])
        return "singleValueExtendedProperties", lambda message: message.extended_value(name) == value
    raise GraphError(
        400, "ErrorInvalidUrlQueryFilter", "The query filter contains one or more invalid nodes, or is not modelled."
    )


def _text_clause(name: str, value: str) -> Fits:
    attribute = {"internetMessageId": "internet_message_id", "conversationId": "conversation_id"}.get(name, name)
    return lambda message: getattr(message, attribute) == value


def _time_clause(name: str, operator: str, text: str) -> Fits:
    try:
        limit = datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise GraphError(400, "ErrorInvalidUrlQueryFilter", f"'{text}' is not a date and time.") from None
    compare: dict[str, Callable[[float], bool]] = {
        "ge": lambda time: time >= limit,
        "gt": lambda time: time > limit,
        "le": lambda time: time <= limit,
        "lt": lambda time: time < limit,
    }
    attribute = "created_at" if name == "createdDateTime" else "visible_at"
    return lambda message: compare[operator](int(getattr(message, attribute)))


def _unquoted(text: str) -> str:
    return text.replace("''", "'")
