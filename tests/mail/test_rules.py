"""The operator's choices about mail when nothing is chosen, and the built-in lists of types."""

from __future__ import annotations

import re

import pytest

from m365_mcp.mail.rules import (
    DEFAULT_BLOCKED,
    DISTRUSTED,
    MAX_ATTACHMENTS,
    MAX_INLINE_ATTACHMENT_BYTES,
    MAX_NAME,
    MAX_RECIPIENTS,
    MAX_REQUEST_BYTES,
    MAX_SUBJECT,
    MailRules,
)


def test_nothing_is_allowed_that_was_not_chosen() -> None:
    """Every domain, Exchange's and Graph's limits, no blind copies, no other sender, Outlook's blocked types."""
    rules = MailRules()

    assert (rules.allowed_domains, rules.max_recipients) == (None, 500)
    assert (rules.allow_bcc, rules.allow_from) == (False, False)
    assert (MAX_RECIPIENTS, MAX_SUBJECT, MAX_ATTACHMENTS, MAX_NAME) == (500, 255, 250, 256)
    assert (MAX_REQUEST_BYTES, MAX_INLINE_ATTACHMENT_BYTES) == (4_000_000, 3_000_000)
    assert (rules.blocked_extensions, rules.max_inline_attachment_bytes) == (DEFAULT_BLOCKED, 3_000_000)


@pytest.mark.parametrize(
    ("types", "number", "some"),
    [
        (DEFAULT_BLOCKED, 143, "ade cer cdxml der exe its jar js mht mhtml prf prg scf scr vhdx vsmacros xnk"),
        (DISTRUSTED, 26, "7z html lzh xlsb xlsm xltm"),
    ],
    ids=["blocked", "distrusted"],
)
def test_built_in_types_are_extensions_in_lower_case(types: frozenset[str], number: int, some: str) -> None:
    """None is lost and none is misspelt between the lines of the lists."""
    assert len(types) == number
    assert set(some.split()) <= types
    assert all(re.fullmatch(r"[a-z0-9-]{1,22}", extension) for extension in types)
