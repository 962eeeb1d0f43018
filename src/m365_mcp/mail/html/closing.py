"""Closes open tags in order, so that every parser builds the same tree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from m365_mcp.mail.html import limits
from m365_mcp.mail.html.rules import FORMATTING, VOID
from m365_mcp.mail.html.tokens import End, Start, Text, Token
from m365_mcp.mail.text import words

# Elements with an optional end tag: a browser closes them itself and never nests two of a kind.
OPTIONAL_END_TAG = words("p li dd dt tr td th thead tbody tfoot colgroup caption")


def close_tags(tokens: Iterable[Token]) -> Iterator[Token]:
    """Close all tags in order, drop end tags without a start tag, and check depth and formatting.

    Raises:
        BodyTooComplex: the tags are too deep, or formatting tags stay open too often.
    """
    stack: list[str] = []
    formatting = repeats = 0
    for token in tokens:
        if isinstance(token, Text):
            yield token
            continue
        name = token.name
        if name in VOID or name in OPTIONAL_END_TAG:
            yield token
        elif isinstance(token, Start):
            stack.append(name)
            formatting += name in FORMATTING
            if len(stack) > limits.MAX_DEPTH:
                limits.check_count(len(stack), limits.MAX_DEPTH, "HTML tags open in one another")
            yield token
        elif name in stack:
            closed = ""
            while closed != name:
                closed = stack.pop()
                formatting -= closed in FORMATTING
                yield End(closed)
        # Every tag can close a paragraph; the parser then opens the formatting tags again in the next one.
        repeats += formatting
        if repeats > limits.MAX_FORMATTING:
            limits.check_count(repeats, limits.MAX_FORMATTING, "repetitions of formatting tags that are left open")
    yield from map(End, reversed(stack))
