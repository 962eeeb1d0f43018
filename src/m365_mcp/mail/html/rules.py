"""The elements, attributes and addresses that are allowed in a mail's HTML.

Sources: WHATWG HTML (elements that load or run); the OWASP XSS Filter Evasion Cheat Sheet (known attacks).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from m365_mcp.mail.html import limits
from m365_mcp.mail.html.css import Style, sanitize_style
from m365_mcp.mail.html.elements import BLOCK_ELEMENTS, FORMATTING, HTML_ELEMENTS, OFFICE_ELEMENT, TABLE_ELEMENTS
from m365_mcp.mail.html.hiding import BACKGROUND_LOST, NOT_DISPLAYED
from m365_mcp.mail.html.removals import Removal
from m365_mcp.mail.text import words

ALLOWED_ELEMENTS = FORMATTING | BLOCK_ELEMENTS | TABLE_ELEMENTS | {"br", "img", "wbr"}
_FLOAT_CONTAINERS = words("article aside div footer header main nav section ul ol")  # may keep floats inside

REMOVED_ELEMENTS: dict[str, Removal] = {
    **dict.fromkeys(("script",), Removal.SCRIPT),
    **dict.fromkeys(("style", "link"), Removal.STYLE_SHEET),
    **dict.fromkeys(("button", "input", "isindex", "keygen", "select", "textarea"), Removal.FORM),
    **dict.fromkeys(words("applet embed fencedframe frame iframe object portal"), Removal.FRAME),
    **dict.fromkeys(("audio", "bgsound", "video"), Removal.MEDIA),
    **dict.fromkeys(("svg", "math"), Removal.DRAWING),
}


def removal_of(element: str) -> Removal | None:
    """Return how the removal of an element is reported; None: a reader sees no difference, or only its content."""
    if element in HTML_ELEMENTS or OFFICE_ELEMENT.fullmatch(element):
        return REMOVED_ELEMENTS.get(element)
    return Removal.OTHER


_EVERYWHERE = frozenset(
    {"align", "aria-label", "bgcolor", "dir", "height", "id", "lang", "role", "style", "title", "valign", "width"}
)
# What screen readers tell apart in a mail (WAI-ARIA 1.2); no widgets, and nothing that hides text from them.
_ROLES = words(
    "article banner blockquote caption cell code columnheader complementary contentinfo definition deletion directory "
    "document emphasis figure group heading img insertion link list listitem main navigation none note paragraph "
    "presentation region row rowgroup rowheader separator strong subscript superscript table term time"
)
MARKER = "data-look"  # holds the traits of an element for `look`; never in a mail
_ATTRIBUTES: dict[str, frozenset[str]] = {
    "a": frozenset({"href", "name"}),
    "blockquote": frozenset({"type", "cite"}),
    "br": frozenset({"clear"}),
    "col": frozenset({"span"}),
    "colgroup": frozenset({"span"}),
    "font": frozenset({"color", "face", "size"}),
    "hr": frozenset({"color", "noshade", "size"}),
    "img": frozenset({"alt", "border", "hspace", "src", "vspace"}),
    "li": frozenset({"type", "value"}),
    "ol": frozenset({"reversed", "start", "type"}),
    "table": frozenset({"border", "bordercolor", "cellpadding", "cellspacing", "frame", "rules", "summary"}),
    "td": frozenset({"abbr", "bordercolor", "colspan", "headers", "nowrap", "rowspan", "scope"}),
    "th": frozenset({"abbr", "bordercolor", "colspan", "headers", "nowrap", "rowspan", "scope"}),
    "ul": frozenset({"type"}),
}
ALLOWED_ATTRIBUTES: dict[str, set[str]] = {
    "*": {*_EVERYWHERE, MARKER},
    **{tag: set(of) for tag, of in _ATTRIBUTES.items()},
}

ADDRESS_ATTRIBUTES = frozenset({"href", "src", "cite"})
LINK_SCHEMES = frozenset({"http", "https", "mailto", "tel"})
URL_SCHEMES = {*LINK_SCHEMES, "cid", "mid"}  # RFC 2392: a part of this message, and another message
_MAX_CACHED_STYLES = limits.MAX_STYLE_DECLARATIONS  # so every style of a body is sanitised once
_CONVERSION = 10  # a declaration that has to be converted is as much work as so many others
_CONTROLS = "".join(map(chr, range(33)))
_LINE_BREAKS = dict.fromkeys(map(ord, "\t\n\r"))
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)  # RFC 3986 section 3.1
_PLAIN_PAGE = re.compile(r"https?://([a-z0-9.-]+)(?=[/?#]|\Z)", re.IGNORECASE)  # most addresses, read in one step
_HOST = re.compile(r"[^\s<>\"\\^`{|}/?#]+")

_Addresses = dict[tuple[str, str], tuple[str | None, Sequence[Removal]]]


class AttributeRules:
    """Sanitises the attributes of one body; equal styles are sanitised once.

    Args:
        before: rules that know most styles and addresses already.
    """

    def __init__(self, before: AttributeRules | None = None) -> None:
        self._styles: dict[str, Style] = before._styles if before else {}
        self._addresses: _Addresses = before._addresses if before else {}
        self._declarations = 0

    def sanitize(self, element: str, name: str, value: str) -> tuple[str | None, Sequence[Removal]]:
        """Return the allowed value of an attribute (None: remove it), and the removals to report.

        Raises:
            BodyTooComplex: the styles exceed a limit of `limits`.
        """
        if name == "style":
            style = self._sanitize_style(value)
            return _style_for(element, style), style.removed
        if name not in _EVERYWHERE and name not in _ATTRIBUTES.get(element, ()):
            return None, _reason_of(name, value)
        if name == "role":
            return (value if value.strip().lower() in _ROLES else None), ()
        if name in ADDRESS_ATTRIBUTES:
            known = self._addresses.get((name, value))
            if known is None:
                known = self._addresses[name, value] = _sanitize_address(name, value)
            return known
        return value, ()

    def sanitize_again(self, element: str, name: str, value: str) -> str | None:
        """Return the allowed value of an attribute that `sanitize` has already counted; None: remove it."""
        if name == "style":
            return self._sanitize_style(value, is_counted=False).text or None
        return value if name == MARKER else self.sanitize(element, name, value)[0]

    def look_of(self, attributes: Mapping[str, str]) -> tuple[str, frozenset[str]]:
        """Return the traits of an element (`hiding`), and the properties whose removal is noticed."""
        style = self._sanitize_style(attributes["style"]) if "style" in attributes else Style("")
        traits = style.traits + (NOT_DISPLAYED if "hidden" in attributes else "")
        return traits + (BACKGROUND_LOST if attributes.get("background") else ""), style.noticed

    def _sanitize_style(self, text: str, *, is_counted: bool = True) -> Style:
        style = self._styles.get(text)
        if style is None:
            if is_counted:
                limits.check_count(len(text), limits.MAX_STYLE_CHARACTERS, "characters in one style attribute")
                self._count(1 + text.count(";"))
            style = sanitize_style(text)
            if is_counted:
                self._count(style.converted * _CONVERSION)
            if len(self._styles) < _MAX_CACHED_STYLES:
                self._styles[text] = style
        return style

    def _count(self, declarations: int) -> None:
        self._declarations += declarations
        limits.check_count(self._declarations, limits.MAX_STYLE_DECLARATIONS, "different style declarations")


def _reason_of(name: str, value: str) -> Sequence[Removal]:
    if name.startswith("on"):
        return (Removal.EVENT_HANDLER,)
    return (Removal.BACKGROUND_IMAGE,) if name == "background" and value.strip() else ()


def _style_for(element: str, style: Style) -> str | None:
    if style.clears_floats and element in _FLOAT_CONTAINERS:
        return f"{style.text};display:flow-root" if style.text else "display:flow-root"
    return style.text or None


def _sanitize_address(name: str, value: str) -> tuple[str | None, Sequence[Removal]]:
    address = plain_address(value)
    scheme = scheme_of(address)
    if name == "src":
        if scheme == "cid":
            return address, ()
        return None, (Removal.REMOTE_IMAGE,) if address else ()
    if name == "cite":  # the source of a quote; mail programs do not open it
        return (address if scheme in ("http", "https", "mid") and _is_complete(address) else None), ()
    is_allowed = address.startswith("#") or opens_in_a_mail(address)
    return (address, ()) if is_allowed else (None, (Removal.LINK,) if address else ())


def opens_in_a_mail(address: str) -> bool:
    """Return whether a reader can open `address`, which is as `plain_address` returns it."""
    return scheme_of(address) in LINK_SCHEMES and _is_complete(address)


def plain_address(value: str) -> str:
    """Return `value` as a browser reads it: no surrounding controls, no tabs and line breaks (WHATWG URL 4.4)."""
    return value.strip(_CONTROLS).translate(_LINE_BREAKS)


def scheme_of(address: str) -> str:
    """Return the scheme of `address` in lower case, or an empty string for a relative address."""
    found = _SCHEME.match(address)
    return found[1].lower() if found else ""


def plain_host(address: str) -> str:
    """Return the host of a web address that has neither user nor port nor characters beyond ASCII, else nothing."""
    found = _PLAIN_PAGE.match(address)
    return found[1] if found else ""


def _is_complete(address: str) -> bool:
    if plain_host(address):
        return True
    try:
        parts = urlsplit(address)
        is_page = scheme_of(address) in ("http", "https")
        return not is_page or (bool(_HOST.fullmatch(parts.netloc)) and (parts.port or 1) > 0)
    except ValueError:  # an unbalanced bracket, also in `tel://[`, or a port that is not a number
        return False
