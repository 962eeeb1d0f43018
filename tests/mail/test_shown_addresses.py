"""The addresses of pages and mailboxes that a reader sees in the text of a link."""

from __future__ import annotations

import pytest

from m365_mcp.mail.html.shown_addresses import (
    ShownAddress,
    as_it_looks,
    belong_together,
    comparable_host,
    find_addresses,
    is_top_level,
    registrable,
    unmistakable,
)


@pytest.mark.parametrize(
    ("text", "looks"),
    [
        ("a  b\n c", "a b c"),
        ("a%2eb", "a.b"),
        ("ｗｗｗ．a", "www.a"),
        *((f"a{dot}b", "a.b") for dot in "。｡․٠۔܁܂ꓸ꘎·‧•∙⋅・･𐩐"),
        ("a\u200b\u00adb", "ab"),
        ("https: // a . example", "https://a.example"),
        ("WWW . a . example", "WWW.a.example"),
        ("http: a", "http: a"),
        ("See www . a", "See www . a"),
        ("x" * 501, "x" * 500),
    ],
)
def test_text_is_read_as_it_looks(text: str, looks: str) -> None:
    """Dots of every script, escapes, and blanks inside an address that begins like one."""
    assert as_it_looks(text) == looks


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a.example", ["a.example"]),
        ("see A.Example, now", ["a.example"]),
        ("//a.b", ["a.b"]),
        ("a.b", []),
        ("M.X+y'z-_@Host.invalid", ["m.x+y'z-_@host.invalid"]),
        ("m@a-b", []),
        ("a.pdf", []),
        ("a.PDF", []),
        ("a.zip/x", ["a.zip"]),
        ("a.md:80", ["a.md"]),
        ("a.sh?x", ["a.sh"]),
        ("a.mov.", []),
        ("www.report.pdf", ["www.report.pdf"]),
        ("www.pdf", []),
        ("ASP.NET and vb.net", []),
        ("go to this.It is", []),
        ("IBM.It", ["ibm.it"]),
        ("this.it", ["this.it"]),
        ("12.50", []),
        ("a.соrр", ["a.соrр"]),
        ("a.localhost b.lan", ["a.localhost", "b.lan"]),
        ("a.com b.com c.com d.com e.com", ["a.com", "b.com", "c.com", "d.com"]),
        (f"{'a.' * 125}com", [f"{'a.' * 125}com"]),
        (f"{'a.' * 126}com", []),
        ("-a.com", ["-a.com"]),
        ("a", []),
    ],
)
def test_addresses_are_told_from_files_and_sentences(text: str, found: list[str]) -> None:
    """A reader takes no file, no number and no missing blank for the host of a page."""
    assert [address.text for address in find_addresses(text)] == found


def test_mailbox_is_told_from_a_page() -> None:
    """What stands before the @ is the mailbox."""
    assert find_addresses("Ada@a.example") == [ShownAddress("a.example", "ada")]
    assert find_addresses("a.example") == [ShownAddress("a.example", "")]


@pytest.mark.parametrize(
    ("host", "comparable", "unlike"),
    [
        (".A.Example.", "a.example", "a.example"),
        ("xn--bcher-kva.example", "bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER。example", "bücher.example", "xn--bcher-kva.example"),
        ("xn--\u00fc.example", "xn--\u00fc.example", "xn--xn---3ra.example"),
        ("xn--999999999.example", "xn--999999999.example", "xn--999999999.example"),
    ],
)
def test_host_has_a_form_for_comparisons_and_one_for_readers(host: str, comparable: str, unlike: str) -> None:
    """Equal hosts are equal in the one, and hosts that look alike differ in the other."""
    assert comparable_host(host) == comparable
    assert unmistakable(comparable) == unlike


@pytest.mark.parametrize(
    ("shown", "target", "together"),
    [
        ("a.example", "a.example", True),
        ("www.contoso.com", "mail.contoso.com", True),
        ("contoso.com", "contoso.net", False),
        ("a.co.uk", "b.co.uk", False),
        ("x.a.co.uk", "a.co.uk", True),
        ("a.corp.example", "b.corp.example", True),
        ("10.0.0.1", "11.0.0.1", False),
        ("", "", True),
    ],
)
def test_hosts_belong_together_by_their_registrable_domain(shown: str, target: str, together: bool) -> None:
    """A public suffix and an IP address have none but themselves."""
    assert belong_together(shown, target) is together


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("a.b.contoso.com", "contoso.com"),
        ("co.uk", "co.uk"),
        ("a.b.corp.example", "corp.example"),
        ("10.0.0.1", "10.0.0.1"),
    ],
)
def test_registrable_domain_is_the_one_that_somebody_owns(host: str, domain: str) -> None:
    """It is the label before the public suffix, or the last two of a reserved name."""
    assert registrable(host) == domain


@pytest.mark.parametrize(
    "label",
    ["com", "рф", *["corp", "example", "home", "internal", "invalid", "lan", "local", "localhost", "onion", "test"]],
)
def test_top_level_is_public_or_reserved(label: str) -> None:
    """Networks of companies have names of their own."""
    assert is_top_level(label)
    assert not is_top_level(f"{label}x1")
