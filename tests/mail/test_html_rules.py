"""The elements, attributes and addresses that are allowed in a mail's HTML."""

from __future__ import annotations

import pytest

from m365_mcp.errors import BodyTooComplex
from m365_mcp.mail.html import rules
from m365_mcp.mail.html.elements import BLOCK_ELEMENTS, FORMATTING, TABLE_ELEMENTS
from m365_mcp.mail.html.removals import Removal
from m365_mcp.mail.html.rules import AttributeRules, opens_in_a_mail, plain_address, plain_host, removal_of, scheme_of


def kept(element: str, name: str, value: str) -> tuple[str | None, list[Removal]]:
    text, removed = AttributeRules().sanitize(element, name, value)
    return text, list(removed)


@pytest.mark.parametrize(
    ("names", "removal"),
    [
        ("script", Removal.SCRIPT),
        ("style link", Removal.STYLE_SHEET),
        ("button input isindex keygen select textarea", Removal.FORM),
        ("applet embed fencedframe frame iframe object portal", Removal.FRAME),
        ("audio bgsound video", Removal.MEDIA),
        ("svg math", Removal.DRAWING),
        ("form title details o:p st1:place", None),
        ("my-card blah", Removal.OTHER),
    ],
)
def test_k14_removed_element_has_a_reason(names: str, removal: Removal | None) -> None:
    """What loads, runs or is filled in is named; an element of which only the content matters is not."""
    assert {removal_of(name) for name in names.split()} == {removal}


ATTRIBUTES = {
    "a": "href name",
    "blockquote": "cite type",
    "br": "clear",
    "col": "span",
    "colgroup": "span",
    "font": "color face size",
    "hr": "color noshade size",
    "img": "alt border hspace src vspace",
    "li": "type value",
    "ol": "reversed start type",
    "table": "border bordercolor cellpadding cellspacing frame rules summary",
    "td": "abbr bordercolor colspan headers nowrap rowspan scope",
    "th": "abbr bordercolor colspan headers nowrap rowspan scope",
    "ul": "type",
    "*": "align aria-label bgcolor data-look dir height id lang role style title valign width",
}


def test_attributes_are_those_that_format_a_mail() -> None:
    """Each element has its own, and some are allowed everywhere."""
    assert {name: " ".join(sorted(of)) for name, of in rules.ALLOWED_ATTRIBUTES.items()} == ATTRIBUTES
    assert len(rules.ALLOWED_ELEMENTS) == len(FORMATTING | BLOCK_ELEMENTS | TABLE_ELEMENTS) + 3
    assert {"br", "img", "wbr", "a", "div", "table"} <= rules.ALLOWED_ELEMENTS
    assert {"href", "src", "cite"} == rules.ADDRESS_ATTRIBUTES
    assert {"http", "https", "mailto", "tel", "cid", "mid"} == rules.URL_SCHEMES


@pytest.mark.parametrize(
    ("element", "name", "value", "text", "removed"),
    [
        ("p", "title", "a", "a", []),
        ("td", "colspan", "2", "2", []),
        ("p", "colspan", "2", None, []),
        ("p", "onclick", "a()", None, [Removal.EVENT_HANDLER]),
        ("p", "background", "a.png", None, [Removal.BACKGROUND_IMAGE]),
        ("p", "background", " ", None, []),
        ("p", "class", "a", None, []),
        ("p", "role", " Presentation ", " Presentation ", []),
        ("p", "role", "article", "article", []),
        ("p", "role", "directory", "directory", []),
        ("p", "role", "document", "document", []),
        ("p", "role", "paragraph", "paragraph", []),
        ("p", "role", "time", "time", []),
        ("p", "role", "button", None, []),
        ("p", "style", "color:red", "color:red", []),
        ("p", "style", "position:fixed", None, []),
        ("p", "style", "behavior:url(a)", None, [Removal.ACTIVE_STYLE]),
        ("div", "style", "overflow:hidden", "display:flow-root", []),
        ("article", "style", "overflow:hidden;color:red", "color:red;display:flow-root", []),
        ("ol", "style", "overflow:auto", "display:flow-root", []),
        ("p", "style", "overflow:hidden", None, []),
        ("img", "src", " CID:a@b\n", "CID:a@b", []),
        ("img", "src", "https://a.example/b", None, [Removal.REMOTE_IMAGE]),
        ("img", "src", "\x00 ", None, []),
        ("blockquote", "cite", "https://a.example/b", "https://a.example/b", []),
        ("blockquote", "cite", "http://a.example", "http://a.example", []),
        ("blockquote", "cite", "mid:a@b", "mid:a@b", []),
        ("blockquote", "cite", "https://", None, []),
        ("blockquote", "cite", "javascript:a", None, []),
        ("a", "href", "#a", "#a", []),
        ("a", "href", "ht\ntps://a.example", "https://a.example", []),
        ("a", "href", "javascript:a()", None, [Removal.LINK]),
        ("a", "href", "/a", None, [Removal.LINK]),
        ("a", "href", "", None, []),
        ("a", "href", "http://", None, [Removal.LINK]),
        ("a", "href", "tel://[@a", None, [Removal.LINK]),
        ("a", "href", "mailto://a\u2100b", None, [Removal.LINK]),
    ],
)
def test_attribute_is_kept_changed_or_removed(
    element: str, name: str, value: str, text: str | None, removed: list[Removal]
) -> None:
    """What loads, runs or leads nowhere is removed, and only that is reported."""
    assert kept(element, name, value) == (text, removed)


