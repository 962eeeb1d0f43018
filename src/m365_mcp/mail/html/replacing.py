"""Replaces what no mail program shows, or what is removed, by what a reader would see of it.

Form controls become text, embedded pages and films a link, formulas and ruby a text with brackets, blocks that are not
allowed a <div>. Whatever is left of the removed elements stays apart (`separators`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from html import escape, unescape
from urllib.parse import unquote, urlsplit

from m365_mcp.mail.html.angle_brackets import escape_text
from m365_mcp.mail.html.controls import Selection, gauge_text, input_text, lines_of
from m365_mcp.mail.html.elements import CUSTOM_ELEMENT
from m365_mcp.mail.html.formulas import ANNOTATIONS, Formula
from m365_mcp.mail.html.rules import ALLOWED_ELEMENTS, REMOVED_ELEMENTS, opens_in_a_mail, plain_address, scheme_of
from m365_mcp.mail.html.separators import Separator
from m365_mcp.mail.html.tokens import End, Start, Text, Token, read_tokens
from m365_mcp.mail.report import quote
from m365_mcp.mail.text import shows_nothing, words

Piece = Token | Separator
_BLOCKS = words(
    "details dialog dir fieldset form frameset hgroup legend marquee menu noframes optgroup search summary template"
)
_OTHER_NAMES = {
    **dict.fromkeys(_BLOCKS, "div"),
    **dict.fromkeys(("listing", "plaintext", "xmp"), "pre"),
    "acronym": "abbr",
    "menuitem": "li",
}
ENDED_HERE = words("embed frame input")  # void elements that get an end tag, so that a separator follows
_SOFT = frozenset({"label", "option"})
_APART = words("audio button canvas datalist embed frame iframe input math object output select svg textarea video")
_SVG_TEXTS = words("text title desc tspan")
_EMBEDDED = {
    "audio": "src",
    "bgsound": "src",
    "embed": "src",
    "frame": "src",
    "iframe": "src",
    "object": "data",
    "video": "src",
}


class Replacer:
    """Reads the tokens of one body once."""

    def __init__(self) -> None:
        self._renamed: Counter[str] = Counter()  # open elements that have another name in the mail
        self._selection: Selection | None = None
        self._formula: Formula | None = None
        self._drawings = 0
        self._in_link = self._in_option = self._in_ruby_text = False
        self._film_without_address = False
        self._skipping = ""  # the element whose text is not shown
        self._starts: dict[str, Callable[[Start], Iterable[Piece]]] = {
            "input": lambda tag: [Text(input_text(tag))],
            "select": self._select,
            "option": self._option,
            "optgroup": lambda tag: [Text(f"{escape(tag.attributes.get('label', ''), quote=False)}:")],
            "progress": self._gauge,
            "meter": self._gauge,
            "source": self._source,
            "rt": lambda _: self._begin_ruby_text(),
            **dict.fromkeys(_EMBEDDED, self._embedded),
        }

    def replace(self, tokens: Iterable[Token]) -> Iterator[Piece]:
        """Return the tokens that stand for `tokens`; tags that the rules do not know may be among them."""
        for token in tokens:
            if isinstance(token, Text):
                if not self._skipping:
                    yield token
                continue
            self._skipping = self._skipping if token.name == "option" else ""
            if isinstance(token, End):
                yield from self._end(token)
                continue
            yield from self._start(token)
            if token.content:
                yield from self._content(token)

    def _content(self, tag: Start) -> Iterable[Piece]:
        """Return what stands for the content of an element that has no markup (WHATWG HTML 13.1.2)."""
        if tag.name in ("script", "style") or (tag.name == "title" and not self._drawings):
            return ()
        if tag.name in ("xmp", "plaintext"):
            return [Text(escape(tag.content, quote=False))]
        text = tag.content.replace("<", "&lt;")
        if tag.name == "title":
            return [Text(text)]
        # What an <iframe> has for programs that do not know it is markup for a mail program.
        return lines_of(text) if tag.name == "textarea" else self.replace(read_tokens(escape_text(tag.content).html))

    def _start(self, tag: Start) -> Iterable[Piece]:
        name = tag.name
        if self._formula and name not in ALLOWED_ELEMENTS:
            self._skipping = name if name in ANNOTATIONS else ""
            yield from self._formula.start(name)
        elif self._drawings and name in _SVG_TEXTS:
            yield Separator.BLANK
        elif name in ALLOWED_ELEMENTS:
            self._in_link = "href" in tag.attributes if name == "a" else self._in_link
            yield tag
        elif name in _OTHER_NAMES and not (name == "optgroup" and self._selection):
            self._renamed[name] += 1
            yield Start(_OTHER_NAMES[name], tag.attributes)
        else:
            yield from self._removed_start(tag)

    def _removed_start(self, tag: Start) -> Iterable[Piece]:
        name = tag.name
        if not (name == "option" and self._skipping):
            self._skipping = name if name in ("rp", "datalist") else ""
        self._drawings += name == "svg"
        self._formula = self._formula or (Formula() if name == "math" else None)
        if name in ("rt", "rp", "rb", "rtc"):
            yield from self._end_ruby_text()
        if name in ("option", "optgroup"):
            yield from self._end_option()
        if separator := self._separator(name):
            yield separator
        is_hidden = name == "input" and tag.attributes.get("type", "").lower() == "hidden"
        if not is_hidden and (not self._drawings or name in REMOVED_ELEMENTS):
            yield tag  # the rules remove it, and count it
        if replacement := self._starts.get(name):
            yield from replacement(tag)
        if name in ENDED_HERE:
            yield End(name)
            yield Separator.BLANK

    def _end(self, tag: End) -> Iterable[Piece]:
        name = tag.name
        if self._formula and name == "math":
            yield from self._formula.close()
            self._formula = None
        elif self._formula and name not in ALLOWED_ELEMENTS:
            yield from self._formula.end(name)
        if self._renamed[name]:
            self._renamed[name] -= 1
            yield End(_OTHER_NAMES[name])
        elif name in ALLOWED_ELEMENTS:
            self._in_link = self._in_link and name != "a"
            yield tag
        else:
            yield from self._removed_end(name)

    def _removed_end(self, name: str) -> Iterable[Piece]:
        if name in ("rt", "ruby"):
            yield from self._end_ruby_text()
        if name in ("select", "option"):
            yield from self._end_option()
        else:
            yield End(name)
        if name == "select":
            self._selection = None
            yield End(name)
        if name in ("audio", "video"):
            self._film_without_address = False
        if self._drawings and name == "svg":
            self._drawings -= 1
        if separator := self._separator(name):
            yield separator
        elif self._drawings and name in _SVG_TEXTS:
            yield Separator.BLANK

    def _separator(self, name: str) -> Separator | None:
        if name in _APART or (name == "option" and self._selection):
            return Separator.BLANK
        return Separator.SOFT if name in _SOFT or CUSTOM_ELEMENT.fullmatch(name) else None

    def _begin_ruby_text(self) -> Iterable[Piece]:
        self._in_ruby_text = True
        return [Text("（")]

    def _end_ruby_text(self) -> Iterable[Piece]:
        was_open, self._in_ruby_text = self._in_ruby_text, False
        return [Text("）")] if was_open else ()

    def _select(self, tag: Start) -> Iterable[Piece]:
        self._selection = Selection(tag)
        return ()

    def _option(self, tag: Start) -> Iterable[Piece]:
        self._in_option = True
        return self._selection.option(tag) if self._selection else ()

    def _end_option(self) -> Iterable[Piece]:
        """Return the end tag of an option, which may be missing."""
        was_open, self._in_option = self._in_option, False
        return [End("option")] if was_open else ()

    def _gauge(self, tag: Start) -> Iterable[Piece]:
        text = gauge_text(tag)
        self._skipping = tag.name if text else ""
        return [Separator.BLANK, Text(text), Separator.BLANK]

    def _source(self, tag: Start) -> Iterable[Piece]:
        if not self._film_without_address:
            return ()
        self._film_without_address = False
        return self._link(tag.attributes.get("src", ""))

    def _embedded(self, tag: Start) -> Iterable[Piece]:
        address = tag.attributes.get(_EMBEDDED[tag.name], "")
        self._film_without_address = not address and tag.name in ("audio", "video")
        return self._link(address)

    def _link(self, address: str) -> Iterable[Piece]:
        target = plain_address(address)
        if scheme_of(target) not in ("http", "https") or not opens_in_a_mail(target):
            return ()
        text = Text(escape(shown_address(target), quote=False))
        if self._in_link:
            return [Separator.BLANK, text, Separator.BLANK]
        return [Separator.BLANK, Start("a", {"href": target}), text, End("a"), Separator.BLANK]


def shown_address(target: str) -> str:
    """Return how an address is shown to a reader: host and path of a page, or what follows `mailto:` and `tel:`."""
    scheme = scheme_of(target)
    parts = urlsplit(target)
    text = f"{parts.hostname or ''}{parts.path.rstrip('/')}" if scheme in ("http", "https") else unquote(parts.path)
    return quote(text)


def keep_links_visible(pieces: Iterable[Token | Separator]) -> Iterator[Token | Separator]:
    """Put the address of a link into it as text if all of it was removed; a separator stands where something was."""
    target, is_visible, has_lost = "", False, False
    for piece in pieces:
        if isinstance(piece, Separator):
            has_lost = True
        elif isinstance(piece, Text):
            is_visible = is_visible or not shows_nothing(unescape(piece.raw))
        elif piece.name == "img":
            is_visible = True
        elif piece.name == "a":
            if isinstance(piece, End) and target and has_lost and not is_visible:
                yield Text(escape(shown_address(target), quote=False))
            target = piece.attributes.get("href", "") if isinstance(piece, Start) else ""
            is_visible = has_lost = False
        yield piece
