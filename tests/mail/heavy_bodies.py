"""Bodies of every shape, as large as the limits admit, or larger; for measuring what the worst of them costs."""

from __future__ import annotations

from collections.abc import Callable

from m365_mcp.mail.html import limits
from m365_mcp.mail.markdown import MAX_CELLS, MAX_CHARACTERS

_STYLE = "font-family:Arial;font-size:12pt;color:#333333;margin:0 0 8px"
_E = limits.MAX_ELEMENTS
_A = limits.MAX_ADDRESSES


def _many(piece: str, count: int = MAX_CHARACTERS) -> Callable[[int], str]:
    """Return what repeats `piece`, at most `count` times, within a number of characters."""
    return lambda length: piece * min(count, length // len(piece))


def _numbered(piece: str, count: int) -> Callable[[int], str]:
    return lambda length: "".join(piece.replace("#", str(n)) for n in range(count))[:length]


def _around(before: str, piece: str, after: str = "") -> Callable[[int], str]:
    return lambda length: before + piece * ((length - len(before + after)) // len(piece)) + after


def _table(cell: str, columns: int) -> Callable[[int], str]:
    def row(content: str) -> str:
        return "|" + f"{content}|" * columns + "\n"

    return lambda length: (row("h") + row("-") + row(cell) * (MAX_CELLS // columns - 2))[:length]


def _styled(css: str, piece: str, count: int = limits.MAX_SHEET_ELEMENTS - 10) -> Callable[[int], str]:
    """Return what repeats `piece` below a style sheet, with `#` in it numbered."""
    sheet = f"<style>{css}</style>"
    return lambda length: (sheet + "".join(piece.replace("#", str(n)) for n in range(count)))[:length]


def _rules(rule: str, count: int) -> str:
    return "".join(rule.replace("#", str(n)) for n in range(count))


# Each is a function of a number of characters: the largest body within it.
MARKDOWN: dict[str, Callable[[int], str]] = {
    "wide table": _table("b", 40),
    "narrow table": _table("b", 1),
    "table of emphasis": _table("*b*", 6),
    "table of links": _table("[b](c)", 6),
    "small tables": _many("a|b\n-|-\n\n", MAX_CELLS // 6),
    "list": _many("- a\n"),
    "loose list": _many("- a\n\n"),
    "numbered list": _many("1. a\n"),
    "nested list": _many("".join(f"{' ' * 2 * depth}- a\n" for depth in range(12))),
    "lists in quotes": _many("> - > - > - a\n"),
    "loose lists in quotes": _many("> - > - > - a\n\n"),
    "deep quotes": _many(">" * 13 + "a\n"),
    "quote that goes on": _around("> > > > > > > > > > > > a\n", "b\n"),
    "list marks": _many("- "),
    "paragraphs": _many("a\n\n"),
    "line breaks": _many("a\n"),
    "headings": _many("# a\n"),
    "underlined headings": _many("a\n-\n"),
    "rules": _many("---\n\n"),
    "emphasis that stays open": _many("*a **b "),
    "emphasis": _many("*a* "),
    "emphasis in words": _many("a**b"),
    "stars and lines": _many("*a_"),
    "strikethrough": _many("~~a~~ "),
    "links": _many("[a](b) "),
    "links that show another address": _many("[a.example](https://b.example/c) "),
    "links without an end": _many("[a]("),
    "brackets": _many("["),
    "brackets in brackets": lambda length: "[" * (length // 2) + "]" * (length // 2),
    "pictures": _many("![](a)"),
    "pictures in pictures": _many("![" * 12 + "a" + "](b)" * 12 + "\n"),
    "reference definitions": _numbered("[r#]: /u#\n", 20_000),
    "references": _around("[r]: /u\n\n", "[r]"),
    "long references": _around("[r]: /" + "u" * 1_000 + "\n\n", "[r]"),
    "definition that stays open": _around('[r]: /u "', "t\n"),
    "definitions that stay open": _many('[a]: b "c\n'),
    "definition title": _many('[a]: b\n"c\n'),
    "inline HTML": _many("<b>a</b> "),
    "inline HTML that stays open": _many("<b>"),
    "comments that stay open": _many("a <!-- "),
    "instructions that stay open": _many("a <? "),
    "sections that stay open": _many("a <![CDATA[ "),
    "attributes that stay open": _many('<a x="'),
    "single <": _many("<"),
    "automatic links": _many("<http://a> "),
    "HTML blocks": _many("<div>\n\n"),
    "backticks of all lengths": lambda length: "".join("`" * n + " " for n in range(1, 630))[:length],
    "code": _many("`a` "),
    "code that stays open": _many("`a ``b "),
    "fences": _many("```\na\n```\n"),
    "indented code": _many("    a\n\nb\n\n"),
    "entities": _many("&amp;"),
    "numeric entities": _many("&#1;"),
    "single &": _many("&"),
    "escapes": _many("\\*"),
    "long line": _many("x"),
    "spaces": _around("a", " ", "b"),
    "tabs": _many("\t"),
    "lines of spaces": _many(" " * 100 + "\n"),
    "hard breaks": _many("a  \n"),
    "wide characters": _many("\U0001f600 "),
    "emphasis beside CJK characters": _many("**「a」**內"),
    "names with underscores": _many("_a_b_c_ "),
    "underscores": _many("_a"),
    "paths": _many("C:\\*"),
    "path that goes on": _around("C:", "\\*"),
    "web addresses": _many("https://a.example/b "),
    "addresses without a host": _many("http://"),
    "labels of a host": _many("www."),
    "mail addresses": _many("a@b.example "),
    "addresses in one another": _many("a@b.cc,"),
    "local parts": _around("@ ", "a" * 63 + " "),
    "brackets in an address": _around("https://a.example/", "()"),
    "punctuation after an address": _around("https://a.example/", "."),
    "targets with blanks": _many("[a](https://b c) "),
    "targets that stay open": _many("[a](https://b (c "),
    "blanks in a target": _around("[a](https://b", " ", "x"),
    "references to one footnote": _around("[^a]: x\n\n", "[^a]"),
    "footnotes": lambda length: (
        "".join(f"[^{n}]" for n in range(8_000)) + "\n\n" + "".join(f"[^{n}]: x\n" for n in range(8_000))
    )[:length],
    "footnotes in footnotes": lambda length: ("[^0]\n\n" + "".join(f"[^{n}]: x[^{n + 1}]\n" for n in range(9_000)))[
        :length
    ],
    "footnotes that stay open": _around("[^a]: x\n\n", "[^"),
    "definitions that are used": _numbered("[r#]: https://u#\n[r#]\n", 9_000),
    "tasks": _many("- [x] a\n"),
    "list that skips numbers": _many("1. a\n3. b\n"),
    "cells beside a table": lambda length: "a|b\n-|-\n" + ("|" * 60 + "\n") * (min(length, 190_000) // 61),
    "quotes and answers": _many("> a\nb\n"),
    "comparisons": _many(">5\n"),
    "years": _many("2026. a\n"),
    "placeholders": _many("<Name>\n"),
    "titles of code": _many("``` a b\n```\n"),
}
HTML: dict[str, Callable[[int], str]] = {
    "paragraphs": _many("<p>a", _E),
    "paragraphs with styles": _many(f'<p style="{_STYLE}">abc</p>', _E),
    "styles that differ": _numbered('<p style="margin:#px;color:red">a</p>', 15_000),
    "styles that are removed": _numbered('<p style="position:#;zoom:#">a</p>', 15_000),
    "long styles": _numbered(f'<p style="x:#;{"font:a;" * 1_400}">a</p>', 20),
    "style of one value": _many(f'<p style="color:{"a" * 9_900}">', 200),
    "style of brackets": _many(f'<p style="color:{"a(" * 4_900}">', 200),
    "style of open comments": _many(f'<p style="color:{"/*" * 4_900}">', 200),
    "style of comments": _many(f'<p style="color:{"/**/" * 2_400}">', 200),
    "cells with attributes": _many("<td align=left valign=top width=1>a</td>", _E),
    "fonts": _many("<font color=red size=2 face=Arial>a</font>", _E),
    "tables in tables": _many("<table><tbody><tr><td>" * 45 + "a" + "</td></tr></tbody></table>" * 45, _E // 180),
    "divs in divs": _many("<div>" * 190 + "a" + "</div>" * 190, _E // 190),
    "formatting": _many("<b>a</b>", _E),
    "formatting around paragraphs": _many("<b><p>a</b>b</p>", _E // 2 - 100),
    "formatting that stays open": lambda length: "<b><i><u><s>" + "<p>a</p>" * (_E // 2),
    "much formatting that stays open": lambda length: "<b>" * 190 + "<p>a</p>" * (limits.MAX_FORMATTING // 400),
    "links": _many('<a href="https://b.example/c">x</a>', _A),
    "links that differ": _numbered('<a href="https://b#.example/c">x</a>', _A),
    "links that show names in other alphabets": _numbered('<a href="https://b#.example/c">bücher#.example</a>', _A),
    "links with long texts": _many('<a href="https://b.example/c">' + "a." * 1_000 + "</a>", _A),
    "links that are removed": _many('<a href="javascript:x">x</a>', _A),
    "links among styles": lambda length: (
        "".join(f'<a href="https://b{n}.example/c" style="margin:{n}px;x:y">bücher{n}.example</a>' for n in range(_A))
        + f'<p style="{_STYLE}">abc</p>' * (_E - _A)
    ),
    "inline pictures": _many('<img src="cid:a" alt=b width=1>', _A),
    "remote pictures": _many('<img src="https://b.example/c" alt="abc">', _A),
    "unknown tags": _many("<foo>a</foo>", _E),
    "end tags": _many("</p>", _E),
    "end tags of nothing": _many("</b>", limits.MAX_TAGS),
    "single <": _many("<", limits.MAX_TAGS),
    "single < in text": _many("< a", limits.MAX_TAGS),
    "comments": _many("<!-- a -->", limits.MAX_TAGS),
    "scripts": _many("<script>a</script>", _E),
    "single &": _many("&", limits.MAX_REFERENCES),
    "character references": _many("&#65;", limits.MAX_REFERENCES),
    "entities": _many("&amp;", limits.MAX_REFERENCES),
    "entities in attributes": _many(f'<p title="{"&amp;" * 50}">', limits.MAX_REFERENCES // 50),
    "attributes that are dropped": _many("<p data-a data-b data-c>", _E),
    "one tag with many attributes": lambda length: (
        "<p " + " ".join(f"a{n}" for n in range(limits.MAX_ATTRIBUTES)) + ">"
    ),
    "one long attribute": _around('<p title="', "a", '">'),
    "quotes in one attribute": _around("<p title='", '"', "'>"),
    "attribute that stays open": _around('<p title="', "a"),
    "comparisons": _many("<b and c> ", limits.MAX_TAGS),
    "words in angle brackets": _many("<your-name> ", limits.MAX_TAGS),
    "data in angle brackets": _many("<key>\n value</key>", limits.MAX_TAGS // 2),
    "attributes that stay open in turn": _around("<b w ", 'k="<b w " '),
    "attributes in two kinds of quotes": _around("<a x='", '<b w k="', ">"),
    "options": _many("<option selected>a</option>", _E),
    "labels": _many("<label>a</label>", _E),
    "formulas": _many("<math><msup><mi>x</mi><mn>2</mn></msup></math>", _E // 5),
    "pictures inside": _many('<img src="data:image/png;base64,iVBORw0KGgo=">', _A),
    "pictures inside that are none": _many('<img src="data:image/png;base64,iVBO">', _A),
    "one large picture inside": _around('<img src="data:image/png;base64,iVBORw0KGgo', "A", '">'),
    "links that show many addresses": _many('<a href="https://b.example/c">' + "a.example " * 70 + "</a>", _A),
    "links in alphabets that show many": _many(
        '<a href="https://b.example/c">' + "bücher.b\u200b.example " * 25 + "</a>", _A
    ),
    "links to places": _numbered('<a href="#a#">x</a><p id="a#">y</p>', _A // 2),
    "links that lose their pictures": _many('<a href="https://b.example/c"><img src="x"></a>', _A // 2),
    "event handlers": _many("<p onclick=a onload=b>", _E),
    "breaks": _many("a<br>\n", _E),
    "list items": _many("<li>a", _E),
    "quotes with sources": _many('<blockquote cite="mid:a@b.example">a</blockquote>', _A),
    "text": _many("word "),
    "text in other alphabets": _many("é"),
    "text with one wide character": _around("\U0001f600", "x"),
    "line breaks": _many("\n"),
    "hidden pieces": _many('<span style="font-size:0">a</span>b', _E),
    "fonts beside hidden text": lambda length: (
        "<p hidden>a</p>" + "<font color=red size=2 face=Arial>a</font>" * (_E - 10)
    ),
    "gradients that differ": _numbered('<p style="background:linear-gradient(#00#,red);color:#fff">a</p>', 15_000),
    "colours that differ": _numbered('<p style="color:#00#;background:#11#">a</p>', 10_000),
    "colours in words": _numbered('<p style="color:hsl(#,1%,1%);background:hsl(0,#%,9%)">a</p>', 10_000),
    "one rule for all elements": _styled("p{font-family:Arial;font-size:12pt;color:#333}", "<p>a</p>"),
    "a rule beside fonts that differ": _styled("font{margin:0 0 8px}", "<font color=red size=# face=a#>a</font>"),
    "a gradient for all elements": _styled("p{background:linear-gradient(red,blue)}", "<p title=# lang=#>a</p>"),
    "* selectors": _styled(_rules("*{margin:#px}", 8), "<p>a</p>"),
    "many rules": _styled(_rules(".a{margin:#px}", 4_900), '<p class="a">a</p>', 200),
    "many rules for many elements": _styled(_rules(".a#{margin:#px}", 2_000), '<p class="a#">a</p>'),
    "rules of no element": _styled(_rules(".b# td a{x:y}", 4_900), "<p>a</p>"),
    "empty rules": _styled(_rules("a{}", 4_900), "<p>a</p>"),
    "long selector lists": _styled(",".join(["p"] * 4_900) + "{color:red}", "<p>a</p>", 200),
    "deep descendants": _styled(_rules("[x#] div div>div{margin:0}", 4), "<div>" * 190 + "a" + "</div>" * 190, 60),
    "siblings": _styled("b ~ p ~ p{color:red}", "<p>a</p>", 3_000),
    ":has and :not of siblings": _styled("p:has(~ b),p:not(b ~ p){color:red}", "<p>a</p>", 2_200),
    ":not and :nth-child": _styled(_rules("p:not(.b#):nth-child(2n + #){x:y}", 80), "<p>a</p>"),
    "many classes": _styled(_rules(".c#{margin:#px}", 99), f'<p class="{_rules("c# ", 99)}">a</p>', 450),
    "sheet of small declarations": _styled("p{" + "a:b;" * 37_000 + "}", "<p>a</p>", 1),
    "sheet of punctuation": _styled("p{a:" + ",;" * 74_000 + "}", "<p>a</p>", 1),
    "sheet of brackets": _styled("p{a:" + "[" * 70_000, "<p>a</p>", 1),
    "sheet of strings": _styled("p{a:" + "'b'" * 49_000 + "}", "<p>a</p>", 1),
    "sheet of comments": _styled("/**/" * 37_000, "<p>a</p>", 1),
    "sheet that stays open": _styled("p{a:'" + "b" * 140_000, "<p>a</p>", 1),
    "thousands of style elements": _many("<style>p{margin:0}</style><p>a</p>", 4_900),
    "variables in variables": _styled(
        ":root{"
        + _rules("--a#:var(--b#) var(--b#);--b#:var(--a#) var(--a#);", 90)
        + "}"
        + "p{margin:var(--a0)}" * 3_000,
        "<p>a</p>",
        300,
    ),
    "removed elements beside a style sheet": _styled("p{margin:0}", "<button>a</button>"),
}
