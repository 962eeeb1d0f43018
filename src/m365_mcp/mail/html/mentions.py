"""Finds the tags that a text is about, as in "use the <b> tag" or "put it between <head> and </head>".

A browser takes them for markup and shows nothing of them. A tag is mentioned if it has no attributes, stands among the
words of a line as a word does, and its end tag is missing. In quotes or before the word "tag", this holds for `<br>` as
well. Code as Markdown marks it, between backticks or in a fence, is mentioned with all its tags. The time is linear for
every text.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

from m365_mcp.mail.html.elements import FORMATTING, HTML_ELEMENTS, OPTIONAL_END_TAG, VOID_ELEMENTS
from m365_mcp.mail.text import words

_WIDE = "\u2e80-\u9fff\uac00-\ud7af\uff00-\uffef"  # letters of scripts that have no spaces between words
_CANDIDATE = re.compile(
    r"<(/?)([a-zA-Z][a-zA-Z0-9]*+) ?/?>"
    rf"(?=[ \t\r\n.,;:!?/)\]\"'`\u201c\u201d\u2019\u00bb\u2026{_WIDE}]|&quot;|</|\Z)"
)
_NO_WORD_BEFORE = frozenset(">\n\r\f")
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*+)(?=[\s/>])")
_QUOTES = {'"': '"', "'": "'", "`": "`", "(": ")", "\u201c": "\u201d", "\u201e": "\u201c\u201d", "\u2018": "\u2019"}
_QUOTES |= {"\u00ab": "\u00bb", "\u201d": "\u201d"}
_WORD_BEFORE = re.compile(r"[^\s<>][ \t]{1,3}\Z|[({\[][\"'`]?\Z")
_ONLY_WORD_BEFORE = re.compile(r"\w[ \t]\Z")
_PUNCTUATION = r"[.,;:!?)\]\"'`\u201c\u201d\u2019\u00bb\u2026]+(?:[\s<]|\Z)"
_WORD_AFTER = re.compile(rf"[ \t]{{1,3}}[^\s<]|[ \t]{{1,3}}</?[a-zA-Z]+>|/</?[a-zA-Z]+>|{_PUNCTUATION}")
_SMALL_WORD_AFTER = re.compile(rf"[ \t][^\W\d_A-Z]|{_PUNCTUATION}")
_TEXT_END = re.compile(r"[ \t]*(?:</|\Z)")
_LINE_END = re.compile(r"[ \t]*\r?\n")
_NAMED_SO = re.compile(r" (?:tag|element)s?\b")
_ARTICLE_BEFORE = re.compile(r"\b(?:an?|das|each|ein|every|no|one|the|this|use)[ \t]\Z", re.IGNORECASE)
_TO_END_TAG = re.compile(r" (?:and|or|to|und|oder|bis|et|ou) </([a-zA-Z][a-zA-Z0-9]*+)>")
_LINE_BREAKS = words("br hr wbr")
_OPTIONAL_END = OPTIONAL_END_TAG | words("rt rp rb rtc optgroup option html head body")
_INSIDE_CONTAINERS = _OPTIONAL_END - {"p", "html", "head", "body"}
_CONTAINER_END = re.compile(r"</(?:ul|ol|dl|table|menu|dir|select|ruby)>", re.IGNORECASE)
_INLINE = FORMATTING | {"label", "nobr"}

# Code on one line, or of several lines in a fence that ends (CommonMark 4.5, 6.1).
_CODE = re.compile(
    rf"(?<![\w`{_WIDE}])(`{{1,2}})(?![`\s]|</[^<>]*>[^`])[^`\n]*+(?<!\s)\1(?![\w`])"
    r"|^ {0,3}(```|~~~)[^\n`]*+\n(?:(?! {0,3}\2).*\n)*+ {0,3}\2[ \t]*+$",
    re.MULTILINE,
)


def find_mentions(text: str) -> dict[int, int]:
    """Return where each tag begins that `text` is about, and where it ends; of code, where its first `<` is."""
    if "<" not in text:
        return {}
    codes = [code for code in _CODE.finditer(text) if "<" in code[0]] if "`" in text or "~~~" in text else []
    words_like = {tag.start(): tag for tag in _CANDIDATE.finditer(text) if _stands_as_word(tag)}
    mentions = {text.index("<", code.start()): code.end() for code in codes}
    if words_like:
        mentions.update(_chosen(words_like, _unpaired(text, words_like, codes), text))
    return mentions


def _chosen(candidates: dict[int, re.Match[str]], unpaired: set[int], text: str) -> Iterator[tuple[int, int]]:
    has_container = bool(_CONTAINER_END.search(text))
    for place, tag in candidates.items():
        name, is_end = tag[2].lower(), bool(tag[1])
        if name in _INSIDE_CONTAINERS and has_container:
            continue
        if not is_end and (pair := _TO_END_TAG.match(text, tag.end())) and pair[1].lower() == name:
            yield place, pair.end()
        elif place in unpaired or (name in VOID_ELEMENTS and not is_end):
            yield tag.span()


def _unpaired(text: str, candidates: dict[int, re.Match[str]], codes: Sequence[re.Match[str]]) -> set[int]:
    """Return where the tags begin that have no partner. A tag that stands as a word gets the partners that are left."""
    tags = list(_outside(codes, _TAG.finditer(text)))
    left = _without_partner(tag for tag in tags if tag.start() not in candidates)
    return _without_partner(tag for tag in tags if tag.start() in candidates or tag.start() in left)


def _outside(codes: Sequence[re.Match[str]], tags: Iterable[re.Match[str]]) -> Iterator[re.Match[str]]:
    ends = [code.end() for code in codes]
    for tag in tags:
        following = bisect_right(ends, tag.start())
        if following == len(codes) or tag.start() < codes[following].start():
            yield tag


def _without_partner(tags: Iterable[re.Match[str]]) -> set[int]:
    opened: dict[str, list[int]] = {}
    unpaired = set()
    for tag in tags:
        name = tag[2].lower()
        if not tag[1]:
            opened.setdefault(name, []).append(tag.start())
        elif opened.get(name):
            opened[name].pop()
        else:
            unpaired.add(tag.start())
    return unpaired.union(*opened.values())


def _stands_as_word(tag: re.Match[str]) -> bool:
    """Return whether a tag stands in its line as a word does."""
    text, start, end = tag.string, tag.start(), tag.end()
    name, is_end = tag[2].lower(), bool(tag[1])
    if not start or text[start - 1] in _NO_WORD_BEFORE or name not in HTML_ELEMENTS:
        return False
    before = text[max(0, start - 6) : start]
    if _is_in_quotes(text, start, end) or (_NAMED_SO.match(text, end) and _ARTICLE_BEFORE.search(before)):
        return True
    if name in _LINE_BREAKS or (is_end and name in _OPTIONAL_END):
        return False
    if name in _OPTIONAL_END:
        is_after_word = (_WORD_BEFORE if name in _INSIDE_CONTAINERS else _ONLY_WORD_BEFORE).search(before)
        return bool(is_after_word and _SMALL_WORD_AFTER.match(text, end))
    if _is_wide(text[start - 1]) and _is_wide(text[end : end + 1]):
        return True
    if not _WORD_BEFORE.search(before):
        return False
    if _WORD_AFTER.match(text, end):
        return True
    return not is_end and bool(_TEXT_END.match(text, end) or (name in _INLINE and _LINE_END.match(text, end)))


def _is_in_quotes(text: str, start: int, end: int) -> bool:
    """Return whether quotes of its own stand around a tag: not as in `'a'<br>'b'`."""
    if text.startswith("&quot;", end) and text.endswith("&quot;", 0, start):
        return True
    if text[end : end + 1] not in _QUOTES.get(text[start - 1], "\0") or end == len(text):
        return False
    return not text[max(0, start - 2) : start - 1].isalnum() and not text[end + 1 : end + 2].isalnum()


def _is_wide(letter: str) -> bool:
    return bool(letter) and (
        "\u2e80" <= letter <= "\u9fff" or "\uac00" <= letter <= "\ud7af" or "\uff00" <= letter <= "\uffef"
    )
