"""Reads an error of the server back from the text that it told a client."""

from __future__ import annotations

import re
from collections.abc import Iterator

from m365_mcp.errors import InternalError, M365Error

# What `M365Error.explain` writes.
_TEXT = re.compile(
    r"(?P<code>[a-z0-9_]+): (?P<sentence>.+?) What to do: (?P<advice>.+?)"
    r"(?: Retry after (?P<wait>\d+) seconds\.)?(?: \(reference: (?P<reference>[^()]+)\))?",
    re.DOTALL,
)


def error_of(text: str) -> M365Error | None:
    """Return the error whose explanation a text is; None where it is none of this server."""
    found = _TEXT.fullmatch(text.strip())
    kinds = {kind.code: kind for kind in _kinds(M365Error)}
    if found is None or found["code"] not in kinds:
        return None
    try:
        error = kinds[found["code"]]()
    except TypeError:  # an error that tells of something which a text does not have
        error = InternalError()
    error.sentence, error.advice = found["sentence"], found["advice"]
    error.reference = found["reference"]
    return error


def _kinds(kind: type[M365Error]) -> Iterator[type[M365Error]]:
    for each in kind.__subclasses__():
        yield from _kinds(each)
        yield each  # behind what it is the base of, so that the code of a base is the base's
