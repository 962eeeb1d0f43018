"""The HTML tags of a text that may be no HTML, and what they say about its format."""

from __future__ import annotations

import pytest

from m365_mcp.mail.markup import (
    BLOCKS,
    DOCUMENT,
    PREFORMATTED,
    find_tags,
    has_blocks,
    has_entities,
    is_document,
    is_only_blocks,
    visible_source,
)


@pytest.mark.parametrize(
    ("text", "found", "document", "blocks", "only_blocks", "visible"),
    [
        ("a", [], False, False, False, "a"),
        ("a <b>b</B >c", ["b@2-5", "/b@6-11"], False, False, False, "a bc"),
        ("<!-- a --><br>", ["!--=@0-10", "br@10-14"], False, True, False, "|"),
        ("<!DOCTYPE html>a", ["!doctype=@0-15"], True, True, True, "|a"),
        ("<?xml?><p>a</p>", ["p@7-10", "/p@11-15"], False, True, False, "<?xml?>|a|"),
        ("<p>a</p><?php ?><b>c</b>", ["p@0-3", "/p@4-8", "b@16-19", "/b@20-24"], False, True, False, "|a|<?php ?>c"),
        ("<plaintext><p>a", ["plaintext@0-15"], False, True, True, "|"),
        ("a</br>b", ["/br@1-6"], False, True, False, "a|b"),
        ("<p class=a>b</p>", ["p=@0-11", "/p@12-16"], False, True, True, "|b|"),
        ("<p\n/>a", ["p@0-5"], False, True, True, "|a"),
        ("<p>a</p> b", ["p@0-3", "/p@4-8"], False, True, False, "|a| b"),
        ("<p>a</p> <br> <!-- b --> ", ["p@0-3", "/p@4-8", "br@9-13", "!--=@14-24"], False, True, True, "|a| |  "),
        ("b<p>a</p>", ["p@1-4", "/p@5-9"], False, True, False, "b|a|"),
        ("<ul><li>a</li></ul>", ["ul@0-4", "li@4-8", "/li@9-14", "/ul@14-19"], False, True, True, "||a||"),
        ("<p>a</p></p>b<p>", ["p@0-3", "/p@4-8", "/p@8-12", "p@13-16"], False, True, False, "|a||b|"),
        ("<p>a<p>b", ["p@0-3", "p@4-7"], False, True, True, "|a|b"),
        ("<b>a</b>", ["b@0-3", "/b@4-8"], False, False, False, "a"),
        ("<p>a</p><b>c</b>", ["p@0-3", "/p@4-8", "b@8-11", "/b@12-16"], False, True, False, "|a|c"),
        ("<hr>", ["hr@0-4"], False, True, False, "|"),
        ("<br>", ["br@0-4"], False, True, False, "|"),
        (
            "<table><tr><td>a</td></tr></table>",
            ["table@0-7", "tr@7-11", "td@11-15", "/td@16-21", "/tr@21-26", "/table@26-34"],
            False,
            True,
            True,
            "|||a|||",
        ),
        ("<script>a</script>", ["script=@0-9", "/script@9-18"], False, True, True, "||"),
        ("<p>a</p><style>b{}</style>", ["p@0-3", "/p@4-8", "style=@8-18", "/style@18-26"], False, True, True, "|a|||"),
        ("<details>a</details>", ["details@0-9", "/details@10-20"], False, True, True, "|a|"),
        ("<template>a</template>", ["template@0-10", "/template@11-22"], False, True, True, "|a|"),
        ("<search>a</search>", ["search@0-8", "/search@9-18"], False, True, True, "|a|"),
        ("<xmp>a</xmp>", ["xmp=@0-6", "/xmp@6-12"], False, True, True, "||"),
        (
            "<pre>a</pre>b<code>c<code>d</code>e</code>f<p>g</p>",
            ["pre@0-5", "/pre@6-12", "code@13-19", "code@20-26", "/code@27-34", "/code@35-42", "p@43-46", "/p@47-51"],
            False,
            True,
            False,
            "||bf|g|",
        ),
        ("a<div>b</div>c", ["div@1-6", "/div@7-13"], False, True, False, "a|b|c"),
        (
            "<pre>a</pre></pre>b<pre>c</pre>",
            ["pre@0-5", "/pre@6-12", "/pre@12-18", "pre@19-24", "/pre@25-31"],
            False,
            True,
            False,
            "|||b||",
        ),
        ("<div><p>a</p>b</div>", ["div@0-5", "p@5-8", "/p@9-13", "/div@14-20"], False, True, True, "||a|b|"),
        ("<![if x]><p>a</p>", ["p@9-12", "/p@13-17"], False, True, False, "<![if x]>|a|"),
    ],
)
def test_k1_tags_say_what_a_text_is(
    text: str, found: list[str], document: bool, blocks: bool, only_blocks: bool, visible: str
) -> None:
    """Each tag by its name and place: `/` marks an end tag, `=` attributes; in the visible text, `|` marks a block."""
    tags = find_tags(text)

    assert [f"{'/' * tag.is_end}{tag.name}{'=' * tag.has_attributes}@{tag.start}-{tag.end}" for tag in tags] == found
    assert (is_document(tags), has_blocks(tags), is_only_blocks(text, tags)) == (document, blocks, only_blocks)
    assert visible_source(text, tags).replace("\n\u2028\n", "|") == visible


def test_k1_no_letter_has_ten_thousand_tags() -> None:
    """The limit itself is read."""
    assert len(find_tags("<b>" * 10_000)) == 10_000
    assert find_tags("<b>" * 10_001) == []


@pytest.mark.parametrize(
    ("text", "has"),
    [
        ("&amp;", True),
        ("a &#65; b", True),
        ("&#x4F;", True),
        ("&#X4f;", True),
        ("&frac12;", True),
        ("&Auml;", True),
        ("&CounterClockwiseContourIntegral;", True),
        ("&amp", False),
        ("&nothing;", False),
        ("&;", False),
        ("&#;", False),
        ("&#12345678;", False),
        ("&x;" * 999 + "&amp;", True),
        ("&x;" * 1_000 + "&amp;", True),
        ("&xx;" * 999 + "&amp;", True),
        ("&xx;" * 1_000 + "&amp;", False),
        ("&amp;" + "&" * 99_999, True),
        ("&amp;" + "&" * 100_000, False),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else None,
)
def test_k1_entity_is_one_of_html(text: str, has: bool) -> None:
    """With its semicolon, among the first thousand, in a text that is no list of ampersands."""
    assert has_entities(text) is has


def test_k1_names_of_blocks_are_in_lower_case() -> None:
    """No name is misspelt at the ends of the lists."""
    assert {"!doctype", "html", "head", "body"} == DOCUMENT
    assert {"listing", "plaintext", "pre", "xmp"} == PREFORMATTED
    assert {"details", "search", "style", "xmp", "dir", "p", "table"} <= BLOCKS
    assert all(name == name.lower() for name in BLOCKS)
