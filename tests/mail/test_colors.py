"""Colours as CSS and the old attributes write them, and the contrast of WCAG 2.2."""

from __future__ import annotations

import pytest

from m365_mcp.mail.html.colors import (
    BLACK,
    LINK,
    WHITE,
    Color,
    best_on,
    contrast,
    is_costly,
    read_attribute_color,
    read_color,
)


@pytest.mark.parametrize(
    ("text", "color"),
    [
        ("#abc", "#aabbcc"),
        ("#AABBCF", "#aabbcf"),
        ("eee", "#eeeeee"),
        (" 0a1B2c ", "#0a1b2c"),
        ("#abcd", "rgba(170,187,204,0.867)"),
        ("rgb(1,20,255)", "#0114ff"),
        ("RGB( 1 , 20 , 300 )", "#0114ff"),
        ("rgb(1 20 255 / 50%)", "rgba(1,20,255,0.5)"),
        ("rgba(1, 20, 255, .123456)", "rgba(1,20,255,0.123)"),
        ("rgb(-5 0 0)", "#000000"),
        ("Tomato", "#ff6347"),
        ("transparent", "rgba(0,0,0,0)"),
        ("hsl(120, 100%, 25%)", "#008000"),
        ("hwb(240 20% 20%)", "#3333cc"),
        ("lab(50% 40 -20)", "#ab5a9a"),
        ("lch(70% 30 200)", "#5dbabd"),
        ("oklab(60% 0.1 0.1)", "#c3602e"),
        ("oklch(50% 0.1 20)", "#944a4b"),
        ("oklch(none none none)", "#000000"),
        ("lab(100% 0 0)", "#ffffff"),
        ("oklab(0.1% 0 0)", "#000000"),
        ("oklab(10% 0 0)", "#030303"),
        *((name, "#ffffff") for name in ("canvas", "window", "field", "infobackground", "Menu")),
        *(
            (name, "#000000")
            for name in ("canvastext", "windowtext", "fieldtext", "buttontext", "infotext", "menutext", "captiontext")
        ),
        ("ButtonFace", "#f0f0f0"),
        ("ThreeDFace", "#f0f0f0"),
        ("LinkText", "#0000ee"),
        ("#" + "0" * 6 + " " * 200, "#000000"),
    ],
)
def test_colour_is_read_in_every_spelling(text: str, color: str) -> None:
    """Names, numbers, functions of CSS Color 4, and the system's colours in a light theme."""
    found = read_color(text)

    assert found is not None
    assert found.as_hex() == color


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "inherit",
        "currentcolor",
        "none",
        "#abcde",
        "rgb()",
        "rgb(1,2)",
        "url(x)",
        "color(rec2020 1 0 0)",
        f"hsl(0,{' ' * 86}100%,50%)",
    ],
)
def test_no_colour_is_none(text: str) -> None:
    """What names no colour, takes it from elsewhere, or is longer than 100 characters."""
    assert read_color(text) is None


def test_longest_colour_is_read() -> None:
    """A hundred characters are read."""
    assert read_color(f"hsl(0,{' ' * 85}100%,50%)") == Color(1.0, 0.0, 0.0)


def test_attribute_has_no_function() -> None:
    """bgcolor knows names and numbers only."""
    assert read_attribute_color("rgb(1,2,3)") is None
    assert read_attribute_color("red") == Color(1.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("value", "costly"),
    [("red", False), ("rgb(1,2,3) 1px", False), ("hsl(1,2%,3%)", True), ("rgb(1,2,3), rgb(1 2 3)", True)],
)
def test_only_a_function_that_is_no_plain_rgb_is_costly(value: str, costly: bool) -> None:
    """Plain rgb() is read by this server, and all others by tinycss2."""
    assert is_costly(value) is costly


def test_colour_is_mixed_with_the_one_behind_it() -> None:
    """Half a red on a blue is a violet, and an opaque colour stays."""
    assert Color(1.0, 0.5, 0.0, 0.5).over(Color(0.0, 0.1, 1.0)) == pytest.approx(Color(0.5, 0.3, 0.5))
    assert LINK.over(WHITE) == LINK


@pytest.mark.parametrize(
    ("text", "behind", "ratio"),
    [
        (BLACK, WHITE, 21.0),
        (WHITE, WHITE, 1.0),
        (WHITE, LINK, 9.398),
        (Color(0.0, 0.0, 0.0, 0.5), WHITE, 3.977),
        (Color(0.04, 0.04, 0.04), BLACK, 1.062),
        (Color(0.5, 0.6, 0.1), Color(0.9, 0.2, 0.7), 1.185),
    ],
)
def test_contrast_is_that_of_wcag(text: Color, behind: Color, ratio: float) -> None:
    """It is the same whichever is in front, unless the text lets the background through."""
    assert contrast(text, behind) == pytest.approx(ratio, abs=0.001)


def test_readable_colour_is_black_or_white() -> None:
    """Black on a light background, and white on a dark one."""
    assert best_on(Color(0.8, 0.9, 0.3)) == BLACK
    assert best_on(LINK) == WHITE
