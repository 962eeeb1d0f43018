"""Style sheets: their rules are put inline, nothing is loaded, and their work is limited."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
from css_inline import CSSInliner

from m365_mcp.errors import BodyTooComplex
from m365_mcp.mail.html import inlining, limits
from m365_mcp.mail.html.sanitizing import sanitize_html
from m365_mcp.mail.html.style_sheets import read_style_sheets
from tests.mail.composing import build_html
from tests.mail.listening import listening

INLINED = {
    "class": ('.late{color:red}</style><p class="late">x</p>', '<p style="color:red">x</p>'),
    "element": ("td{padding:1px}</style><table><tr><td>x</table>", '<td style="padding:1px">x</td>'),
    "id": ("#a{color:red}</style><p id=a>x</p>", '<p id="a" style="color:red">x</p>'),
    "attribute": ("p[align=center]{color:red}</style><p align=center>x</p>", '<p align="center" style="color:red">x'),
    "descendant": (".a td>b{color:red}</style><table class=a><tr><td><b>x", '<b style="color:red">x</b>'),
    "case of names": ("P.Mso{color:red}</style><p class=Mso>x</p>", '<p style="color:red">x</p>'),
    "page without body tag": ("body{color:#222}</style><p>x</p>", '<div style="color:#222"><p>x</p></div>'),
    "html and body": (
        "html{color:#222}</style><body bgcolor=white>x",
        '<div style="color:#222"><div bgcolor="white">x',
    ),
    "link": (
        "a:link{color:red}a:hover{color:blue}</style><a href=tel:1>x</a>",
        '<a href="tel:1" style="color:red">x</a>',
    ),
    "first child": ("p:first-child{color:red}</style><p>x</p><p>y</p>", '<p style="color:red">x</p><p>y</p>'),
    "not": ("p:not(.a){color:red}</style><p class=a>x</p><p>y</p>", '<p>x</p><p style="color:red">y</p>'),
    "escaped class": (".sm\\:a{color:red}</style><p class='sm:a'>x</p>", '<p style="color:red">x</p>'),
    "comment of Word": ("<!-- .a{color:red} --></style><p class=a>x</p>", '<p style="color:red">x</p>'),
    "variable": (":root{--a:var(--b);--b:red}p{color:var(--a)}</style><p>x</p>", '<p style="color:red">x</p>'),
    "fallback": ("p{color:var(--a, rgb(1,2,3))}</style><p>x</p>", '<p style="color:rgb(1, 2, 3)">x</p>'),
    "variable in an attribute": (":root{--a:red}</style><p style='color:var(--a)'>x</p>", '<p style="color:red">x</p>'),
    "bad declaration": ("p{color:red;color:;x;;margin:0}</style><p>x</p>", '<p style="color:red;margin:0">x</p>'),
    "braces in a string": ("p{quotes:'}';color:red}</style><p>x</p>", '<p style="color:red">x</p>'),
    "clearfix": (".a:after{content:'';clear:both}</style><div class=a>x</div>", '<div style="display:flow-root">x'),
    "several sheets": ("p{color:red}</style><style>p{margin:0}</style><p>x", '<p style="color:red;margin:0">x</p>'),
}


@pytest.mark.parametrize(("html", "clean"), INLINED.values(), ids=INLINED)
def test_k3_rule_of_a_style_sheet_becomes_a_style_attribute(html: str, clean: str) -> None:
    """K3: what a style sheet says about an element stands at the element, and nothing is reported."""
    found, warnings = build_html(f"<style>{html}")

    assert clean in found
    assert warnings == ()


CASCADE = {
    "order": ("p{color:red}p{color:blue}", "", "color:blue"),
    "specificity": (".a{color:red}p{color:blue}", "", "color:red"),
    "id": ("#b{color:red}.a.a{color:blue}", "", "color:red"),
    "attribute wins": (".a{color:red}", "color:blue", "color:blue"),
    "important rule": (".a{color:red!important}", "color:blue", "color:red"),
    "important attribute": (".a{color:red!important}", "color:blue!important", "color:blue"),
    "shorthand": ("p{margin:0 0 5px}.a{margin-left:3px}", "", "margin:0 0 5px;margin-left:3px"),
}


@pytest.mark.parametrize(("css", "own", "style"), CASCADE.values(), ids=CASCADE)
def test_k3_cascade_decides(css: str, own: str, style: str) -> None:
    """K3: importance, the attribute, specificity and order decide, as CSS says."""
    clean, _ = build_html(f'<style>{css}</style><p class="a" id="b" style="{own}">x</p>')

    assert re.findall('style="([^"]*)"', clean) == [style]


MEDIA = {
    "@media (max-width: 600px)": False,
    "@media only screen and (max-width:480px)": False,
    "@media print": False,
    "@media (prefers-color-scheme: dark)": False,
    "@media not screen": False,
    "@media (min-width: 1400px)": False,
    "@media (min-width:481px) and (max-width:700px)": False,
    "@media (hover: hover)": False,
    "@supports not (display: grid)": False,
    "@font-face": False,
    "@page": False,
    "@media screen": True,
    "@media all": True,
    "@media only screen and (min-width:480px)": True,
    "@media print, (min-width: 30em)": True,
    "@media (width >= 600px)": True,
    "@supports (display: grid)": True,
    "@layer base": True,
}


@pytest.mark.parametrize("condition", MEDIA)
def test_k3_rules_of_a_usual_screen_apply(condition: str) -> None:
    """K3: a rule for a wide screen is the look on a desk; one for paper, a phone or a dark theme is not."""
    clean, _ = build_html(f"<style>{condition}{{p{{width:50%}}}}</style><p>x</p>")

    assert ("width:50%" in clean) == MEDIA[condition]


def test_k3_rule_for_small_screens_hides_nothing() -> None:
    """K3: of two versions of a menu, the one that a desk shows stays, and the other is said."""
    css = ".m{display:none}@media(max-width:600px){.m{display:block!important}.d{display:none}}"
    clean, warnings = build_html(f"<style>{css}</style><div class=m>Menu</div><div class=d>Home</div>")

    assert clean == "<div>Home</div>"
    assert warnings == ('Text that the styles do not display was removed (4 characters): "Menu"',)


def test_k3_body_without_style_sheet_is_left_alone() -> None:
    """K3: without a style element, class and id change nothing."""
    assert build_html('<p class="a" style="color:red">x</p>')[0] == '<p style="color:red">x</p>'


def test_k3_what_no_parser_may_touch_is_as_without_the_style_sheet() -> None:
    """K3: forms, drawings, tables in disorder and text in angle brackets come out as they do without a style sheet."""
    html = (
        "<form><select><option>a</select><textarea><b></textarea></form><table><form><tr><td>b</td></form></table>"
        "<svg><p>c</p></svg><xmp><i></xmp><pre>\n d</pre><template><p>e</p></template><ada@contoso.example>&lt;f&gt;"
    )

    assert build_html(f"<style>.none{{x:y}}</style>{html}") == build_html(html)
    assert (
        build_html(f"<style>p{{letter-spacing:0}}</style>{html}")[0].replace(' style="letter-spacing:0"', "")
        == build_html(html)[0]
    )


def test_k3_html_that_looks_like_ours_is_only_text() -> None:
    """K3: no attribute or text of a mail is taken for a mark of ours."""
    html = '<p title="<!--0--></head></body>">a</p><html title="</head>"><p>&lt;!--0--></p>'

    assert "style" not in build_html(f"<style>b{{color:red}}</style>{html}<button>x</button>")[0]


@pytest.mark.parametrize(
    "load",
    [
        "<link rel=stylesheet href={}>",
        "<style>@import '{}';</style>",
        "<style>@import url({});</style>",
        "<style>@import url('{}') screen; p{{margin:0}}</style>",
        "<style>p{{background:url({})}}</style>",
        "<style>@font-face{{font-family:A;src:url({})}}</style>",
        "<style>@media screen{{@import '{}';}}</style>",
        "<style href='{0}' src='{0}'>p{{margin:0}}</style>",
        "<base href='{}'><style>p{{margin:0}}</style><link rel=stylesheet href=a>",
        "<style>p{{margin:0}}</style><svg><style>@import '{}'</style></svg>",
    ],
)
def test_k3_nothing_is_loaded(load: str, tmp_path: Path) -> None:
    """K3: neither a file of the server nor an address is read, however a style sheet asks for it."""
    secret = tmp_path / "secret.css"
    secret.write_text("p{font-family:SECRET}")
    with listening() as (address, requests):
        for target in (f"{address}/a.css", secret.as_uri(), str(secret)):
            clean, _ = sanitize_html(f"{load.format(target)}<p>x</p>")
            assert "SECRET" not in clean
            assert "x" in clean

    assert requests == []


def test_k3_every_option_of_css_inline_is_set() -> None:
    """K3: an option that a later version adds fails here, because it may load or keep something."""
    options = set(inspect.signature(CSSInliner).parameters) - {"cache", "preallocate_node_capacity"}
    source = inspect.getsource(inlining)

    assert options - {"remove_inlined_selectors"} <= set(re.findall(r"^ +(\w+)=", source, re.MULTILINE))
    assert "load_remote_stylesheets=False" in source


def test_k3_linked_style_sheet_is_reported() -> None:
    """K3: the report counts what would have been loaded."""
    _, warnings = build_html("<link rel=stylesheet href=https://a.example><style>@import 'x';</style><p>x</p>")

    assert warnings == (
        "2 linked style sheets were removed, because loading one tells its server who reads the mail; write its rules "
        "into <style>.",
    )


def test_k3_text_that_a_style_sheet_adds_is_reported() -> None:
    """K3: a mail cannot have text of ::before, so the report quotes it."""
    _, warnings = build_html(
        "<style>.a::before{content:'»'}.b:after{content:''}.c::before{top:0}</style><p class=a>x</p>"
    )

    assert warnings == ('Style sheets add text, which a mail cannot have; write it into the body: "»"',)


TOO_MUCH = {
    "characters": ("p{}" + " " * limits.MAX_SHEET_CHARACTERS, "<p>x", "characters of style sheets"),
    "rules": ("p{x:y}" * (limits.MAX_SHEET_RULES + 1), "<p>x", "rules of style sheets"),
    "selectors": ("p," * limits.MAX_SHEET_RULES + "p{x:y}", "<p>x", "rules of style sheets"),
    "brackets": ("p{a:" + "(" * (limits.MAX_SHEET_DEPTH + 1), "<p>x", "brackets of a style sheet"),
    "steps": ("b ~ p{x:y}", "<p>x</p>" * 4_000 + "<b>x", "steps to find"),
    "levels of tables": ("table b{x:y}" * 150, "<table><td>" * 45 + "<b>a</b>" * 400, "steps to find"),
    "output": ("p{color:red;" + "margin:0;" * 100 + "}", "<p>x" * 2_000, "characters of style rules"),
    "elements": ("p{x:y}", "<p>x" * (limits.MAX_SHEET_ELEMENTS + 1), "HTML tags beside a style sheet"),
    "classes": ("p{x:y}", f'<p class="{" ".join(map(str, range(limits.MAX_CLASSES)))}">', "classes of one element"),
}


def test_h1_element_that_has_ended_is_no_level() -> None:
    """Neither is one without an end tag; else these rules would look through more elements than the limit allows."""
    html = "<div><p><b>a</b><br></div>" * 300

    assert sanitize_html(f"<style>{'div b{x:y}' * 120}</style>{html}")[0].startswith("<div><p><b>a</b><br></p></div>")


@pytest.mark.parametrize(("css", "html", "said"), TOO_MUCH.values(), ids=TOO_MUCH)
def test_k3_too_much_style_is_refused_before_it_is_applied(css: str, html: str, said: str) -> None:
    """K3: the error names the limit that the style sheets exceed."""
    with pytest.raises(BodyTooComplex) as refused:
        sanitize_html(f"<style>{css}</style>{html}")

    assert said in refused.value.sentence


def test_k3_rule_of_no_element_costs_nothing() -> None:
    """K3: rules that mean no element of the mail do not count, as the sheet of a framework has hundreds."""
    css = "".join(f".a{number} > *{{margin:{number}px}}" for number in range(4_000))

    assert sanitize_html(f"<style>{css}</style>{'<p>x</p>' * 3_000}")[0] == "<p>x</p>" * 3_000


def test_k3_variables_in_variables_end() -> None:
    """K3: variables that grow or that name one another end without a value; in a long value, the fallback stays."""
    css = ":root{--a:var(--b) var(--b);--b:var(--a) var(--a)}p{margin:var(--a)}"

    assert all(len(value) < 10_000 for rule in read_style_sheets([css]).rules for _, value in rule.declarations)
    assert sanitize_html(f"<style>{css}</style><p>x</p>")[0] == "<p>x</p>"
    long = f"<style>p{{font-family:{'x' * 201} var(--c, d)}}</style><div style='--c:e'><p>x</p></div>"
    assert " d" in sanitize_html(long)[0]
