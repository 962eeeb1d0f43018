"""The lists of names that the rules for HTML are made of: none is lost, and none is misspelt."""

from __future__ import annotations

import re

import pytest

from m365_mcp.errors import BodyTooComplex
from m365_mcp.mail.html import elements, limits, properties
from m365_mcp.mail.markdown import limits as markdown_limits
from m365_mcp.mail.markdown.limits import Steps, check_cells


@pytest.mark.parametrize(
    ("names", "number", "some"),
    [
        (elements.FORMATTING, 28, "a tt u var"),
        (elements.BLOCK_ELEMENTS, 28, "address li main nav ul"),
        (elements.TABLE_ELEMENTS, 10, "caption tr"),
        (elements.OPTIONAL_END_TAG, 12, "p caption"),
        (elements.VOID_ELEMENTS, 22, "area embed frame source spacer wbr"),
        (elements.EMPTY_WITHOUT_ATTRIBUTES, 10, "area track"),
        (elements.OFTEN_LEFT_OPEN, 57, "html optgroup option frameset plaintext h2 h3 math"),
        (elements.RAW_TEXT_ELEMENTS, 9, "script plaintext"),
        (
            elements.HTML_ELEMENTS,
            153,
            "abbr data datalist details header hgroup menuitem meter portal samp time var video",
        ),
        (elements.BOOLEAN_ATTRIBUTES, 33, "allowfullscreen default defer nomodule nowrap selected"),
        (
            elements.KNOWN_ATTRIBUTES,
            136,
            "abbr char charset cellspacing data datetime headers id label form frame width xmlns",
        ),
        (
            properties.COLUMNS,
            26,
            "align-content flex-direction flex-wrap grid-template-columns justify-content row-gap",
        ),
        (
            properties.ALLOWED_PROPERTIES,
            104,
            "background border-top-color border-left-style border-width border-bottom-right-radius direction height "
            "letter-spacing max-height max-width min-height min-width text-indent white-space word-wrap margin-left",
        ),
        (properties.SIZES, 11, "height width padding padding-top"),
        (properties.SIZE_FUNCTIONS, 4, "calc min max clamp"),
        (properties.COLUMN_FUNCTIONS, 7, "calc repeat minmax fit-content"),
        (
            properties.NOTICED_PROPERTIES,
            25,
            "aspect-ratio column-width grid-area rotate scale translate writing-mode zoom",
        ),
    ],
)
def test_names_are_in_lower_case_and_complete(names: frozenset[str], number: int, some: str) -> None:
    """A name at the end of a line of the list is one of them, and a name with a capital letter would never be met."""
    assert len(names) == number
    assert set(some.split()) <= names
    assert all(re.fullmatch(r"[a-z][a-z0-9-]*", name) for name in names)


def test_values_that_do_nothing_are_known() -> None:
    """Keywords of CSS, zero and one."""
    assert len(properties.NEUTRAL_VALUES) == 18
    assert {"0", "0%", "0deg", "1", "100%", "auto", "none", "static", "unset"} <= properties.NEUTRAL_VALUES


def test_element_is_known_by_its_content() -> None:
    """Both names of each pair are elements of HTML."""
    assert len(elements.CONTENT_OF) == 9
    assert {*elements.CONTENT_OF, *elements.CONTENT_OF.values()} <= elements.HTML_ELEMENTS


@pytest.mark.parametrize(
    ("pattern", "names", "others"),
    [
        (
            elements.OFFICE_ELEMENT,
            "o:p V:shape w:anchorlock st1:place u12:p mc:x wp:a wps:b x:c1 m:d",
            "p:o st:x a:b o:1",
        ),
        (elements.CUSTOM_ELEMENT, "my-x a1.b_c-d- x-", "my 1-a -a X-a"),
        (
            elements.CUSTOM_ATTRIBUTE,
            "data-x aria_y V-on:click @click :class #ref [value] (click) _ngcontent-a",
            "data 1-a @",
        ),
    ],
)
def test_names_of_office_and_of_frameworks_are_known(pattern: re.Pattern[str], names: str, others: str) -> None:
    """By their prefix or their first character, and no other name is taken for one."""
    assert [name for name in names.split() if not pattern.fullmatch(name)] == []
    assert [name for name in others.split() if pattern.fullmatch(name)] == []


def test_limits_are_those_that_were_measured() -> None:
    """docs/sending.md lists them; whoever changes one has to measure the worst body again."""
    assert {name: value for name, value in vars(limits).items() if name.startswith("MAX_")} == {
        "MAX_ELEMENTS": 15_000,
        "MAX_TAGS": 60_000,
        "MAX_ATTRIBUTES": 50_000,
        "MAX_ADDRESSES": 1_200,
        "MAX_DATA_PICTURES": 100,
        "MAX_STYLE_CHARACTERS": 10_000,
        "MAX_STYLE_DECLARATIONS": 8_000,
        "MAX_DEPTH": 200,
        "MAX_REFERENCES": 100_000,
        "MAX_FORMATTING": 100_000,
        "MAX_SHEET_ELEMENTS": 10_000,
        "MAX_SHEET_CHARACTERS": 150_000,
        "MAX_SHEET_DEPTH": 30,
        "MAX_SHEET_RULES": 5_000,
        "MAX_SHEET_STEPS": 10_000_000,
        "MAX_SHEET_OUTPUT": 1_000_000,
        "MAX_CLASSES": 100,
    }
    assert {name: value for name, value in vars(markdown_limits).items() if name.isupper() and name[0] != "_"} == {
        "MAX_CHARACTERS": 200_000,
        "MAX_NESTING": 30,
        "MAX_CELLS": 13_000,
        "MAX_STEPS": 50_000,
        "ADDRESS_STEPS": 10,
        "BLOCK_STEPS": 3,
    }


@pytest.mark.parametrize(
    ("html", "most", "what"), [("<", 60_000, "60,000 '<'"), ("&", 100_000, "100,000 '&'")], ids=["tags", "references"]
)
def test_size_is_checked_without_parsing(html: str, most: int, what: str) -> None:
    """The limit itself is allowed, and the error tells it."""
    limits.check_size(html * most)
    with pytest.raises(BodyTooComplex, match=f"^body_too_complex: 'body' has more than {what}\\."):
        limits.check_size(html * (most + 1))


@pytest.mark.parametrize(
    ("table", "cells"),
    [
        ("|a|b|\n|-|-|\n", 6),
        ("> a | b\n> --|--\n> c\n", 8),
        ("a | b\n:-:|:-:\nc\n\nd\n", 8),
        ("a\n-\n", 0),
        ("a | b\nc\n", 0),
        ("\t|a|\n\t|-|\n", 5),
    ],
)
def test_cells_are_counted_before_the_parser_starts(table: str, cells: int) -> None:
    """A table costs four cells and the columns of each line, until an empty one ends it."""
    filler = "a|b|c|d|e|f\n-|-|-|-|-|-\n" + "x\n" * 2_000 + "\n"  # 12,010 cells
    rest = 990 - cells
    one = "a|\n-|\n" + "x\n" * (rest - 5) + "\n"

    check_cells(filler + one + table)
    with pytest.raises(BodyTooComplex, match="more than 13,000 table cells"):
        check_cells(filler + one.replace("x\n", "x\nx\n", 1) + table)


def test_steps_are_counted_up_to_the_limit() -> None:
    """The limit itself is allowed."""
    steps = Steps()
    steps.add(20_000)
    steps.add(30_000)

    with pytest.raises(BodyTooComplex, match=r"Markdown that takes more than 50,000 steps to read\."):
        steps.add(1)
