"""What forms, films, drawings and other elements that no mail shows say stays readable."""

from __future__ import annotations

import pytest

from tests.mail.composing import build_html

SHOWN = [
    ("<label>Name</label><label>Age</label>", "Name<br>Age"),
    ('<label>Name <input value="Ada"></label><label>Age</label>', "Name Ada<br>Age"),
    ("Accept the <label>terms</label>.", "Accept the terms."),
    ("<details><summary>More</summary>Body</details>after", "<div><div>More</div>Body</div>after"),
    ("<form><fieldset><legend>A</legend>B</fieldset></form>C", "<div><div><div>A</div>B</div></div>C"),
    ("<my-card>One</my-card><my-card>Two</my-card>", "One<br>Two"),
    ("Hi <x-name>Ada</x-name>!", "Hi Ada!"),
    ("<marquee>a</marquee>b<template>c</template>d<dialog open>e</dialog>", "<div>a</div>b<div>c</div>d<div>e</div>"),
    ("<input type=checkbox checked> done<br><input type=CHECKBOX>open", "☑ done<br>☐ open"),
    ("<input type=radio checked>A<input type=radio>B", "◉ A ○ B"),
    ('a<input value="1 &lt; 2">b<input type=hidden value=x>c<input type=password value=x>', "a 1 &lt; 2 b c ••••"),
    ('<input placeholder="Your name"><input type=submit value=Send><input type=file>', "Your name Send"),
    ("<textarea>\nline 1\nline &lt;2> <b></textarea>after", "line 1<br>line &lt;2&gt; &lt;b&gt; after"),
    ("<button>OK</button><button>Cancel</button>", "OK Cancel"),
    ("<select><option>Red<option selected>Blue</select>now", "○ Red ◉ Blue now"),
    (
        "<select multiple><optgroup label=Cold><option selected>Blue</option></optgroup><option>Red</option></select>",
        "Cold: ☑ Blue ☐ Red",
    ),
    ("<datalist id=x><option>hidden</datalist>shown", "shown"),
    (
        "<progress value=70 max=100>old</progress><meter value=0.6>old</meter><meter value=3 max=5></meter>",
        "70% 60% 3/5",
    ),
    ("<meter>60</meter><progress value=x>7</progress><output>8</output>", "60 7 8"),
    ("<ruby>漢<rp>(</rp><rt>かん</rt><rp>)</rp>字<rt>じ</ruby>だ", "漢（かん）字（じ）だ"),
    ('<img src="https://a.example/a" alt=Alpha><img src="https://a.example/b" alt=Beta>.', "Alpha Beta."),
    ("<svg><title>Chart</title><style>x</style><text>Q1</text><text>Q2</text><path d=M /></svg>end", "Chart Q1 Q2 end"),
    ("<math><msup><mi>x</mi><mn>2</mn></msup><mo>=</mo><mi>y</mi></math>", "x<sup>2</sup>=y"),
    (
        "<math><mfrac><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow><msqrt><mn>2</mn></msqrt></mfrac></math>",
        "(a+b)/√(2)",
    ),
    ("<math><msubsup><mi>x</mi><mn>1</mn><mn>2</mn></msubsup></math>", "x<sub>1</sub><sup>2</sup>"),
    (
        "<math><semantics><mi>x</mi><annotation>\\TeX</annotation></semantics></math>"
        "<math><mroot><mi>y</mi><mn>3</mn></mroot></math>",
        "x √(y; 3)",
    ),
    ("<noscript>a</noscript><noframes>b</noframes>", "a<div>b</div>"),
    (
        '<iframe src="https://contoso.example/map?x=1">fallback</iframe>',
        '<a href="https://contoso.example/map?x=1">contoso.example/map</a> fallback',
    ),
    (
        '<video><source src="https://contoso.example/a.mp4"><source src="https://contoso.example/b"></video>x',
        '<a href="https://contoso.example/a.mp4">contoso.example/a.mp4</a> x',
    ),
    ("<audio src='javascript:x'></audio><object data=/x>a</object>", "a"),
    ("<title>Page</title><p>a</p>", "<p>a</p>"),
    ("<xmp><b>a</b>\n b</xmp>", "<pre>&lt;b&gt;a&lt;/b&gt;\n b</pre>"),
    ("<listing>a\n b</listing>", "<pre>a\n b</pre>"),
    ("<acronym title=t>a</acronym><nobr>b</nobr><time>c</time>", '<abbr title="t">a</abbr>bc'),
    ("<p>a<o:p></o:p></p></form></select></math></ruby></my-x>b", "<p>a</p>&lt;/my-x&gt;b"),
    ("<math><msub><mi>x</mi><mn>1</mn></msub></math>", "x<sub>1</sub>"),
    ("<math><mover><mi>x</mi><mo>^</mo></mover></math>", "x<sup>^</sup>"),
    ("<math><munder><mi>x</mi><mo>_</mo></munder></math>", "x<sub>_</sub>"),
    ("<math><munderover><mo>∑</mo><mn>1</mn><mi>n</mi></munderover></math>", "∑<sub>1</sub><sup>n</sup>"),
    ("<math><msup><mrow><mi>a</mi></mrow><mn>2</mn></msup></math>", "(a)<sup>2</sup>"),
    ("<math><msup><mi>a</mi><mrow><mn>2</mn></mrow></msup></math>", "a<sup>2</sup>"),
    ("<math><msub><mfrac><mi>a</mi><mi>b</mi></mfrac><mn>2</mn></msub></math>", "(a/b)<sub>2</sub>"),
    ("<math><msubsup><mrow><mi>a</mi></mrow><mn>1</mn><mn>2</mn></msubsup></math>", "(a)<sub>1</sub><sup>2</sup>"),
    ("<math><mfrac><mfrac><mi>a</mi><mi>b</mi></mfrac><mrow><mi>c</mi></mrow></mfrac></math>", "(a/b)/(c)"),
    ("<math><mfrac><mi>a</mi><mi>b</mi></mfrac></math>", "a/b"),
    ("<math><mroot><mrow><mi>a</mi></mrow><mn>3</mn></mroot></math>", "√(a; 3)"),
    (
        "<math><mtable><mtr><mtd><mi>a</mi></mtd><mtd><mi>b</mi></mtd></mtr><mtr><mtd><mi>c</mi></mtd></mtr></mtable></math>",
        "a b<br>c",
    ),
    ("<math><msup><mspace><mn>2</mn></msup></math>", "<sup>2</sup>"),
    ("<math><msup><none><mn>2</mn></msup></math>", "<sup>2</sup>"),
    ("<math><msup><mprescripts><mn>2</mn></msup></math>", "<sup>2</sup>"),
    ("<math><msup><maligngroup><mn>2</mn></msup></math>", "<sup>2</sup>"),
    ("<math><msup><malignmark><mn>2</mn></msup></math>", "<sup>2</sup>"),
    ("<math><msup><mi>a</mi><none></msup></math>", "a<sup></sup>"),
    ("<math><msqrt><mi>x</math>y", "√(x) y"),
    ("<math><msup><mi>x</mi><mn>2</math>y", "x<sup>2</sup> y"),
    ("<math><mi>x</mrow></mi></math>", "x"),
    ("<math><semantics><mi>x</mi><annotation-xml>y</annotation-xml></semantics></math>z", "x z"),
    ('<input type=" CheckBox " checked>a', "☑ a"),
    ("<input type=image alt=Go value=x>a", "Go a"),
    ("<input type=range value=3>a<input type=color value=3>b<input type=file value=c>d", "a b d"),
    ("<input type=password>a", "a"),
    ('<input value="" placeholder="a &lt; b">c', "a &lt; b c"),
    (
        "<progress value=0 max=4></progress>a<progress value=4 max=4></progress>b<progress value=5 max=4>c</progress>",
        "0% a 100% b c",
    ),
    (
        "<progress value=-1>a</progress><meter value=1 max=1>b</meter><meter value=2 max=x>c</meter>",
        "a 100% c",
    ),
    ("<textarea>a\n\nb</textarea>c", "a<br><br>b c"),
    ("<textarea>\n\na</textarea>c", "<br>a c"),
    ('<optgroup label="A">b</optgroup>', "<div>b</div>"),
    ('<select><optgroup label="A &amp; B"><option>c</select>', "A &amp; B: ○ c"),
    ('<embed src="https://contoso.example/a">b', '<a href="https://contoso.example/a">contoso.example/a</a> b'),
    ('<frame src="https://contoso.example/a">b', '<a href="https://contoso.example/a">contoso.example/a</a> b'),
    ('<bgsound src="https://contoso.example/a">b', '<a href="https://contoso.example/a">contoso.example/a</a> b'),
    ('<audio src="https://contoso.example/a">b</audio>', '<a href="https://contoso.example/a">contoso.example/a</a> b'),
    (
        '<object data="https://contoso.example/a">b</object>',
        '<a href="https://contoso.example/a">contoso.example/a</a> b',
    ),
    ("<canvas>a</canvas>b<svg><desc>c</desc><tspan>d</tspan></svg>e", "a b c d e"),
    ("<menuitem>a</menuitem>", "<li>a</li>"),
    (
        "<dir>a</dir><dialog>b</dialog><fieldset>c</fieldset><hgroup>d</hgroup><menu>e</menu><search>f</search><frameset>g</frameset>",
        "<div>a</div><div>b</div><div>c</div><div>d</div><div>e</div><div>f</div><div>g</div>",
    ),
    (
        '<a href="https://a.example"><video src="https://b.example/x">c</video></a>',
        '<a href="https://a.example">b.example/x c</a>',
    ),
    ("<ruby>a<rb>b<rtc>c<rt>d</ruby>e", "abc（d）e"),
    ("<ruby>a<rt>b</rt></ruby>c", "a（b）c"),
    ('<iframe src="mailto:a@b.example">a</iframe>', "a"),
    (
        '<iframe src="https://contoso.example/%20a/?q=1#b"></iframe>',
        '<a href="https://contoso.example/%20a/?q=1#b">contoso.example/%20a</a>',
    ),
    ("<output>a</output><datalist><option>b</datalist>c", "a c"),
    ("<label>a</label>b<label>c</label>", "a b c"),
    ("<option>a<option>b", "a b"),
    ("<script>a</script>b<title>c</title><svg><title>d</title></svg>", "b d"),
    ("<input>a<input type=image>b", "a b"),
    ("<input placeholder='\"a\"'>b", '"a" b'),
    (
        '<xmp>"a"</xmp><iframe src="https://a.example/%22b"></iframe>',
        '<pre>"a"</pre><a href="https://a.example/%22b">a.example/%22b</a>',
    ),
    ('<iframe src="http://a.example">a</iframe>', '<a href="http://a.example">a.example</a> a'),
    ("<select><optgroup><option>c</select>", ": ○ c"),
    ("<ruby>a<rt>b<rp>)</rp>c</ruby>", "a（b）c"),
    ("a<select><option hidden>x<option>b</select>", "a ○ b"),
    ("a<select hidden><option>x</select>b<select><option hidden>x</select>c", "a b c"),
    ("a<option hidden>x</option>b", "a b"),
    ('a<embed src="https://a.example" hidden>b<button hidden>x</button>c', "a b c"),
    ("<svg><text>a<textpath>b</textpath>c</text></svg>", "abc"),
    ('<iframe></iframe></a><a href="https://a.example">b</a>', '<a href="https://a.example">b</a>'),
]


