"""Bodies that Hypothesis makes: HTML of simple tags, plain text, and Markdown together with what its reader sees."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import strategies as st

from tests.corpus.bodies import Body

# Words as people write them. None of them begins a tag, an entity or Markdown.
WORDS = ["word", "42", "1.5", "ada@contoso.example", "a_b_c", "x=y", "50%", "A&B", "R&D", "&", "é", "ß", "Łódź", "it's"]
WORDS += [
    "“quoted”",
    "注意",
    "「重點」",
    "会议。",
    "会議は、",
    "회의가",
    "مرحبا",
    "שלום",
    "👩‍💻",
    "👍🏽",
    "می‌خواهم",
    "(in brackets)",
]
BRACKETS = ["<ada@contoso.example>", "<https://contoso.example/a>", "a < b", "x <= 3", "b > c", "->", "<3", "<-"]
ENTITIES = ["&lt;p&gt;", "&amp;", "&amp;lt;", "&copy;", "&euro;5", "&#8212;", "&#x4E2D;", "&nbsp;x", "&lt;b&gt;"]
COLOURS = ["color:#b91c1c", "color:navy;background-color:#eeeeee", "font-size:12pt", "font-weight:bold", "margin:0"]

words = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join)
html_text = st.lists(st.sampled_from([*WORDS, "a < b", "b > c", *ENTITIES]), min_size=1, max_size=4).map(" ".join)
styles = st.sampled_from(["", *(f' style="{style}"' for style in COLOURS)])


def _tag(names: Iterable[str], content: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds("<{0}{1}>{2}</{0}>".format, st.sampled_from(sorted(names)), styles, content)


def _wrap(content: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    link = st.builds('<a href="https://contoso.example/?a=1&amp;b=2">{}</a>'.format, content)
    return _tag(["b", "i", "u", "s", "code", "span", "sub", "font", "small"], content) | link


inline = st.recursive(html_text, lambda inner: _wrap(inner) | st.builds("{} {}".format, inner, inner), max_leaves=4)
line = st.lists(inline, min_size=1, max_size=3).map("<br>".join)
cells = st.lists(_tag(["td", "th"], line), min_size=2, max_size=2).map("".join)
table = st.builds(
    "<table{}>{}</table>".format, styles, st.lists(_tag(["tr"], cells), min_size=1, max_size=3).map("".join)
)
items = st.lists(_tag(["li"], line), min_size=1, max_size=3).map("".join)
pre = st.builds("<pre>{}\n  {}</pre>".format, html_text, html_text)


def _blocks(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return _tag(["div", "blockquote"], inner) | st.builds("{}{}".format, inner, inner)


block = _tag(["p", "h2", "div", "center"], line) | _tag(["ul", "ol"], items) | table | pre | st.just("<hr>")
html_bodies = st.builds("<p>{}</p>{}".format, line, st.recursive(block, _blocks, max_leaves=5))

# Style sheets as models write them: classes that colour, hide, line up and mark.
RULES = [
    ".a{background:linear-gradient(90deg,#1e3a8a,#0f766e);color:#fff}",
    ".a{background-color:#111827;color:#f9fafb}",
]
RULES += [".b{display:none}", ".b{visibility:hidden}", ".b{font-size:0}", ".b{position:absolute;left:-9999px}"]
RULES += [
    ".b{opacity:0}",
    ".b{height:0;overflow:hidden}",
    ".b{color:#ffffff}",
    ".b{color:transparent}",
    ".b{display:block}",
]
RULES += [".c{text-transform:uppercase;color:#065f46}", ".c{display:inline-block;width:45%}", ".c>b{color:#991b1b}"]
RULES += [
    "p{color:#374151}",
    "div .c{background:#fef3c7}",
    "td{border:1px solid #ccc}",
    "td.a{color:#fbbf24}",
    "ul{list-style:none}",
]
RULES += [
    "@media (max-width:400px){.a{display:none}}",
    "#d{background:#7f1d1d;color:#fee2e2}",
    "body{background:#f8fafc}",
]

sheet = st.lists(st.sampled_from(RULES), max_size=6).map("\n".join)
marked = st.sampled_from(
    ["", ' class="a"', ' class="b"', ' class="c"', ' class="a c"', ' id="d"', ' style="color:#333"']
)


def _marked_tag(names: Iterable[str], content: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds("<{0}{1}>{2}</{0}>".format, st.sampled_from(sorted(names)), marked, content)


marked_inline = html_text | _marked_tag(["b", "span"], html_text)
marked_row = st.lists(_marked_tag(["td"], marked_inline), min_size=2, max_size=2).map("".join)
marked_table = st.builds("<table{}><tr>{}</tr></table>".format, marked, marked_row)
marked_block = _marked_tag(["p", "div", "h2"], marked_inline) | _marked_tag(["ul"], _marked_tag(["li"], marked_inline))
marked_blocks = st.recursive(
    marked_block | marked_table,
    lambda inner: _marked_tag(["div"], inner) | st.builds("{}{}".format, inner, inner),
    max_leaves=5,
)
styled_bodies = st.builds("<style>{}</style><body><p>First</p>{}</body>".format, sheet, marked_blocks)

text_line = st.lists(st.sampled_from(WORDS + BRACKETS), min_size=1, max_size=5).map(" ".join)
text_bodies = st.lists(st.lists(text_line, min_size=1, max_size=3).map("\n".join), min_size=1, max_size=3).map(
    "\n\n".join
)

# Markdown is made as a pair: what is written, and what a reader sees of it.
Pair = tuple[str, str]
plain = words.map(lambda text: (text, text))


def _mark(mark: str) -> st.SearchStrategy[Pair]:
    return words.map(lambda text: (f"{mark}{text}{mark}", text))


link = words.map(lambda text: (f"[{text}](https://contoso.example/a)", text))
spans = plain | _mark("**") | _mark("*") | _mark("`") | _mark("~~") | link


def _together(pairs: list[Pair], between: str) -> Pair:
    return between.join(pair[0] for pair in pairs), between.join(pair[1] for pair in pairs)


md_line = st.lists(spans, min_size=1, max_size=3).map(lambda pairs: _together(pairs, " "))
# Bold in Chinese stands without spaces, with its punctuation inside (commonmark-spec issue 650).
cjk = st.sampled_from(["注意：", "「重點」", "（一）", "会议。", "重要（必読）"]).map(
    lambda text: (f"這是**{text}**請看", f"這是{text}請看")
)
md_paragraph = st.lists(md_line | cjk, min_size=1, max_size=3).map(lambda pairs: _together(pairs, "\n"))


def _list(pairs: list[Pair], marks: list[Pair]) -> Pair:
    marked = [(f"{mark} {pair[0]}", f"{shown} {pair[1]}") for pair, (mark, shown) in zip(pairs, marks, strict=False)]
    return _together(marked, "\n")


def _table(rows: list[tuple[Pair, Pair]]) -> Pair:
    written = [f"| {one[0]} | {other[0]} |" for one, other in rows]
    seen = "\n".join(f"{one[1]} {other[1]}" for one, other in rows)
    return "\n".join([written[0], "|---|---|", *written[1:]]), seen


md_items = st.lists(md_line, min_size=1, max_size=3)
md_bullets = md_items.map(lambda pairs: _list(pairs, [("-", "•")] * 3))
md_numbers = md_items.map(lambda pairs: _list(pairs, [("1.", "1."), ("2.", "2."), ("3.", "3.")]))
md_heading = words.map(lambda text: (f"## {text}", text))
md_quote = md_line.map(lambda pair: (f"> {pair[0]}", pair[1]))
md_fence = text_line.map(lambda text: (f"```\n{text}\n  x < y\n```", f"{text}\n  x < y"))
md_table = st.lists(st.tuples(spans, spans), min_size=2, max_size=3).map(_table)
md_block = md_paragraph | md_bullets | md_numbers | md_heading | md_quote | md_fence | md_table
# A heading between two blocks, so that two lists are not one.
markdown_bodies = st.lists(st.tuples(md_heading, md_block), min_size=1, max_size=3).map(
    lambda pairs: _together([pair for two in pairs for pair in two], "\n\n")
)


def html_body(text: str) -> Body:
    return Body("generated", "HTML", "html", "generated", "mul", text)


def text_body(text: str) -> Body:
    return Body("generated", "HTML", "text", "generated", "mul", text)


def markdown_body(pair: Pair) -> Body:
    return Body("generated", "Markdown", "markdown", "generated", "mul", pair[0], expected=pair[1])
