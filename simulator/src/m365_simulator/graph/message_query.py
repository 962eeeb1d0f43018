"""The query options of a request for messages: `$top`, `$skip`, `$select`, `$orderby`, `$filter` and `$expand`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from m365_simulator.graph.message_filter import Filter, read_filter
from m365_simulator.graph.message_view import Shown, known_properties
from m365_simulator.graph.problems import GraphError
from m365_simulator.mail import Message

DEFAULT_TOP, LARGEST_TOP = 10, 1000
_OPTIONS = ("$top", "$skip", "$select", "$orderby", "$filter", "$expand")
_ID = r"id eq '[^']+'"
_EXPAND = re.compile(rf"singleValueExtendedProperties\(\$filter=(?P<ids>{_ID}(?: or {_ID})*)\)", re.IGNORECASE)
_ORDER = re.compile(r"(?P<name>sentDateTime|receivedDateTime|createdDateTime)(?: (?P<direction>asc|desc))?")


@dataclass(frozen=True, slots=True)
class Order:
    """By which time the messages are sorted; newest first unless asked otherwise."""

    name: str = "receivedDateTime"
    ascending: bool = False

    def sort(self, messages: list[Message]) -> list[Message]:
        """Return the messages in this order; of equal ones the later added is the newer."""
        by_time = sorted(messages, key=lambda one: self._time(one))
        return by_time if self.ascending else by_time[::-1]

    def _time(self, message: Message) -> float:
        if self.name == "createdDateTime" or message.is_draft:
            return message.created_at
        return message.visible_at


@dataclass(frozen=True, slots=True)
class Query:
    """What a request for messages asks."""

    top: int
    skip: int
    shown: Shown
    order: Order
    filter: Filter


def read_query(options: Mapping[str, str]) -> Query:
    """Return what is asked; GraphError 400 for what Graph would not take, and for what is not modelled."""
    for name in options:
        if name.startswith("$") and name not in _OPTIONS:
            raise GraphError(400, "ErrorInvalidUrlQuery", f"The query option '{name}' is not modelled.")
    top, skip = _number(options.get("$top"), DEFAULT_TOP), _number(options.get("$skip"), 0)
    if not 1 <= top <= LARGEST_TOP:
        raise GraphError(400, "ErrorInvalidUrlQuery", f"$top must be between 1 and {LARGEST_TOP}.")
    wanted = read_filter(options.get("$filter"))
    return Query(top, skip, read_shown(options), _read_order(options.get("$orderby"), wanted), wanted)


def read_shown(options: Mapping[str, str]) -> Shown:
    """Return what `$select` and `$expand` ask for."""
    names = tuple(name.strip() for name in options["$select"].split(",")) if options.get("$select") else None
    for name in names or ():
        if name not in known_properties():
            raise GraphError(
                400,
                "BadRequest",
                f"Parsing OData Select and Expand failed: Could not find a property named '{name}' on type "
                "'Microsoft.OutlookServices.Message'.",
            )
    return Shown(names, _read_expand(options.get("$expand")))


def _read_expand(text: str | None) -> tuple[str, ...]:
    if text is None:
        return ()
    match = _EXPAND.fullmatch(text)
    if match is None:
        raise GraphError(
            400, "ErrorInvalidUrlQuery", "$expand needs singleValueExtendedProperties($filter=id eq '...')."
        )
    return tuple(name.casefold() for name in re.findall(r"'([^']+)'", match["ids"]))


def _read_order(text: str | None, wanted: Filter) -> Order:
    if text is None:
        return Order()
    match = _ORDER.fullmatch(text)
    if match is None:
        raise GraphError(400, "ErrorInvalidUrlQuery", "The simulator sorts by sentDateTime, receivedDateTime only.")
    if wanted.properties and wanted.properties[0] != match["name"]:
        # Page "List messages", "Using filter and orderby in the same query": sorted properties come first in $filter.
        raise GraphError(400, "InefficientFilter", "The restriction or sort order is too complex for this operation.")
    return Order(match["name"], match["direction"] != "desc")


def _number(text: str | None, otherwise: int) -> int:
    if text is None:
        return otherwise
    if not text.isdecimal():
        raise GraphError(400, "ErrorInvalidUrlQuery", "The query option is not a whole number.")
    return int(text)
