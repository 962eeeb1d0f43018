"""What the sanitizer makes of anchors, hidden containers, pictures and links without a target."""

from __future__ import annotations

import pytest

from tests.mail.composing import build_html


@pytest.mark.parametrize(
    ("html", "clean", "said"),
    [
        ('<a href="#x">go</a><p id="x">b</p>', '<a href="#x">go</a><p id="x"><a name="x"></a>b</p>', []),
        ('<a href="#x">go</a><a id="x">b</a>', '<a href="#x">go</a><a id="x" name="x">b</a>', []),
        ('<a href="#x">go</a><a id="x" name="y">b</a>', '<a href="#x">go</a><a id="x" name="y">b</a>', []),
        (
            '<a href="#x">go</a><table id="x"><tr><td>b</td></tr></table>',
            '<a href="#x">go</a><table id="x"><tbody><tr><td>b</td></tr></tbody></table>',
            [],
        ),
        (
            '<a href="#x">go</a><section-x id="x">b</section-x>',
            '<a href="#x">go</a> b',
            [
                '1 link leads to a place that this mail does not have, so nothing opens: "go".',
                "1 unknown tag (<section-x>) was removed",
            ],
        ),
        ('<p id="x">b</p><a id="y">c</a>', '<p id="x">b</p><a id="y">c</a>', []),
        ("a<form hidden>b</form>c", "ac", ['Text that the styles do not display was removed (1 character): "b"']),
        (
            'a<form style="display:none">b<p>c</p></form>d',
            "ad",
            ['Text that the styles do not display was removed (3 characters): "b c"'],
        ),
        (
            "a<my-x hidden>b</my-x>c",
            "a c",
            [
                'Text that the styles do not display was removed (1 character): "b"',
                "1 unknown tag (<my-x>) was removed",
            ],
        ),
        ('a<form style="opacity:0">b</form>c', "ac", ['Text that the styles disguise was removed (1 character): "b"']),
        ('a<form style="zoom:2">b</form>c', "a<div>b</div>c", ["zoom was removed from 1 element"]),
        ('<p style="zoom:2">a</p>', "<p>a</p>", ["zoom was removed from 1 element"]),
        (
            'a<p style="display:none;zoom:2">b</p>',
            "a",
            ['Text that the styles do not display was removed (1 character): "b"'],
        ),
        (
            "a<form hidden>b<form>c</form>d</form>e",
            "ae",
            ['Text that the styles do not display was removed (5 characters): "b c d"'],
        ),
        ('a<img src="https://a.example/p" width=1 height=1>', "a", []),
        ('a<img src="https://a.example/p" width=0 height="1px">', "a", []),
        ('a<img src="https://a.example/p" width=1>', "a", ["1 remote picture was removed"]),
        ('a<img src="https://a.example/p" width=2 height=1>', "a", ["1 remote picture was removed"]),
        ('a<img src="https://a.example/p" width=1 height=1 alt=b>', "a b", ["1 remote picture was removed"]),
        ('a<img src="https://a.example/p" width=1 height=1 alt=" ">', "a ", []),
        ('a<img srcset="https://a.example/p 2x">', "a", ["1 remote picture was removed"]),
        ("a<img>", "a&lt;img&gt;", []),
        ('a<img src="" alt=b>', "a b", []),
        ('a<img src="https://a.example/b" alt=b hidden>', "a", ["1 remote picture was removed"]),
        ('a<image src="https://a.example/b" alt=b>', "a b", ["1 remote picture was removed"]),
        ('<a href="javascript:x">a <b>b</b></a>c', "<a>a <b>b</b></a>c", ['1 link target ("a b") was removed']),
        ('<a href="/x"></a>a', "<a></a>a", ["1 link target (without text) was removed"]),
        ('<a href="/x">a<a href="/y">b', "<a>a</a><a>b</a>", ['2 link targets ("a", "b") were removed']),
        ('<a href="/x">a &amp; b</a>', "<a>a &amp; b</a>", ['1 link target ("a & b") was removed']),
        (
            '<a href="https://a.example">a</a><a href="/x">b</a>',
            '<a href="https://a.example">a</a><a>b</a>',
            ['1 link target ("b") was removed'],
        ),
        ("<b onclick=x>a</b>", "<b>a</b>", ["1 event handler was removed"]),
        ("<td background=x>a</td>", "a", ["1 background picture was removed"]),
        ('<img src="data:text/plain,x" alt=a>b', "a b", ["1 picture inside the HTML was removed"]),
        ('<img src="data:image/svg+xml,<svg>">b', "b", ["1 SVG picture inside the HTML was removed"]),
        (
            '<body text=red link=blue><a href="tel:12345">x</a><a name=y>z</a>w</body>',
            '<div style="color:#ff0000"><a href="tel:12345" style="color:#0000ff">x</a><a name="y">z</a>w</div>',
            [],
        ),
        (
            '<body link=#00f><a href="https://a.example" style="font-weight:bold">x</a></body>',
            '<div><a href="https://a.example" style="color:#0000ff;font-weight:bold">x</a></div>',
            [],
        ),
        ("<body bgcolor=black text=white>a</body>", '<div bgcolor="black" style="color:#ffffff">a</div>', []),
        (
            '<body link=nonsense text=none><a href="https://a.example">x</a></body>',
            '<div><a href="https://a.example">x</a></div>',
            [],
        ),
    ],
)
def test_k9_anchors_pictures_and_links_are_cleaned(html: str, clean: str, said: list[str]) -> None:
    """What a reader would see stays, and what is lost is said."""
    body, warnings = build_html(html)

    assert body == clean
    assert [warning.partition(", because")[0] for warning in warnings] == said
