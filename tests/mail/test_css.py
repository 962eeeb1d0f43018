"""Style attributes: every spelling of style that hides, loads or runs is removed, and ordinary style stays."""

from __future__ import annotations

import pytest

from m365_mcp.mail.html.css import Style, sanitize_style
from m365_mcp.mail.html.hiding import NOT_DISPLAYED
from m365_mcp.mail.html.properties import ALLOWED_PROPERTIES
from m365_mcp.mail.html.removals import Removal
from tests.mail.composing import build_html


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
def test_k3_text_cannot_be_hidden_by_display(style: str) -> None:
    """K3: `display: none` is removed and remembered, with any case, comments and priority."""
    found = sanitize_style(style)

    assert (found.text, found.traits) == ("", NOT_DISPLAYED)


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
        ("width:50%!important;margin:-1px +2px;width:9px", "margin:-1px +2px;width:9px;width:50%"),
        ("display:block", "display:block"),
        ("border-left:1px solid #ccc;border-left-width:2px", "border-left:1px solid #ccc;border-left-width:2px"),
        ("margin:0\n auto", "margin:0 auto"),
    ],
)
def test_ordinary_style_stays(style: str, allowed: str) -> None:
    """Fonts, colours, sizes and boxes stay, with only their white space and comments tidied."""
    assert sanitize_style(style) == Style(allowed)


@pytest.mark.parametrize(
    ("style", "gone"),
    [
        ("position:fixed", "position"),
        ("color:rotate(1)", "color"),
        ("color:'red", "color"),
        ('color:"red', "color"),
        ("color:red/* open", "color"),
        ("color:a{b}", "color"),
        ("color", "color"),
        ("color:", "color"),
        ("width:rgb(1)", "width"),
        ("grid-template-columns:repeat(100, 1fr)", "grid-template-columns"),
    ],
)
def test_k14_removal_that_a_reader_sees_is_named(style: str, gone: str) -> None:
    """K14: a removed property that changes the look is named."""
    found = sanitize_style(style)

    assert (found.text, found.removed) == ("", ())
    assert found.noticed == {gone}


@pytest.mark.parametrize(
    "style",
    [
        "mso-line-height-rule:exactly",
        "-webkit-text-size-adjust:100%",
        "box-shadow:0 0 1px red",
        "transition:all 1s",
        "cursor:pointer",
        "x:y",
    ],
)
def test_k14_harmless_removal_is_silent(style: str) -> None:
    """K14: a property that changes nothing a reader of a mail sees goes without a word."""
    assert sanitize_style(style) == Style("")


@pytest.mark.parametrize(
    "style",
    [
        "background:url(x)",
        "background:URL(x)",
        "width:expression(x)",
        "background:image-set(x)",
        "background:element(x)",
        "background:cross-fade(x)",
        "width:attr(x)",
        "background:src(x)",
        "behavior:x",
        "-moz-binding:x",
        "@import x",
        "x:javascript:y",
        "color:data:x",
        "data :x:y",
        "display:n\\6fne",
        "display:\\none",
        "d\\69splay:none",
        "display:url(x)",
    ],
)
def test_active_style_is_counted_apart_from_other_style(style: str) -> None:
    """Every declaration that loads or runs is counted as active, and one with a backslash, which can spell any word."""
    found = sanitize_style(style)

    assert (found.text, found.removed) == ("", (Removal.ACTIVE_STYLE,))


def test_each_declaration_is_checked_alone() -> None:
    """One bad declaration removes only itself; a semicolon in brackets or quotes separates nothing."""
    found = sanitize_style("color:red;position:fixed;background:url(a;b);font:12px A;font-family:'a;b'")

    assert found.text == "color:red;font:12px A"
    assert found.removed == (Removal.ACTIVE_STYLE,)
    assert found.noticed == {"position", "font-family"}


# What a mail may say about fonts, colours, sizes, alignment, tables and lists; written out, so that no word is lost.
ALLOWED = """
margin margin-top margin-right margin-bottom margin-left padding padding-top padding-right padding-bottom padding-left
border border-top border-right border-bottom border-left border-color border-style border-width border-top-color
border-top-style border-top-width border-right-color border-right-style border-right-width border-bottom-color
border-bottom-style border-bottom-width border-left-color border-left-style border-left-width border-top-left-radius
border-top-right-radius border-bottom-left-radius border-bottom-right-radius background box-sizing align-content
align-items align-self column-gap flex flex-basis flex-direction flex-flow flex-grow flex-shrink flex-wrap gap
grid-auto-flow grid-column grid-column-gap grid-gap grid-row-gap grid-template-columns justify-content justify-items
justify-self order place-content place-items place-self row-gap background-color border-collapse border-radius
border-spacing caption-side clear color direction display empty-cells float font font-family font-size font-style
font-variant font-weight height letter-spacing line-height list-style list-style-position list-style-type max-height
max-width min-height min-width overflow-wrap table-layout text-align text-decoration text-decoration-color
text-decoration-line text-decoration-style text-indent text-transform vertical-align white-space width word-break
word-spacing word-wrap
"""


