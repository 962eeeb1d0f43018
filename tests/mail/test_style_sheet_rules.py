"""The rules of a style sheet that apply to a usual screen."""

from __future__ import annotations

import pytest

from m365_mcp.errors import BodyTooComplex
from m365_mcp.mail.html.style_sheets import read_style_sheets


@pytest.mark.parametrize(
    ("css", "rules", "variables", "imports", "generated"),
    [
        ("p{color:red}", [("p", ("color", "red"))], {}, 0, []),
        (
            "p , .a{color:red;width:1px}",
            [("p", ("color", "red"), ("width", "1px")), (".a", ("color", "red"), ("width", "1px"))],
            {},
            0,
            [],
        ),
        ("<!-- p{color:red} -->", [("p", ("color", "red"))], {}, 0, []),
        ("p{color:red !important;--a:b !important}", [("p", ("color", "red !important"))], {"--a": "b"}, 0, []),
        ("@media print{p{a:b}}q{c:d}", [("q", ("c", "d"))], {}, 0, []),
        ("@media (min-width:800px){p{a:b}}", [("p", ("a", "b"))], {}, 0, []),
        ("@media (min-width:801px){p{a:b}}", [], {}, 0, []),
        ("@media (min-device-width:50em){p{a:b}}", [("p", ("a", "b"))], {}, 0, []),
        ("@media (width>=50.1rem){p{a:b}}", [], {}, 0, []),
        ("@media ONLY Screen and (min-width: 1px) and (max-width:9px){p{a:b}}", [], {}, 0, []),
        ("@media screen,print{p{a:b}}", [("p", ("a", "b"))], {}, 0, []),
        ("@media all{p{a:b}}", [("p", ("a", "b"))], {}, 0, []),
        ("@media (prefers-color-scheme:light){p{a:b}}", [("p", ("a", "b"))], {}, 0, []),
        ("@media (prefers-color-scheme:dark){p{a:b}}", [], {}, 0, []),
        ("@layer a{p{a:b}}", [("p", ("a", "b"))], {}, 0, []),
        ("@supports (a:b){p{a:b}}", [("p", ("a", "b"))], {}, 0, []),
        ("@supports not (a:b){p{a:b}}", [], {}, 0, []),
        ("@font-face{a:b}", [], {}, 0, []),
        ("@import 'a';@import url(b);p{a:b}", [("p", ("a", "b"))], {}, 2, []),
        ("@MEDIA all{@LAYER x{p{a:b}}}", [("p", ("a", "b"))], {}, 0, []),
        (":root{--a:red}p{color:var(--a)}", [("p", ("color", "red"))], {"--a": "red"}, 0, []),
        ("p{--a:1}q{--a:2}b{c:var(--a)}", [("b", ("c", "1"))], {"--a": "1"}, 0, []),
        (":root{--a:1}*{--a:2}b{c:var(--a)}", [("b", ("c", "2"))], {"--a": "2"}, 0, []),
        ("p{color:VAR(--b, blue)}", [("p", ("color", "blue"))], {}, 0, []),
        ("p{color:var(--b)}", [("p", ("color", ""))], {}, 0, []),
        (
            ":root{--a:var(--b);--b:var(--c);--c:red}p{d:var(--a)}",
            [("p", ("d", "red"))],
            {"--a": "var(--b)", "--b": "var(--c)", "--c": "red"},
            0,
            [],
        ),
        (
            "a:hover{b:c}a:FOCUS-within{b:c}a::-moz-x{b:c}a:visited b{b:c}a:hovered{b:c}",
            [("a:hovered", ("b", "c"))],
            {},
            0,
            [],
        ),
        ("p::before{content:'New '}", [], {}, 0, ["New"]),
        ("p::after{content:none}q:AFTER{content:'a' attr(b) 'c'}", [], {}, 0, ["ac"]),
        ("p:before{content:attr(a)}", [], {}, 0, ["attr(a)"]),
        ('p::before{content:" ";clear:both}', [("p", ("display", "flow-root"))], {}, 0, []),
        (".x::after{clear:both;content:''}", [(".x", ("display", "flow-root"))], {}, 0, []),
        ("p::after{content:'' ;clear:left}", [], {}, 0, []),
        ("p::before ::marker{a:b}", [], {}, 0, []),
        ("p::first-line{a:b}q:first-letter{a:b}li::marker{a:b}i:placeholder{a:b}", [], {}, 0, []),
        (
            "p{mso-a:b;-webkit-c:d;-moz-e:f;-ms-g:h;-o-i:j;transition:k;animation-name:l;box-shadow:m;text-shadow:n;o:p}",
            [("p", ("o", "p"))],
            {},
            0,
            [],
        ),
        (
            "p{-webkit-text-fill-color:red;-webkit-background-clip:text;-webkit-clip-path:none;-webkit-transform:none}",
            [
                (
                    "p",
                    ("-webkit-text-fill-color", "red"),
                    ("-webkit-background-clip", "text"),
                    ("-webkit-clip-path", "none"),
                    ("-webkit-transform", "none"),
                )
            ],
            {},
            0,
            [],
        ),
        ("p{COLOR:Red}", [("p", ("color", "Red"))], {}, 0, []),
        ("p{color:;a:<b}", [], {}, 0, []),
        ("p{a:b)}", [], {}, 0, []),
        ("<p{a:b}", [], {}, 0, []),
        ("p{}", [], {}, 0, []),
        ("{a:b}", [], {}, 0, []),
        ("a{b:c}}d{e:f}", [("a", ("b", "c"))], {}, 0, []),
        ("p{a: b\n  c }", [("p", ("a", "b c"))], {}, 0, []),
        ("p{a:b} /* c */ q /* d */ r{e:/* f */g}", [("p", ("a", "b")), ("q r", ("e", "g"))], {}, 0, []),
        ("html{--a:1}html{--a:2}b{c:var(--a)}", [("b", ("c", "2"))], {"--a": "2"}, 0, []),
        ("body{--a:1}body{--a:2}b{c:var(--a)}", [("b", ("c", "2"))], {"--a": "2"}, 0, []),
        ("p{a:b}-->q{c:d}", [("p", ("a", "b")), ("q", ("c", "d"))], {}, 0, []),
        ("p{a:b} q{c:d}", [("p", ("a", "b")), ("q", ("c", "d"))], {}, 0, []),
    ],
)
def test_k3_style_sheet_is_read_as_for_a_usual_screen(
    css: str, rules: list[tuple[str, tuple[str, str]]], variables: dict[str, str], imports: int, generated: list[str]
) -> None:
    """Other media and states do not apply; variables are replaced, and what a rule adds or loads is known."""
    found = read_style_sheets([css])

    assert [(rule.selector, *rule.declarations) for rule in found.rules] == rules
    assert (found.variables, found.imports, found.generated) == (variables, imports, generated)


