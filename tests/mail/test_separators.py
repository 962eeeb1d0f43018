"""Texts whose elements are removed stay apart."""

from __future__ import annotations

import pytest

from m365_mcp.mail.html.separators import Separator, write_separators
from m365_mcp.mail.html.tokens import End, Start, Text, Token, write_tokens

PIECES: dict[str, Token | Separator] = {
    "_": Separator.BLANK,
    "~": Separator.SOFT,
    "|": Separator.LINE,
    "<p>": Start("p"),
    "</p>": End("p"),
    "<b>": Start("b"),
    "<img>": Start("img"),
    "</img>": End("img"),
    "<wbr>": Start("wbr"),
}


@pytest.mark.parametrize(
    ("written", "html"),
    [
        ("a _ b", "a b"),
        ("a ~ b", "a b"),
        ("a ~ ~ b", "a<br>b"),
        ("a _ ~ b", "a b"),
        ("a ~ _ b", "a b"),
        ("a ~ _ ~ b", "a<br>b"),
        ("a | b", "a<br>b"),
        ("a | _ b", "a<br>b"),
        ("a _ | b", "a<br>b"),
        ("_ a | ~", "a"),
        ("a <p> | b </p> _ c", "a<p>b</p>c"),
        ("a <b> _ b", "a<b> b"),
        ("a _ <img> b", "a <img>b"),
        ("a | <img> _ b", "a<br><img> b"),
        ("<img> _ <img>", "<img> <img>"),
        ("a _ </img> b", "a</img> b"),
        ("a _ <wbr> b", "a<wbr> b"),
        ("( _ b", "(b"),
        ("a _ .", "a."),
        ("a / _ b", "a/b"),
        ("a | .", "a<br>."),
        ("a _ \t b", "a\tb"),
        ("\t | b", "\tb"),
        ("a\xa0 _ b", "a\xa0b"),
    ],
)
def test_k10_removed_element_leaves_a_blank_or_a_line(written: str, html: str) -> None:
    """Only where text stands on both sides, and no punctuation or white space keeps it apart already."""
    pieces = (PIECES.get(word, Text(word)) for word in written.split(" "))

    assert write_tokens(write_separators(pieces)) == html


@pytest.mark.parametrize(
    ("characters", "side"),
    [("([{«„‚¿¡（「『《【/ \n\r\f", "before"), (".,;:!?)]}»…%）」』》】、。，；：！？/ \n\r\f\xa0", "after")],
)
def test_k10_punctuation_needs_no_blank(characters: str, side: str) -> None:
    """Behind an opening bracket, in front of a full stop, and their like in other scripts."""
    for character in characters:
        texts = (f"a{character}", "b") if side == "before" else ("a", f"{character}b")
        html = write_tokens(write_separators([Text(texts[0]), Separator.BLANK, Text(texts[1])]))

        assert html == "".join(texts)
