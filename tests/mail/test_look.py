"""Hidden text, backgrounds and contrast: a reader sees after composing what there was to see before."""

from __future__ import annotations

import re

import pytest

from m365_mcp.mail.body import read_body
from m365_mcp.mail.html.colors import BLACK, WHITE, Color, contrast, read_color
from m365_mcp.mail.report import Weight
from tests.mail.composing import build_html
from tests.mail.html_mails import MAILS
from tests.yardstick import idle_core_seconds

OPENLY = [
    "display:none",
    "display:none!important",
    "visibility:hidden",
    "visibility:collapse",
    "content-visibility:hidden",
]
DISGUISED = [
    "opacity:0",
    "opacity:0%",
    "opacity:.05",
    "filter:opacity(0)",
    "filter:alpha(opacity=0)",
    "font-size:0",
    "font-size:1px",
    "font-size:0.01em",
    "font-size:calc(0px)",
    "font:0/0 a",
    "font:1px Arial",
    "color:transparent",
    "color:rgba(0,0,0,0)",
    "color:rgb(0 0 0 / 5%)",
    "color:#0000",
    "color:#fff",
    "color:white",
    "color:WHITE",
    "color:#fefefe",
    "color:hsl(0,0%,99%)",
    "color:rgb(250,250,250)",
    "background:#333;color:#333",
    "background-color:navy;color:#000081",
    "-webkit-text-fill-color:transparent",
    "-webkit-text-fill-color:#fff",
    "text-indent:-9999px",
    "text-indent:-999em",
    "text-indent:100%;overflow:hidden;white-space:nowrap",
    "position:absolute;left:-9999px",
    "position:fixed;top:-1000pt",
    "position:absolute;left:9999px",
    "position:relative;left:-100em",
    "margin-left:-9999px",
    "margin:0 0 0 -9999px",
    "margin:-9999px",
    "margin-top:-2000px",
    "position:absolute;clip:rect(0,0,0,0)",
    "position:absolute;clip:rect(1px 1px 1px 1px)",
    "clip-path:inset(50%)",
    "clip-path:circle(0)",
    "clip-path:polygon(0 0, 0 0, 0 0)",
    "overflow:hidden;height:0",
    "overflow:hidden;max-height:0px",
    "overflow:hidden;width:1px;height:1px",
    "overflow:hidden;max-width:0",
    "overflow:clip;height:0",
    "overflow:hidden;line-height:0",
    "transform:scale(0)",
    "transform:scale(0, 1)",
    "transform:translateX(-9999px)",
    "transform:rotateY(90deg)",
    "scale:0",
    "letter-spacing:-1em",
]


@pytest.mark.parametrize("style", [*OPENLY, *DISGUISED])
def test_k3_h16_hidden_text_is_removed_and_said(style: str) -> None:
    """K3, H16: text that a style hides is gone, and the report counts and quotes it, disguises before open ones."""
    body = read_body(f'<p>Seen</p><div style="{style}">Not <b>this</b></div><p>Also</p>', "HTML")

    assert re.sub("<[^>]*>", "", body.content) == "SeenAlso"
    (note,) = body.notes
    assert note.weight == (Weight.LOOK if style in OPENLY else Weight.MISLEADING)
    assert note.sentence.endswith(' (8 characters): "Not this"')


HIDDEN_OTHERWISE = [
    "<p hidden>Not this</p>",
    "<p hidden=until-found>Not this</p>",
    "<font color=white>Not this</font>",
    "<font color=ffffff>Not this</font>",
    "<table bgcolor=#333333><tr><td style='color:#343434'>Not this</td></tr></table>",
    "<div style='background:#123;color:#123'><p><b>Not this</b></p></div>",
    "<div style='background:#fff;position:relative'><p style='position:relative;z-index:-1'>Not this</p></div>",
    "<form style='display:none'>Not this</form>",
    "<my-card style='display:none'>Not this</my-card>",
    "<button style='opacity:0'>Not this</button>",
    "<style>.x{display:none}</style><p class=x>Not this</p>",
    "<style>.x p{opacity:0}</style><div class=x><p>Not this</p></div>",
    "<body bgcolor=black text=#000001>Not this</body>",
    "<p style='font-size:10px'><span style='font-size:.1em'>Not this</span></p>",
    "<div style='display:none'><p style='display:block'>Not this</p></div>",
    "<table><tr style='display:none'><td>Not this</td></tr></table>",
]


