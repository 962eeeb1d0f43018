"""Tells markup from text in angle brackets, and escapes the text, so that nothing a person wrote disappears.

A browser takes every `<` before a letter for a tag: of `Ada <ada@contoso.example>` it shows `Ada`, of `x<y and y>z` it
shows `xz`, and a quote or a comment that never ends swallows the rest. Here a tag is markup only if HTML, or a program
that writes mails, has such an element, and the tag and its attributes have the form of one. The time is linear for
every text.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple

from m365_mcp.mail.html import limits
from m365_mcp.mail.html.attributes import ATTRIBUTE, TagAttributes
from m365_mcp.mail.html.elements import (
    CONTENT_OF,
    CUSTOM_ELEMENT,
    EMPTY_WITHOUT_ATTRIBUTES,
    HTML_ELEMENTS,
    OFFICE_ELEMENT,
    OFTEN_LEFT_OPEN,
    RAW_TEXT_ELEMENTS,
    VOID_ELEMENTS,
)
from m365_mcp.mail.html.mentions import find_mentions
from m365_mcp.mail.html.tokens import COMMENT_END, SHORT_COMMENT, TAG_END
from m365_mcp.mail.text import words

_TAG = re.compile(r"<(/?)([a-zA-Z][^\t\n\f\r />\x3c]*+)")
_LINE_START = re.compile(r"\r?\n([ \t]*+)")
# Elements that only HTML has; <title>, <link> or <address> are in data as well.
_PLAIN_HTML = words(
    "a b blockquote br center div em font h1 h2 h3 h4 h5 h6 hr i img li ol p pre span strong table td tr u ul"
)
_FOREIGN = ("svg", "math")
# A run of text and of tags that are markup beyond doubt, so that most of a mail is read in one step.
_CERTAIN = re.compile(
    rf"(?:[^<]*+</?(?:{'|'.join(sorted(OFTEN_LEFT_OPEN - RAW_TEXT_ELEMENTS - {'svg', 'math'}))}|br|col|hr|wbr)"
    r"(?:[\t\n\f\r ]++[a-z-]++=(?:\"[^\"<]*+\"|'[^'<]*+'|[\w#%.-]++(?=[\t\n\f\r >])))*+[\t\n\f\r ]*+/?>)*+"
)
_DECLARATION = re.compile(r"<!doctype[\s>]|<!\[\s*(?:if[\s!(]|endif\b)", re.IGNORECASE)
# Word's and Outlook's <?xml:namespace prefix="o"/>, and the declaration before a page of XHTML.
_INSTRUCTION = re.compile(r"<\?(?:xml:|mso-|import\b)|<\?xml\s[^<>]*>\s*<(?:!doctype|html)\b", re.IGNORECASE)
_END_WITH_SPACE = re.compile(r"</\s+([a-zA-Z][a-zA-Z0-9]*)\s*>")
_SINGLE_AMPERSAND = re.compile(r"&(?!#|[a-zA-Z][a-zA-Z0-9]*;)")


class TextKept(NamedTuple):
    """HTML in which every `<` that begins no markup is escaped.

    Attributes:
        open_comments: how many comments never end and were therefore kept as text.
    """

    html: str
    open_comments: int = 0


def find_markup(html: str) -> Iterator[tuple[int, int]]:
    """Yield where each tag, comment and declaration of `html` begins and ends; a start tag includes raw text after it.

    Raises:
        BodyTooComplex: there are too many attributes.
    """
    reader = _Reader(html)
    opening = html.find("<")
    while opening >= 0:
        end, is_markup = reader.extent(opening)
        if is_markup:
            yield opening, end
        opening = html.find("<", end)


def escape_text(html: str) -> TextKept:
    """Return `html` with its text in angle brackets escaped, and its markup unchanged."""
    return _Reader(html).read() if "<" in html else TextKept(html)


class _Reader:
    """Goes from one `<` to the next and decides whether it begins markup."""

    def __init__(self, html: str) -> None:
        self._html = html
        self._mentions = find_mentions(html)
        self._mentioned = [*sorted(self._mentions), len(html)]
        self._last_close = html.rfind(">")
        self._last_comment_end = max(html.rfind("-->"), html.rfind("--!>"))
        self._last_section_end = html.rfind("]]>")
        # Where the attributes of a rejected tag begin. A later tag that gets there is part of them, so it is text too.
        self._rejected: set[int] = set()
        self._attributes = 0  # how many were read, the rejected ones included
        self._styled: set[str] = set()  # the names of unknown elements with a style
        self._foreign = 0  # open <svg> and <math>, which have elements of their own
        self._last_end: dict[str, int] = {}  # by name as written and in lower case
        self._first_start: dict[str, int] = {}
        self._last_start: dict[str, int] = {}
        self._ends: dict[str, list[int]] = {}  # where the end tags of a name are that is no element
        self._plain_html: list[int] = []  # where tags are that no other markup language has
        self._preformatted: list[tuple[int, bool]] = []  # where the tags of <pre> are, and whether each is a start tag
        for found in _TAG.finditer(html):
            self._note(found, found.start())

    def _note(self, tag: re.Match[str], place: int) -> None:
        name = tag[2].lower()
        if tag[1]:
            self._last_end[tag[2]] = self._last_end[name] = place
            if name not in HTML_ELEMENTS:
                self._ends.setdefault(name, []).append(place)
        else:
            self._first_start.setdefault(name, place)
            self._last_start[name] = place
        if name in _PLAIN_HTML:
            self._plain_html.append(place)
        if name == "pre":
            self._preformatted.append((place, not tag[1]))

    def read(self) -> TextKept:
        html, pieces, copied, open_comments = self._html, [], 0, 0
        opening = self._next(0)
        while opening >= 0:
            end, is_markup = self.extent(opening)
            if not is_markup:
                pieces += [html[copied:opening], self._as_text(opening, end)]
                copied = end
                open_comments += html.startswith("<!--", opening)
            opening = self._next(end)
        return TextKept("".join([*pieces, html[copied:]]), open_comments)

    def _next(self, position: int) -> int:
        mention = self._mentioned[bisect_left(self._mentioned, position)]
        run = _CERTAIN.match(self._html, position, mention)
        return self._html.find("<", run.end() if run else position)

    def extent(self, opening: int) -> tuple[int, bool]:
        """Return where what begins at `opening` ends, and whether it is markup."""
        html = self._html
        if opening in self._mentions:
            return self._mentions[opening], False
        if tag := _TAG.match(html, opening):
            return self._tag(opening, tag)
        if html.startswith("<!--", opening):
            return self._comment(opening)
        if html.startswith("<![CDATA[", opening):
            is_closed = opening < self._last_section_end
            return (html.index("]]>", opening) + 3 if is_closed else opening + 1), False
        if html.startswith(("<!", "<?"), opening) and opening < self._last_close:
            is_markup = bool(_DECLARATION.match(html, opening) or _INSTRUCTION.match(html, opening))
            return (html.index(">", opening) + 1 if is_markup else opening + 1), is_markup
        if (found := _END_WITH_SPACE.match(html, opening)) and found[1].lower() in HTML_ELEMENTS:
            return found.end(), True
        return opening + 1, False

    def _comment(self, opening: int) -> tuple[int, bool]:
        if short := SHORT_COMMENT.match(self._html, opening):
            return short.end(), True
        if self._last_comment_end < opening + 4:
            return opening + 1, False
        found = COMMENT_END.search(self._html, opening + 4)
        return (found.end(), True) if found else (opening + 1, False)

    def _tag(self, opening: int, tag: re.Match[str]) -> tuple[int, bool]:
        attributes = self._read_attributes(tag.end())
        name, end = tag[2].lower(), attributes.end
        if end is None:
            return opening + 1, False
        if not (self._is_element(name, opening, tag) or self._is_styled(name, opening, tag, attributes)):
            return self._end_of_data(name, opening, end), False
        if not attributes.are_of_a_tag:
            return opening + 1, False
        if tag[1]:
            self._foreign -= self._foreign > 0 and name in _FOREIGN
            return end, True
        if attributes.are_none and not self._is_meant(name, opening, tag):
            return end, False
        self._foreign += name in _FOREIGN and self._ends_after(name, end)
        if name in RAW_TEXT_ELEMENTS and name != "plaintext":
            return self._raw_end(name, end) or (opening + 1, False)
        return end, True

    def _is_element(self, name: str, opening: int, tag: re.Match[str]) -> bool:
        if name in HTML_ELEMENTS or OFFICE_ELEMENT.fullmatch(name) or self._foreign:
            return True
        if not CUSTOM_ELEMENT.fullmatch(tag[2]):
            return False
        return self._first_start.get(name, opening) < opening if tag[1] else self._ends_after(name, opening)

    def _is_styled(self, name: str, opening: int, tag: re.Match[str], attributes: TagAttributes) -> bool:
        """Return whether an element that HTML does not know has a style, as no data has, or ends such an element."""
        if tag[1]:
            return name in self._styled
        if attributes.has_style and self._ends_after(name, opening):
            self._styled.add(name)
            return True
        return False

    def _ends_after(self, name: str, position: int) -> bool:
        return self._last_end.get(name, -1) >= position

    def _end_of_data(self, name: str, opening: int, end: int) -> int:
        """Return the end of the element at `opening` if it is data as <config><title>…</config>, else `end`."""
        ends = self._ends.get(name, [])
        following = bisect_left(ends, end)
        if following == len(ends) or ends[following] > self._last_close:
            return end
        html_inside = bisect_left(self._plain_html, opening)
        if html_inside < len(self._plain_html) and self._plain_html[html_inside] < ends[following]:
            return end
        return self._html.index(">", ends[following]) + 1

    def _as_text(self, opening: int, end: int) -> str:
        """Return what is between `opening` and `end` as HTML that shows it as it is written, in its lines."""
        text = _escape(self._html[opening:end])
        if "\n" not in text or self._is_preformatted(opening):
            return text
        return _LINE_START.sub(lambda found: f"<br>\n{found[1].expandtabs(4).replace(' ', '&nbsp;')}", text)

    def _is_preformatted(self, place: int) -> bool:
        before = bisect_left(self._preformatted, (place, False)) - 1
        return before >= 0 and self._preformatted[before][1]

    def _is_meant(self, name: str, opening: int, tag: re.Match[str]) -> bool:
        """Return whether a start tag without attributes is markup, and not a word in angle brackets as `<address>`."""
        if name in VOID_ELEMENTS:
            return name not in EMPTY_WITHOUT_ATTRIBUTES
        if name in OFTEN_LEFT_OPEN:
            # A type in a program as in List<S>, or a placeholder as in <Font>; as HTML, it would end as it begins.
            is_type = len(tag[2]) == 1 and tag[2].isupper() and self._html[opening - 1 : opening].isalnum()
            is_placeholder = tag[2].istitle() and len(tag[2]) > 1
            return not (is_type or is_placeholder) or self._ends_after(tag[2], opening)
        if self._last_start.get(CONTENT_OF.get(name, ""), -1) > opening:
            return True
        return self._foreign > 0 or OFFICE_ELEMENT.fullmatch(name) is not None or self._ends_after(name, opening)

    def _raw_end(self, name: str, end: int) -> tuple[int, bool] | None:
        if not self._ends_after(name, end):
            return None
        found = re.compile(rf"</{name}(?=[\t\n\f\r />])", re.IGNORECASE).search(self._html, end)
        if not found:
            self._last_end[name] = -1  # so that the next one does not search again
        return (found.start(), True) if found else None

    def _read_attributes(self, position: int) -> TagAttributes:
        html, attributes = self._html, TagAttributes()
        starts: list[int] = []
        while not (end := TAG_END.match(html, position)):
            found = ATTRIBUTE.match(html, position)
            if position > self._last_close or position in self._rejected or not found or not attributes.add(found):
                break
            starts.append(position)
            self._attributes += 1
            limits.check_count(self._attributes, limits.MAX_ATTRIBUTES, "HTML attributes")
            position = found.end()
        attributes.end = end.end() if end else None
        if not attributes.are_of_a_tag and (attributes.hold_markup or not end):
            self._rejected.update(starts)
        return attributes


def _escape(text: str) -> str:
    return _SINGLE_AMPERSAND.sub("&amp;", text).replace("<", "&lt;")