@pytest.mark.parametrize(("length", "value"), [(200, "y" * 200), (201, "")])
def test_k3_long_variable_is_left_out(length: int, value: str) -> None:
    """200 characters of a value are kept, so that variables in variables do not multiply."""
    (rule,) = read_style_sheets([f"p{{--x:{'y' * length}}}", "q{a:var(--x)}"]).rules

    assert rule.declarations == (("a", value),)
    assert rule.size == 3 + len(value)


def test_h1_brackets_of_a_sheet_may_be_thirty_deep() -> None:
    """One more is refused, also behind or between brackets that CSS does not take for an end."""
    read_style_sheets(["p{a:" + "(" * 30 + ")" * 30 + "[" * 30 + "]" * 30 + "{" * 30])
    deep = [f"p{{a:{nested}" for nested in ("(" * 31, "f(" * 31, ")" * 40 + "(" * 31, "(]" * 31, '(")"' * 31)]
    for css in (*deep, "p" + ":not(" * 31 + ")" * 31 + "{a:b}"):
        with pytest.raises(BodyTooComplex, match="more than 30 brackets of a style sheet open in one another"):
            read_style_sheets([css])


def test_h1_selectors_of_a_sheet_are_limited() -> None:
    """5,000 rules with one selector each are read."""
    rules = "p," * 2_499 + "p{a:b}"

    assert len(read_style_sheets([rules * 2]).rules) == 5_000
    with pytest.raises(BodyTooComplex, match=r"more than 5,000 rules of style sheets\."):
        read_style_sheets([rules * 2 + "p{a:b}"])