@pytest.mark.parametrize("html", HIDDEN_OTHERWISE)
def test_k3_h16_hidden_text_is_found_wherever_its_style_is(html: str) -> None:
    """K3, H16: an attribute, an ancestor, a style sheet or a removed element can hide text too."""
    clean, warnings = build_html(f"Seen{html}")

    assert re.sub("<[^>]*>", "", clean).strip() == "Seen"
    assert '(8 characters): "Not this"' in " ".join(warnings)


SEEN = [
    "color:#777",
    "color:#ddd",
    "color:#fff;background:#333",
    "mso-hide:all",
    "height:0",
    "line-height:0",
    "max-height:200px;overflow:hidden",
    "overflow:hidden;width:300px;height:20px",
    "margin:-10px 0 0 -10px",
    "margin-bottom:-9999px;padding-bottom:9999px",
    "font-size:9px",
    "opacity:.5",
    "position:relative",
    "position:absolute;left:10px",
    "z-index:-1;position:relative",
    "transform:rotate(5deg)",
    "text-indent:2em",
    "letter-spacing:-1px",
    "visibility:visible",
    "clip:rect(0,100px,50px,0)",
    "clip-path:inset(0 round 8px)",
    "width:0",
    "color:inherit",
    "color:foo",
]


@pytest.mark.parametrize("style", SEEN)
def test_k3_text_that_is_seen_stays(style: str) -> None:
    """K3: no style that leaves text readable is taken for one that hides it."""
    clean, warnings = build_html(f'<p style="{style}">Seen</p>')

    assert "Seen" in clean
    assert "Text that" not in " ".join(warnings)


STAYING = [
    '<div style="font-size:0"><div style="font-size:14px">Seen</div></div>',
    '<table><tbody><tr><td style="font-size:0;line-height:0" height="20">&nbsp;</td></tr></tbody></table>',
    '<div style="color:#fff"><p style="background:#333">Seen</p></div>',
    '<table bgcolor="#333333"><tbody><tr><td style="color:white">Seen</td></tr></tbody></table>',
    '<div style="font-size:0"><img src="cid:a" alt="Seen"></div>',
]


@pytest.mark.parametrize("html", STAYING)
def test_k3_spacers_and_visible_parts_stay(html: str) -> None:
    """K3: an empty cell keeps its height, and a part that is visible again inside stays."""
    assert read_body(html, "HTML").content == html
    assert read_body(html, "HTML").notes == ()


def test_k3_visible_part_of_hidden_text_stays() -> None:
    """K3: `visibility: visible` inside a hidden element shows its text."""
    html = '<div style="visibility:hidden">a<b style="visibility:visible">Seen</b>b</div>'

    assert build_html(html)[0] == "<div><b>Seen</b></div>"


def test_k3_long_hidden_text_is_quoted_in_part() -> None:
    """K3: the report quotes at most sixty characters of what was hidden, and counts all."""
    _, warnings = build_html(f"a<p hidden>{'word ' * 100}</p>")

    assert warnings == (
        f'Text that the styles do not display was removed (499 characters): "{("word " * 12).strip()}…"',
    )


BACKGROUNDS = {
    "background:linear-gradient(#333,#111)": "background:#333333",
    "background:linear-gradient(to right, rgba(1,2,3,1) 0%, red 100%)": "background:#010203",
    "background:linear-gradient(90deg,transparent,#333)": "background:#333333",
    "background:radial-gradient(circle at top,#333,#111)": "background:#333333",
    "background:repeating-linear-gradient(45deg,navy,navy 10px,red 20px)": "background:#000080",
    "background:-webkit-linear-gradient(top,#333,#111)": "background:#333333",
    "background:-webkit-gradient(linear,0 0,0 100%,from(#333),to(#111))": "background:#333333",
    "background:url(a.png) #333": "background:#333333",
    "background:#333 url('a;b.png') no-repeat center / cover": "background:#333333",
    "background:#0b5cad linear-gradient(red,blue)": "background:#0b5cad",
    "background:linear-gradient(rgba(0,0,0,.8),rgba(0,0,0,.8)),url(a.png)": "background:rgba(0, 0, 0, 0.8)",
    "background-image:linear-gradient(#333,#111)": "background-color:#333333",
    "background-color:#222;background-image:linear-gradient(#333,#111)": "background-color:#222",
    "background:var(--a,#333)": "background:#333",
    "background:var(--a, linear-gradient(#333,#111))": "background:#333333",
    "background-color:oklch(0.3 0.05 250)": "background-color:#",
    "background:hwb(0 20% 80%)": "background:#333333",
}


