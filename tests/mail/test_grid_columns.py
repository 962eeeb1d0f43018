"""The columns of a grid, without a function in a function."""

from __future__ import annotations

import pytest

from m365_mcp.mail.html.columns import plain_columns


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ("1fr 2fr", "1fr 2fr"),
        ("1fr /* a */ 2fr", "1fr 2fr"),
        ("[a] 1fr [b c] 2fr", "1fr 2fr"),
        ("repeat(2, 1fr)", "1fr 1fr"),
        ("REPEAT(2, 1fr 2px)", "1fr 2px 1fr 2px"),
        ("repeat(25, 1fr)", None),
        ("repeat(13, 1fr 2fr)", None),
        ("repeat(0, 1fr)", None),
        ("repeat(-1, 1fr)", None),
        ("repeat(1.5, 1fr)", None),
        ("repeat(2 1fr)", None),
        ("repeat(2,)", None),
        ("repeat()", None),
        ("repeat(2, [a] 1fr [b])", "1fr 1fr"),
        ("repeat(auto-fit, minmax(100px, 1fr))", "repeat(auto-fit, 100px)"),
        ("repeat(auto-fill, 200px)", "repeat(auto-fill, 200px)"),
        ("repeat(auto-fit, minmax(min(100%, 200px), 1fr))", "repeat(auto-fit, 200px)"),
        ("repeat(auto-fit, minmax(auto, 150px))", "repeat(auto-fit, 150px)"),
        ("repeat(auto-fit, minmax(min-content, 1fr))", "repeat(auto-fit, 1fr)"),
        ("repeat(auto-fit, minmax(10%, 1fr) 5px)", "repeat(auto-fit, 10% 5px)"),
        ("repeat(auto-fit, minmax(0, 1fr))", "repeat(auto-fit, 0)"),
        ("repeat(auto-fit, minmax( [a] 10px, 1fr))", "repeat(auto-fit, 10px)"),
        ("minmax(min(100%, 200px), 1fr)", "minmax(200px, 1fr)"),
        ("minmax(0, 1fr) fit-content(3em)", "minmax(0, 1fr) fit-content(3em)"),
        ("repeat(2, minmax(0, 1fr))", "minmax(0, 1fr) minmax(0, 1fr)"),
        ("repeat(2, 1fr) 3px repeat(1, 4px)", "1fr 1fr 3px 4px"),
        ("minmax(calc(1px + max(2px, 3em)), 1fr)", "minmax(3em, 1fr)"),
        ("none", "none"),
        ("", None),
        ("[a]", None),
        ("repeat(auto-fit, minmax(max(min(1px, 2px), a), 1fr))", "repeat(auto-fit, 2px)"),
        ("repeat(0, 1fr) 2px", None),
        ("repeat(24, 1fr)", " ".join(["1fr"] * 24)),
        ("repeat(12, 1fr 2fr)", " ".join(["1fr 2fr"] * 12)),
        ("minmax(max(a, b), 1fr)", "minmax(auto, 1fr)"),
        ("repeat(auto-fit, minmax(a, b)) 1px", "repeat(auto-fit, auto) 1px"),
        ("1fr " + "(" * 900, "1fr auto"),
        ("repeat(auto-fit, " + "{" * 900, "repeat(auto-fit, auto)"),
        ("minmax(0, " + "(" * 900, "minmax(0, auto)"),
    ],
    ids=lambda value: value[:60] if value else None,
)
def test_k4_columns_are_written_plainly(value: str, plain: str | None) -> None:
    """Up to 24 repeated columns are written out, automatic ones get one width, names go, and no width is `auto`."""
    assert plain_columns(value) == plain
