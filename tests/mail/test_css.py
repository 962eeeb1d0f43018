"""Style attributes: every spelling of style that hides, loads or runs is removed, and ordinary style stays."""

from __future__ import annotations

import pytest

from m365_mcp.mail.html.css import ALLOWED_PROPERTIES, sanitize_style
from m365_mcp.mail.html.removals import Removal


@pytest.mark.parametrize(
    "style",
    [
        "display:none",
        "display:NONE",
        "DISPLAY:None",
        "display:none !important",
        "display:none!IMPORTANT",
        "display:\tnone",
        "display:/* a */none",
        "display:none/* a */",
        "/* a */display:none",
        "display/* a */:none",
    ],
)
def test_text_cannot_be_hidden_by_display(style: str) -> None:
    """`display: none` is removed and counted, with any case, comments and priority."""
    assert sanitize_style(style) == ("", [Removal.STYLE])


@pytest.mark.parametrize("style", ["display:n\\6fne", "display:\\none", "d\\69splay:none", "display:url(x)"])
def test_escape_counts_as_active_style(style: str) -> None:
    """A backslash can spell any word, so a declaration with one is removed and counts as active."""
    assert sanitize_style(style) == ("", [Removal.ACTIVE_STYLE])


@pytest.mark.parametrize(
    ("style", "allowed"),
    [
        ("color:red", "color:red"),
        (" Color :  Red ", "color:Red"),
        ("color:red;font-size:12px", "color:red;font-size:12px"),
        (";;color:red; ;", "color:red"),
        ("color:/* a;b */red", "color:red"),
        ("color:/* a\n b */red", "color:red"),
        ("background:rgb(1) rgba(1) hsl(1) hsla(1)", "background:rgb(1) rgba(1) hsl(1) hsla(1)"),
        ("color:rgb(1, 2, 3);background:RGBA(1,2,3,.5)", "color:rgb(1, 2, 3);background:RGBA(1,2,3,.5)"),
        ("color:hsl(1,2%,3%);border-top-color:hsla(1,2%,3%,1)", "color:hsl(1,2%,3%);border-top-color:hsla(1,2%,3%,1)"),
        ("font-family:'Segoe UI', \"Arial\"", "font-family:'Segoe UI', \"Arial\""),
        ("width:50%!important;margin:-1px +2px", "width:50%!important;margin:-1px +2px"),
        ("display:block", "display:block"),
        ("border-left:1px solid #ccc;border-left-width:2px", "border-left:1px solid #ccc;border-left-width:2px"),
        ("margin:0\n auto", "margin:0 auto"),
    ],
)
def test_ordinary_style_stays(style: str, allowed: str) -> None:
    """Fonts, colours, sizes and boxes stay, with only their white space and comments tidied."""
    assert sanitize_style(style) == (allowed, [])


@pytest.mark.parametrize(
    ("style", "removal"),
    [
        ("position:fixed", Removal.STYLE),
        ("color:rotate(1)", Removal.STYLE),
        ("color:'red", Removal.STYLE),
        ('color:"red', Removal.STYLE),
        ("color:red/* open", Removal.STYLE),
        ("color:a{b}", Removal.STYLE),
        ("color", Removal.STYLE),
        ("color:", Removal.STYLE),
        ("background:url(x)", Removal.ACTIVE_STYLE),
        ("background:URL(x)", Removal.ACTIVE_STYLE),
        ("width:expression(x)", Removal.ACTIVE_STYLE),
        ("background:image-set(x)", Removal.ACTIVE_STYLE),
        ("background:element(x)", Removal.ACTIVE_STYLE),
        ("background:cross-fade(x)", Removal.ACTIVE_STYLE),
        ("width:attr(x)", Removal.ACTIVE_STYLE),
        ("background:src(x)", Removal.ACTIVE_STYLE),
        ("behavior:x", Removal.ACTIVE_STYLE),
        ("-moz-binding:x", Removal.ACTIVE_STYLE),
        ("@import x", Removal.ACTIVE_STYLE),
        ("x:javascript:y", Removal.ACTIVE_STYLE),
        ("color:data:x", Removal.ACTIVE_STYLE),
        ("data :x:y", Removal.ACTIVE_STYLE),
    ],
)
def test_active_style_is_counted_apart_from_other_style(style: str, removal: Removal) -> None:
    """Every declaration that is not allowed is removed; the count tells active ones from others."""
    assert sanitize_style(style) == ("", [removal])


def test_each_declaration_is_checked_alone() -> None:
    """One bad declaration removes only itself, and each is counted."""
    allowed, removed = sanitize_style("color:red;position:fixed;background:url(a;b);font:12px A")

    assert allowed == "color:red;font:12px A"
    assert removed == [Removal.STYLE, Removal.ACTIVE_STYLE, Removal.STYLE]


# What a mail may say about fonts, colours, sizes, alignment, tables and lists; written out, so that no word is lost.
ALLOWED = """
margin margin-top margin-right margin-bottom margin-left padding padding-top padding-right padding-bottom padding-left
border border-top border-right border-bottom border-left border-color border-style border-width border-top-color
border-top-style border-top-width border-right-color border-right-style border-right-width border-bottom-color
border-bottom-style border-bottom-width border-left-color border-left-style border-left-width background
background-color border-collapse border-radius border-spacing caption-side clear color direction display empty-cells
float font font-family font-size font-style font-variant font-weight height letter-spacing line-height list-style
list-style-position list-style-type max-height max-width min-height min-width overflow-wrap table-layout text-align
text-decoration text-decoration-color text-decoration-line text-decoration-style text-indent text-transform
vertical-align white-space width word-break word-spacing word-wrap
"""


def test_exactly_these_properties_are_allowed() -> None:
    """The list is complete and has nothing else in it."""
    assert frozenset(ALLOWED.split()) == ALLOWED_PROPERTIES


@pytest.mark.parametrize("name", ALLOWED.split())
def test_allowed_property_is_kept(name: str) -> None:
    """Each of them is kept as it was written."""
    assert sanitize_style(f"{name}:inherit") == (f"{name}:inherit", [])