@pytest.mark.parametrize(("written", "kept"), BACKGROUNDS.items())
def test_k4_colour_of_a_background_stays(written: str, kept: str) -> None:
    """K4: of a background its colour stays, without one the first of its gradient; the white text on it stays white."""
    clean, _ = build_html(f'<p style="{written};color:#fff">x</p>')

    assert f'style="{kept}' in clean
    assert clean.endswith('color:#fff">x</p>')


@pytest.mark.parametrize(
    "written",
    [
        "background:url(a.png);color:#fff",
        "background-image:url(a.png);color:#eee",
        "background:color-mix(in srgb, red, blue);color:white",
        "background:var(--none);color:#fff",
        "background:paint(x);color:#fff",
        "background:linear-gradient(#fff,#333);color:#fff",
        "position:absolute;top:10px;color:#fff",
        "margin-top:-80px;color:#fff",
    ],
)
def test_k4_colour_falls_with_its_background(written: str) -> None:
    """K4: where the background cannot stay, text that nobody could read any more loses its colour, and stays."""
    clean, warnings = build_html(f'<p style="{written}">Seen</p>')

    assert "Seen" in clean
    assert 'color:#fff"' not in clean.replace("background-color", "")
    assert "The text colour of 1 element was changed, because its background could not stay as it was." in warnings


REPAIRED = {
    "cell with a picture": "<table><tr><td background=a.png><font color=white>Seen</font></td></tr></table>",
    "colour from an ancestor": "<div style='color:#fff'><p style='background:url(a.png)'>Seen</p></div>",
    "link on a lost background": "<p style='background:url(a.png)'><a style='color:#ff0' href=tel:1>Seen</a></p>",
    "colour that CSS 4 mixes": "<p style='background:#333'><b style='color:color-mix(in srgb,white,red)'>Seen</b></p>",
    "page with colours": "<body bgcolor=black text=white link=yellow><p>Seen <a href=tel:1>it</a></p></body>",
}


@pytest.mark.parametrize("html", REPAIRED.values(), ids=REPAIRED)
def test_k4_no_text_falls_below_a_contrast_of_three(html: str) -> None:
    """K4: wherever colour and background come from, the text stays readable."""
    clean, _ = build_html(html)

    assert "Seen" in clean
    assert least_contrast(clean) >= 3


COLORED = re.compile(r"(?<![\w-])(color|bgcolor|background|background-color)(?:=\"|:)(#?\w+)")


def least_contrast(html: str) -> float:
    """Return the least contrast of a text in `html`, whose colours are names or hexadecimal numbers in styles."""
    worst, around = 21.0, [(BLACK, WHITE)]
    for tag, attributes, text in re.findall(r"<(/?\w+)([^>]*)>([^<]*)", html):
        if tag.startswith("/"):
            around.pop()
        else:
            color, behind = around[-1]
            for name, value in re.findall(
                r"(?<![\w-])(color|bgcolor|background|background-color)(?:=\"|:)(#?\w+)", attributes
            ):
                color = (read_color(value) or color) if name == "color" else color
                behind = (
                    (read_color(value) or behind) if name in ("bgcolor", "background", "background-color") else behind
                )
            around.append((color, behind))
        if text.strip():
            worst = min(worst, contrast(*around[-1]))
    return worst