@pytest.mark.parametrize(("html", "shown"), SHOWN)
def test_k10_what_elements_say_stays_readable(html: str, shown: str) -> None:
    """Texts stay apart, and states, values and choices are text."""
    assert build_html(f"{html}<hr>")[0] == f"{shown}<hr>"


@pytest.mark.parametrize(
    ("html", "shown"),
    [
        ("<details><summary>More</summary>Body", "<div><div>More</div>Body</div>"),
        ("<form><input value=a>b", "<div>a b</div>"),
        ("<select><option>a<option>b", "○ a ○ b"),
        ("<p>See <details>", "<p>See &lt;details&gt;</p>"),
    ],
)
def test_k2_container_without_end_tag_is_markup_if_its_content_follows(html: str, shown: str) -> None:
    """A <details> before a <summary> is an element; alone it is a word in angle brackets."""
    assert build_html(f"<p>a</p>{html}")[0] == f"<p>a</p>{shown}"


def test_k10_all_after_plaintext_is_text() -> None:
    """<plaintext> needs no end tag."""
    assert build_html("<p>a</p><plaintext><b>a\n b")[0] == "<p>a</p><pre>&lt;b&gt;a\n b</pre>"


def test_k10_controls_that_a_reader_sees_are_counted() -> None:
    """The report counts what could be filled in, but no hidden field and no label."""
    warnings = build_html("<form><label>a<input></label><input type=hidden><select></select></form>")[1]

    assert warnings == ("2 form controls were removed, because nobody can fill in a mail; their state stays as text.",)


