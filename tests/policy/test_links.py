"""The domains that a text links to."""

from __future__ import annotations

from functools import partial

import pytest

from m365_mcp.policy.links import link_domains
from tests.yardstick import idle_core_seconds


@pytest.mark.parametrize(
    ("text", "domains"),
    [
        ('<a href="https://evil.example/x">a</a>', {"evil.example"}),
        ('<a href="HTTPS://EVIL.example.:8443/x">a</a>', {"evil.example"}),
        (
            '<a href="//evil.example">a</a><img src="http://pictures.example/a.png">',
            {"evil.example", "pictures.example"},
        ),
        ('<a href="https://b\u00fccher.example">a</a>', {"xn--bcher-kva.example"}),
        ('<a href="https:&#47;&#47;evil.example">a</a>', {"evil.example"}),
        ('<a href="https:\\\\evil.example">a</a>', {"evil.example"}),
        ('<a href="mailto:a@evil.example?subject=x">a</a>', {"evil.example"}),
        ('<p style="background:url(https://evil.example/a.png)">a</p>', {"evil.example"}),
        ("<p>see https://evil.example/x and www.other.example</p>", {"evil.example", "www.other.example"}),
        ("plain text: http://evil.example", {"evil.example"}),
        ("Write to a@evil.example, or <b>c@other.example</b>.", {"evil.example", "other.example"}),
        ('<a href="mailto:?to=b@other.example">a</a>', {"other.example"}),
        ('<a href="mailto:a%40evil.example?CC=b@other.example">a</a>', {"evil.example", "other.example"}),
        ('<a href="#top">a</a><a href="cid:x">b</a> a/b', set()),
    ],
)
def test_every_kind_of_link_is_found(text: str, domains: set[str]) -> None:
    """Targets of elements, styles, and what a mail program turns into a link."""
    assert link_domains(text) == domains


@pytest.mark.full
@pytest.mark.parametrize("piece", ["a", "a:", "/", "<a ", "<!--", "www.", '<a href="x">', "mailto:", "a@", "@a"])
def test_links_are_found_in_linear_time(piece: str) -> None:
    """A body of any shape and of the largest size takes seconds and not hours."""
    few, many = (idle_core_seconds(partial(link_domains, piece * count)) for count in (20_000, 80_000))

    assert many < 4 * 3 * few + 0.05