def test_k4_text_in_the_colours_of_a_gradient_takes_the_first() -> None:
    """K4: a heading that shows its gradient through its letters has the gradient's first colour, and no background."""
    style = "background:linear-gradient(90deg,#c06,#60c);-webkit-background-clip:text;color:transparent"

    assert build_html(f'<h1 style="{style}">x</h1>')[0] == '<h1 style="color:#cc0066">x</h1>'


PALE = [
    "color:#fde68a",
    "color:#fef3c7",
    "color:#f3f4f6",
    "color:#eee",
    "color:yellow",
    "background:#1e1e1e;color:#2a2a2a",
    "background:#ffffcc;color:#ffeda0",
]


@pytest.mark.parametrize("style", PALE)
def test_k14_h16_pale_text_stays_and_is_said(style: str) -> None:
    """K14, H16: text that a reader can make out stays, and the report quotes what many overlook."""
    body = read_body(f'<p>Seen</p><p style="{style}">Pale words</p>', "HTML")

    assert "Pale words</p>" in body.content
    (note,) = body.notes
    assert note.weight == Weight.MISLEADING
    assert note.sentence.endswith('readers may overlook it (10 characters): "Pale words"')


@pytest.mark.parametrize("color", ["Canvas", "window", "Field"])
def test_h16_text_in_a_colour_of_the_system_is_hidden_too(color: str) -> None:
    """H16: the colour of a window is white, whatever its name."""
    clean, warnings = build_html(f'Seen<p style="color:{color}">Not this</p>')

    assert "Not this" not in clean
    assert '(8 characters): "Not this"' in " ".join(warnings)


@pytest.mark.parametrize(
    "style",
    [
        "position:relative",
        "position:relative;z-index:1;top:0",
        "position:static",
        "transform:none;filter:none;mask:none;clip:auto",
        "mix-blend-mode:normal;zoom:1;writing-mode:horizontal-tb",
        "background:oklch(0.2 0.05 260);color:oklch(0.98 0 0)",
        "background:light-dark(#fff,#000)",
    ],
)
def test_k14_style_that_changes_nothing_goes_without_a_word(style: str) -> None:
    """K14: a property with the value that it has anyway, or that is kept in another spelling, is no loss."""
    assert build_html(f'<p style="{style}">x</p>')[1] == ()


@pytest.mark.parametrize("style", ["position:relative;top:-8px", "position:absolute", "transform:rotate(2deg)"])
def test_k14_style_that_moves_its_element_is_said(style: str) -> None:
    """K14: a reader notices that the element stands elsewhere."""
    assert len(build_html(f'<p style="{style}">x</p>')[1]) == 1


def test_k4_weak_contrast_of_the_writer_stays() -> None:
    """K4: pale text on a background that stays is the writer's choice."""
    html = '<p style="color:#999;background:#ddd">x</p>'

    assert build_html(html) == (html, ())


COLORS = {
    "red": (255, 0, 0, 1),
    "RebeccaPurple": (102, 51, 153, 1),
    "#abc": (170, 187, 204, 1),
    "abcdef": (171, 205, 239, 1),
    "#abc8": (170, 187, 204, 0.533),
    "#aabbcc80": (170, 187, 204, 0.502),
    "rgb(1, 2, 3)": (1, 2, 3, 1),
    "rgb(1 2 3 / 50%)": (1, 2, 3, 0.5),
    "rgba(999,0,0,.5)": (255, 0, 0, 0.5),
    "hsl(120,100%,25%)": (0, 128, 0, 1),
    "oklch(0.6279 0.2577 29.23)": (255, 0, 0, 1),
    "lab(54.29 80.8 69.9)": (255, 0, 0, 1),
    "transparent": (0, 0, 0, 0),
}


@pytest.mark.parametrize(("text", "parts"), COLORS.items())
def test_k4_colours_are_read_in_every_spelling(text: str, parts: tuple[int, int, int, float]) -> None:
    """K4: names, numbers, and functions of CSS Color 4 are read, old attributes included."""
    found = read_color(text)

    assert found is not None
    assert [round(part * 255) for part in found[:3]] == pytest.approx(parts[:3], abs=1)
    assert found.alpha == pytest.approx(parts[3], abs=0.001)