@pytest.mark.parametrize(
    "html", ["<meta name=x>", "<title>x</title>", "<!-- x -->", "<p data-x=1>", "<o:p></o:p>", "<nobr>"]
)
def test_k14_harmless_removals_are_silent(html: str) -> None:
    """What no reader would notice is not reported."""
    assert build_html(f"<p>a</p>{html}")[1] == ()


def test_k14_dropped_tags_are_named() -> None:
    """A tag that could be meant as text is named when it is removed."""
    assert build_html("<my-card>One</my-card><my-card>Two</my-card>")[1] == (
        "2 unknown tags (<my-card>) were removed, because mail programs know no such tags; "
        "the text between them stays.",
    )


LINKS = [
    ('<a href="https://contoso.example/x/?y"><img src="https://a.example/a"></a>', "contoso.example/x"),
    ('<a href="https://contoso.example"><svg><path d=M /></svg></a>', "contoso.example"),
    (
        '<a href="mailto:ada%40contoso.example?subject=x"><img srcset="https://a.example/a 2x"></a>',
        "ada@contoso.example",
    ),
    ('<a href="tel:+15550100"><img src="data:image/png;base64,!"></a>', "+15550100"),
    ('<a href="https://contoso.example/v"><video src="https://contoso.example/f"></video></a>', "contoso.example/f"),
    ('<a href="https://contoso.example"><img src="https://a.example/a" width=1 height=1></a>', "contoso.example"),
    ('<a href="https://contoso.example">&nbsp;<img src="x"> </a>', "contoso.example"),
]


