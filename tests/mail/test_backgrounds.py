"""The one colour that stays of a background."""

from __future__ import annotations

import pytest

from m365_mcp.mail.html.backgrounds import PlainBackground, plain_background


@pytest.mark.parametrize(
    ("value", "color", "has_gradient"),
    [
        ("red", "#ff0000", False),
        ("#abc url(x) no-repeat", "#aabbcc", False),
        ("url(x)", None, False),
        ("none", None, False),
        ("linear-gradient(90deg, #123 10%, red)", "#112233", True),
        ("LINEAR-GRADIENT(transparent, rgba(0,0,0,.05), #456)", "#445566", True),
        ("radial-gradient(circle, blue, red) , #789", "#778899", True),
        ("red blue", "#0000ff", False),
        ("-webkit-gradient(linear, left top, from(#111), to(#222))", "#111111", True),
        ("-webkit-gradient(linear, to(#222), color-stop(0.5, #333))", "#222222", True),
        ("linear-gradient(rgba(0,0,0,.1), rgba(1,2,3,.2))", "rgba(1,2,3,0.2)", True),
        ("linear-gradient(transparent, transparent)", None, True),
        ("rgb(1,2,3)", "#010203", False),
        ("rgba(1 2 3 / .5) /* a */", "rgba(1,2,3,0.5)", False),
        ("hsl(120 100% 25%)", "#008000", False),
        ("hsla(120,100%,25%,1)", "#008000", False),
        ("hwb(240 20% 20%)", "#3333cc", False),
        ("lab(50% 40 -20)", "#ab5a9a", False),
        ("lch(70% 30 200)", "#5dbabd", False),
        ("oklab(60% 0.1 0.1)", "#c3602e", False),
        ("oklch(50% 0.1 20)", "#944a4b", False),
        ("light-dark(#111, #222)", "#111111", False),
        ("color(srgb 1 0 0)", "#ff0000", False),
        ("var(--a)", None, False),
        ("conic-gradient(from 90deg, tomato, red)", "#ff6347", True),
        ("rgb(calc(1),2,3)", None, False),
        ("linear-gradient(rgb(1,2,3), foo(red))", "#010203", True),
        ("center / cover", None, False),
        ("red, linear-gradient(blue, green)", "#ff0000", True),
        pytest.param("red " + "rgb(" * 2_000, "#ff0000", False, id="deep"),
    ],
)
def test_k3_background_keeps_one_colour(value: str, color: str | None, has_gradient: bool) -> None:
    """Its own, the last if there are several, or the first of its gradient that is seen."""
    assert plain_background(value) == PlainBackground(color, has_gradient)