@pytest.mark.parametrize(
    ("address", "opens"),
    [
        ("https://a.example", True),
        ("HTTP://A.example?b", True),
        ("https://a.example:8080/b#c", True),
        ("https://ada@a.example/", True),
        ("https://bücher.example/", True),
        ("mailto:a@b.example", True),
        ("tel:+1", True),
        ("https:///a", False),
        ("https://a b.example/", False),
        ("https://a.example:99999", False),
        ("https://a.example:0", True),
        ("https://a.example:x/", False),
        ("https://[::1", False),
        ("https://[::1]/", True),
        ("https:a.example", False),
        ("ftp://a.example", False),
        ("cid:a", False),
        ("a.example", False),
    ],
)
def test_link_opens_only_if_it_is_complete(address: str, opens: bool) -> None:
    """Web addresses need a host, and other schemes than those of people are not opened."""
    assert opens_in_a_mail(address) is opens


def test_address_is_read_as_a_browser_reads_it() -> None:
    """Controls around it and line breaks in it do not count, and its scheme has no case."""
    assert plain_address("\x00 a\tb\r\nc d\x1f ") == "abc d"
    assert [scheme_of(one) for one in ("A1+.-:b", "1a:b", "ab", "a b:c")] == ["a1+.-", "", "", ""]
    assert [plain_host(one) for one in ("https://A.b-1?x", "http://a#b", "https://a:1", "x https://a")] == [
        "A.b-1",
        "a",
        "",
        "",
    ]


def test_style_is_counted_once() -> None:
    """8,000 different declarations are sanitised, and a converted one counts as ten more."""
    one = AttributeRules()
    for _ in range(2):
        one.sanitize("p", "style", "color:red;" * 900 + "a:b")
    for number in range(70):
        one.sanitize("p", "style", f"a:{number};" + "b:c;" * 98 + "d:e")
    one.sanitize("p", "style", "color:rgb(1 2 3)" + ";a:b" * 88)

    with pytest.raises(BodyTooComplex, match="more than 8,000 different style declarations"):
        one.sanitize("p", "style", "c:d")
    assert one.sanitize_again("p", "style", "e:f;color:red") == "color:red"
    assert one.sanitize_again("p", "data-look", "x") == "x"
    assert one.sanitize_again("p", "title", "x") == "x"
    assert one.sanitize_again("p", "class", "x") is None
    assert AttributeRules(one).sanitize("p", "style", "color:red;" * 900 + "a:b")[0] is not None


def test_longest_style_is_sanitised() -> None:
    """10,000 characters are, and one more is not."""
    assert kept("p", "style", "color:red;" + " " * 9_990) == ("color:red", [])
    with pytest.raises(BodyTooComplex, match="more than 10,000 characters in one style attribute"):
        kept("p", "style", "color:red;" + " " * 9_991)


@pytest.mark.parametrize(
    ("attributes", "traits", "noticed"),
    [
        ({}, "", set()),
        ({"hidden": ""}, "d", set()),
        ({"background": "a.png"}, "b", set()),
        ({"background": ""}, "", set()),
        ({"style": "visibility:hidden;zoom:2", "hidden": ""}, "vd", {"zoom"}),
    ],
)
def test_look_of_an_element_is_that_of_its_style_and_attributes(
    attributes: dict[str, str], traits: str, noticed: set[str]
) -> None:
    """`hidden` and `background` count as a style does."""
    assert AttributeRules().look_of(attributes) == (traits, frozenset(noticed))