def test_exactly_these_properties_are_allowed() -> None:
    """The list is complete and has nothing else in it."""
    assert frozenset(ALLOWED.split()) == ALLOWED_PROPERTIES


@pytest.mark.parametrize("name", ALLOWED.split())
def test_allowed_property_is_kept(name: str) -> None:
    """Each of them is kept as it was written."""
    assert sanitize_style(f"{name}:inherit") == Style(f"{name}:inherit")


@pytest.mark.parametrize(
    ("columns", "kept"),
    [
        ("repeat(2,minmax(0,1fr))", "minmax(0, 1fr) minmax(0, 1fr)"),
        ("repeat(auto-fit, minmax(200px, 1fr))", "repeat(auto-fit, 200px)"),
        ("repeat(auto-fill,minmax(min(100%,200px),1fr))", "repeat(auto-fill, 200px)"),
        ("minmax(min(10em,50%),1fr) 2fr", "minmax(50%, 1fr) 2fr"),
        ("[full] 1fr [main] repeat(2, [col] 2fr)", "1fr 2fr 2fr"),
        ("repeat(3,1fr)", "repeat(3, 1fr)"),
    ],
)
def test_k3_columns_with_a_function_in_a_function_stay(columns: str, kept: str) -> None:
    """K3: the columns stay, and so does every declaration after them."""
    html = f'<div style="display:grid;grid-template-columns:{columns};background:#333;color:#fff">x</div>'

    clean, warnings = build_html(html)

    assert clean == f'<div style="display:grid;grid-template-columns:{kept};background:#333;color:#fff">x</div>'
    assert warnings == ()


@pytest.mark.parametrize("width", ["min(100%,calc(50px + 2px))", "max(1px,min(2px,3px))", "calc(100% - (2 * 10px))"])
def test_k3_size_with_a_function_in_a_function_takes_no_other_declaration(width: str) -> None:
    """K3: such a size is removed and said; no bracket stays open in the style."""
    clean, (warning,) = build_html(f'<p style="width:{width};background:#333;color:#fff">x</p>')

    assert clean == '<p style="background:#333;color:#fff">x</p>'
    assert warning.startswith("width was removed")


@pytest.mark.parametrize(
    ("style", "text", "noticed", "removed", "traits", "clears_floats"),
    [
        ("color:DATA:x", "", [], 1, "c", False),
        ("background:IMAGE-SET(x) #eee", "background:#eeeeee", [], 1, "b", False),
        ("background:Image(x) #eee", "background:#eeeeee", [], 1, "b", False),
        ("background:rgb(1,2,3) fixed imagery", "background:rgb(1,2,3) fixed imagery", [], 0, "", False),
        ("background:Url(a.png) #333", "background:#333333", [], 1, "b", False),
        ("color:red/* open", "", ["color"], 0, "", False),
        ("background-image:none", "", [], 0, "", False),
        ("background:NONE fixed(1)", "", ["background"], 0, "b", False),
        ("position:relative", "", [], 0, "", False),
        ("position:relative;top:0;right:auto", "", [], 0, "", False),
        ("position:relative;right:2px", "", ["position"], 0, "m", False),
        ("position:relative;bottom:2px", "", ["position"], 0, "m", False),
        ("position:relative;top:2px", "", ["position"], 0, "m", False),
        ("position:relative;left:2px", "", ["position"], 0, "m", False),
        ("position:RELATIVE;left:2px", "", ["position"], 0, "m", False),
        ("color:VAR(--a, Red )", "color:Red", [], 0, "", False),
        ("width:var(--a)", "", ["width"], 0, "", False),
        ("width:var(--a,calc(1px + 2px))", "width:calc(1px + 2px)", [], 0, "", False),
        ("float:var(--a,left)", "float:left", [], 0, "", False),
        ("-webkit-text-fill-color:rgb(1 2 3 / 5%)", "", [], 0, "h", False),
        ("-webkit-text-fill-color:rgb(1 2 3)", "color:#010203", [], 0, "", False),
        ("color:oklch(50% 0.1 20)", "color:#944a4b", [], 0, "", False),
        ("color:foo(1)", "", ["color"], 0, "c", False),
        ("font-size:calc(0px)", "font-size:0", [], 0, "", False),
        ("font-size:clamp(1px, 2vw, 3PX)", "font-size:3PX", [], 0, "", False),
        ("font-size:MIN(2vw, 1.5em)", "font-size:1.5em", [], 0, "", False),
        ("font-size:max(1px, 2rem )", "font-size:2rem", [], 0, "", False),
        ("font-size:calc(1px + 2px)", "", ["font-size"], 0, "", False),
        ("font-size:min(1vw)", "", ["font-size"], 0, "", False),
        ("overflow:hidden", "", [], 0, "", True),
        ("overflow:auto;float:left", "float:left", [], 0, "", False),
        ("overflow:scroll;display:block", "display:block", [], 0, "", False),
        ("overflow:visible", "", [], 0, "", False),
        ("grid-template-columns:repeat(100,1fr)", "", ["grid-template-columns"], 0, "", False),
        ("grid-template-columns:repeat(99,1fr)", "grid-template-columns:repeat(99,1fr)", [], 0, "", False),
        ("grid-template-columns:rat(100, 1fr)", "", ["grid-template-columns"], 0, "", False),
        ("background-image:linear-gradient(#333,#111)", "background-color:#333333", ["gradient"], 0, "b", False),
        (
            "background:linear-gradient(red,blue);-webkit-background-clip:text;-webkit-text-fill-color:transparent;color:blue",
            "color:#ff0000",
            ["gradient"],
            0,
            "",
            False,
        ),
        (
            "background-image:linear-gradient(red,blue);background-clip:text;color:transparent",
            "color:#ff0000",
            ["gradient"],
            0,
            "",
            False,
        ),
        ("background-clip:text;color:transparent", "color:transparent", [], 0, "", False),
        ("background:linear-gradient(red,blue);background-clip:text", "color:#ff0000", ["gradient"], 0, "", False),
        (
            "background-image:linear-gradient(red,blue);background-clip:text;color:green",
            "color:green",
            [],
            0,
            "",
            False,
        ),
        (
            "background-color:red;background-image:linear-gradient(blue,green)",
            "background-color:red",
            ["gradient"],
            0,
            "b",
            False,
        ),
        ("background:red;background-image:linear-gradient(blue,green)", "background:red", ["gradient"], 0, "b", False),
        ("background-image:linear-gradient(blue,green)", "background-color:#0000ff", ["gradient"], 0, "b", False),
        ("display:none", "", [], 0, "d", False),
        ("display:grid;display:none", "display:grid", [], 0, "d", False),
        ("display:contents(1)", "", ["display"], 0, "", False),
        ("width:calc(1px + (2px))", "", ["width"], 0, "", False),
        ("a:b;c", "", [], 0, "", False),
        ("color:'a;b';width:1px", "width:1px", ["color"], 0, "c", False),
        ("width:1px;color:(a;b", "width:1px", ["color"], 0, "c", False),
        ("color:red ! important;color:blue", "color:blue;color:red", [], 0, "", False),
        ("transform:none", "", [], 0, "", False),
        ("transform:rotate(1deg)", "", ["transform"], 0, "", False),
        ("behavior:url(x)", "", [], 1, "", False),
        ("unknown:1", "", [], 0, "", False),
        ('font-family:a"b', "", ["font-family"], 0, "", False),
    ],
)
def test_k3_rest_of_a_style_is_converted_or_noticed(
    style: str, text: str, noticed: list[str], removed: int, traits: str, clears_floats: bool
) -> None:
    """What mail programs understand of a declaration stays; what the reader misses, or could load, is known."""
    assert sanitize_style(style) == Style(
        text, (Removal.ACTIVE_STYLE,) * removed, frozenset(noticed), traits, clears_floats
    )