@pytest.mark.parametrize(("html", "text"), LINKS)
def test_k9_link_does_not_lose_its_only_content(html: str, text: str) -> None:
    """A link whose content is removed shows its address."""
    assert text in build_html(f"<p>a</p>{html}")[0].rpartition("<a ")[2].partition("</a>")[0].partition(">")[2]


@pytest.mark.parametrize(
    "html",
    [
        '<a href="https://contoso.example"></a>',
        '<a href="https://contoso.example">x<img src="https://a.example/a"></a>',
        '<a href="https://contoso.example"><img src="https://a.example/a" alt="Logo"></a>',
    ],
)
def test_k9_link_with_other_content_stays_as_it_is(html: str) -> None:
    """A link that has a text, or never had any, gets no address."""
    assert "contoso.example<" not in build_html(f"<p>a</p>{html}")[0]


def test_k14_link_without_target_is_named_by_its_text() -> None:
    """The report quotes the texts of links that lead nowhere, shortened."""
    warnings = build_html(f'<a href="/x">our <b>page</b></a> <a href="javascript:x">{"word " * 30}</a>')[1]

    assert warnings[0].startswith('2 link targets ("our page", "word word')
    assert '…") were removed, because only complete' in warnings[0]
    assert len(warnings[0]) < 220


def test_k14_anchors_work_and_dead_ones_are_said() -> None:
    """A link to an id of the mail works; one to nothing is named."""
    links = "".join(f'<a href="#{target}">{target}</a>' for target in ("a%20b", "c", "d", "top"))
    html = f'{links}<h2 id="a b">A</h2><a id="x">x</a>'

    clean, warnings = build_html(html)

    assert '<a name="a b"></a>A</h2>' in clean
    assert warnings == ('2 links lead to places that this mail does not have, so nothing opens: "c", "d".',)


def test_k9_remote_pictures_are_counted_and_pixels_are_silent() -> None:
    """The report says how many pictures the reader misses; a picture of one pixel is none."""
    html = (
        '<img src="https://a.example/a" alt="A"><img src="//b.example"><img src="https://a.example/p" width=1 height=1>'
    )

    clean, warnings = build_html(html)

    assert clean == "A"
    assert warnings[0].startswith("2 remote pictures were removed")
