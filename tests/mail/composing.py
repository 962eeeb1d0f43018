"""A request for a plain mail, to change in tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from m365_mcp.errors import InvalidArgument, M365Error
from m365_mcp.mail import MailRules, Message, MessageRequest, compose_message


def build(rules: MailRules | None = None, sign_in_name: Any = "", **changes: Any) -> Message:
    """Return the message of a plain request with `changes`."""
    arguments: dict[str, Any] = {"to": ["grace@contoso.example"], "subject": "Hello", "body": "<p>Hi</p>"}
    return compose_message(MessageRequest(**{**arguments, **changes}), rules or MailRules(), sign_in_name)


def build_html(html: str) -> tuple[str, tuple[str, ...]]:
    """Return what becomes of `html`, and what is said about it."""
    message = build(body=html)
    return message.body, message.warnings


@contextmanager
def refused(kind: type[M365Error], match: str | None = None) -> Iterator[pytest.ExceptionInfo[M365Error]]:
    """Expect an error as `pytest.raises` does, and check its advice."""
    with pytest.raises(kind, match=match) as caught:
        yield caught
    sentence_of(caught.value)


def sentence_of(error: M365Error, where: str = "") -> str:
    """Return the sentence of an error, which begins with `where`; its advice is its own, and both are complete."""
    assert error.sentence.startswith(where)
    assert error.sentence.endswith(".")
    assert error.advice.endswith(".")
    assert error.advice != InvalidArgument.advice
    return error.sentence