@pytest.mark.parametrize(("start", "end"), [("color:var(--a,", ")"), ("background:x(", ") red")])
def test_k3_long_value_is_not_converted(start: str, end: str) -> None:
    """A value of 999 characters is converted, and one of 1,000 is removed, because converting takes time."""
    room = 999 - len(start.partition(":")[2]) - len(end)

    assert sanitize_style(start + "a" * room + end).text != ""
    assert sanitize_style(start + "a" * (room + 1) + end).text == ""


@pytest.mark.parametrize(
    ("style", "converted"),
    [
        ("color:red;zoom:2", 0),
        ("color:rgb(1,2,3)", 0),
        ("color:rgb(1 2 3);background:hsl(1 2% 3%)", 2),
        ("color:foo", 0),
        ("color:'foo", 1),
        ("color:foo(1);background-color:bar(1)", 2),
        ("background-image:none", 1),
        ("transform:rotate(1deg)", 1),
        ("width:calc(1px)", 0),
    ],
)
def test_h1_costly_declarations_are_counted(style: str, converted: int) -> None:
    """What has to be converted, and a colour that takes long to read, counts against the limit on styles."""
    assert sanitize_style(style).converted == converted


@pytest.mark.parametrize(
    ("style", "text", "traits"),
    [
        ("position:fixed;color:'foo", "", "mc"),
        ("color:rgb(1 2 3 / 5%)", "color:rgb(1 2 3 / 5%)", ""),
        ("color:color(srgb 1 0 0 / 5%)", "color:rgba(255,0,0,0.05)", ""),
        ("font-family:'a;b';color:red", "color:red", ""),
        ("color:rgb(1,2;3);width:1px", "width:1px", "c"),
        ("color:rgb(1,2,3);width:calc(1px;2px)", "color:rgb(1,2,3)", ""),
        ("font-family:'a\";b';color:red", "color:red", ""),
        ("width:((1px);color:red;height:1px", "color:red;height:1px", ""),
    ],
)
def test_k3_colour_stays_in_a_form_that_mail_programs_know(style: str, text: str, traits: str) -> None:
    """A faint one too; and a quote or a bracket hides no declaration."""
    found = sanitize_style(style)

    assert (found.text, found.traits) == (text, traits)