@pytest.mark.parametrize(
    "text", ["", "inherit", "currentcolor", "rgb()", "rgb(1)", "url(a)", "#12345", "a" * 500, "hsl(a)"]
)
def test_k4_what_is_no_colour_is_none(text: str) -> None:
    """K4: anything else is no colour, and raises nothing."""
    assert read_color(text) is None


def test_k4_contrast_is_that_of_wcag() -> None:
    """K4: black on white has 21, a colour on itself 1, and #767676 on white the well-known 4.54."""
    grey = Color(0x76 / 255, 0x76 / 255, 0x76 / 255)

    assert contrast(BLACK, WHITE) == pytest.approx(21)
    assert contrast(WHITE, WHITE) == 1
    assert contrast(grey, WHITE) == pytest.approx(4.54, abs=0.01)


def test_k14_noticed_properties_are_named_in_one_sentence() -> None:
    """K14: the report names what is gone and from how many elements, most frequent first."""
    html = (
        "<p style='position:absolute;box-shadow:0 0 1px'>a</p>" * 2
        + "<p style='position:sticky;filter:blur(1px)'>b</p>"
    )

    assert build_html(html)[1] == (
        "position and filter were removed from 3 elements, because mail programs do not follow such styles.",
    )


@pytest.mark.parametrize("name", MAILS)
def test_k3_k4_whole_mails_keep_their_text_and_contrast(name: str) -> None:
    """K3, K4: mails of programs and models keep all that a reader sees."""
    clean, warnings = build_html(MAILS[name])

    assert "class=" not in clean
    assert "preheader" not in clean
    assert least_contrast(clean) >= (2 if name in ("responsive", "gradients") else 3)  # as they were written
    assert not [warning for warning in warnings if "disguise" in warning]


@pytest.mark.full
def test_k3_hidden_text_takes_linear_time() -> None:
    """K3: twice as many hidden pieces take about twice as long, not four times."""
    few, many = ("<p>a</p>" + '<span style="font-size:0">b</span>' * count for count in (2_000, 8_000))

    assert idle_core_seconds(lambda: read_body(many, "HTML")) < 10 * idle_core_seconds(lambda: read_body(few, "HTML"))


def test_k4_look_does_not_depend_on_what_stands_before() -> None:
    """K4: equal elements inside others that lost their backgrounds are judged by these, each time anew."""
    dark, light = (
        f'<div style="background:url(x) {style}"><b style="font-weight:bold">a<i style="color:#fff">b</i></b></div>'
        for style in ("#000;color:#111", ";color:#eee")
    )

    assert build_html(dark + light)[0] == build_html(dark)[0] + build_html(light)[0]
    assert build_html(light)[0] == '<div><b style="font-weight:bold">a<i>b</i></b></div>'


@pytest.mark.parametrize(
    ("keyword", "pixels"),
    [("xx-small", 9), ("x-small", 10), ("small", 13), ("medium", 16), ("large", 18), ("x-large", 24)],
)
def test_k3_size_of_a_keyword_is_that_of_browsers(keyword: str, pixels: int) -> None:
    """Text of two pixels is hidden, also where its size is a share of a keyword's."""
    page = (
        f'<div style="font-size:90px"><p style="font-size:{keyword}">a<span style="font-size:{{}}em">b</span></p></div>'
    )

    assert "b</span>" not in build_html(page.format(2 / pixels))[0]
    assert "b</span>" in build_html(page.format(2.1 / pixels))[0]


@pytest.mark.parametrize(
    ("html", "clean", "said"),
    [
        (
            '<div style="background-color:#0000ee"><a>a</a><a href="tel:12345">b</a></div>',
            '<div style="background-color:#0000ee"><a>a</a><a href="tel:12345"></a></div>',
            ["Text that the styles disguise was removed"],
        ),
        ('<p style="font-size:12.6%">a</p>b', '<p style="font-size:12.6%">a</p>b', []),
        (
            '<p style="font-size:12.5%">a</p>b',
            '<p style="font-size:12.5%"></p>b',
            ["Text that the styles disguise was removed"],
        ),
        (
            '<p style="visibility:hidden">a<img src="cid:a"><br>c<b style="visibility:visible">d</b></p>e',
            "<p><br><b>d</b></p>e",
            ["Text that the styles do not display was removed"],
        ),
        ('<p style="font:12pt/0 Arial">a</p>', '<p style="font:12pt / 0 Arial">a</p>', []),
        (
            '<p style="font:0/1 Arial">a</p>b',
            '<p style="font:0 / 1 Arial"></p>b',
            ["Text that the styles disguise was removed"],
        ),
        (
            '<p style="font:1.5px Arial">a</p>b',
            '<p style="font:1.5px Arial"></p>b',
            ["Text that the styles disguise was removed"],
        ),
        ('<p style="font:1.5 16px Arial">a</p>', '<p style="font:1.5 16px Arial">a</p>', []),
        (
            '<p style="background:rgb(100%,100%,50%);color:rgb(100%,100%,20%)">a</p>',
            '<p style="background:rgb(100%, 100%, 50%);color:rgb(100%, 100%, 20%)">a</p>',
            ["Text has almost the colour of its background, so readers may"],
        ),
        ('<p style="font:100 12px Arial">a</p>', '<p style="font:100 12px Arial">a</p>', []),
        (
            '<p style="background:rgb(1, 2, 3) none;color:rgb(1,2,3)">a</p>b',
            '<p style="background:rgb(1, 2, 3) none;color:rgb(1, 2, 3)"></p>b',
            ["Text that the styles disguise was removed"],
        ),
        (
            '<p style="color:yellow">a</p>',
            '<p style="color:yellow">a</p>',
            ["Text has almost the colour of its background, so readers may"],
        ),
        (
            '<p style="color:#fffffe">a</p>b',
            '<p style="color:#fffffe"></p>b',
            ["Text that the styles disguise was removed"],
        ),
        (
            '<p style="color:#fff;background:url(x)">a</p>',
            "<p>a</p>",
            [
                "1 style was removed, because such styles can load remote con",
                "The text colour of 1 element was changed, because its backgr",
            ],
        ),
        (
            '<a href="tel:12345" style="color:#fff;background-image:url(x)">a</a>',
            '<a href="tel:12345" style="color:#000000">a</a>',
            [
                "1 style was removed, because such styles can load remote con",
                "The text colour of 1 element was changed, because its backgr",
            ],
        ),
        (
            '<table background="x" style="color:#eee"><tr><td>a</td></tr></table>',
            "<table><tbody><tr><td>a</td></tr></tbody></table>",
            [
                "1 background picture was removed, because many mail programs",
                "The text colour of 1 element was changed, because its backgr",
            ],
        ),
        ("<font color=white>a</font>b", '<font color="white"></font>b', ["Text that the styles disguise was removed"]),
        (
            '<p style="background-color:transparent;color:white">a</p>b',
            '<p style="background-color:transparent;color:white"></p>b',
            ["Text that the styles disguise was removed"],
        ),
        (
            '<p style="position:absolute;color:white">a</p>',
            "<p>a</p>",
            [
                "position was removed from 1 element, because mail programs d",
                "The text colour of 1 element was changed, because its backgr",
            ],
        ),
        (
            '<div style="background:#000"><p style="z-index:-1">a</p></div>b',
            '<div style="background:#000"></div>b',
            ["Text that the styles disguise was removed"],
        ),
        ('<p style="z-index:-1">a</p>', "<p>a</p>", []),
        (
            '<p style="overflow:hidden;height:0">a</p>b<span style="overflow:hidden;height:0">c</span>',
            'b<span style="height:0">c</span>',
            ["Text that the styles disguise was removed"],
        ),
        ("<p hidden>a</p>b", "b", ["Text that the styles do not display was removed"]),
        ('<p style="color:#ddd">a</p>', '<p style="color:#ddd">a</p>', []),
    ],
)
def test_k3_text_is_hidden_changed_or_kept(html: str, clean: str, said: list[str]) -> None:
    """Hidden text goes, what could not be read any more gets another colour, and all other text stays."""
    body, warnings = build_html(html)

    assert body == clean
    assert [warning.split('"')[0].split(" (")[0][:60] for warning in warnings] == said
