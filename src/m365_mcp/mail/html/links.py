"""Finds misleading links in a mail's HTML, and the attachments that its images refer to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from urllib.parse import unquote, urlsplit

from m365_mcp.mail.addresses import comparable_domain
from m365_mcp.mail.html.rules import scheme_of
from m365_mcp.mail.html.tokens import End, Start, Text, read_tokens
from m365_mcp.mail.text import words

# A text that looks like an address to a reader: a scheme and a host, or a name like a domain before a path.
_SHOWN_ADDRESS = re.compile(
    r"\s*(?:https?://|//)?(?:[^\s/@]*@)?((?:[\w-]+\.)+[\w-]{2,63}\.?)(?::\d+)?(?=[/?#\s]|$)", re.IGNORECASE
)
_FILES = words(
    "csv css doc docx eml gif htm html ics jpeg jpg js json log md mp3 mp4 odt pdf png ppt pptx py rtf svg tar txt xls "
    "xlsx xml yaml yml zip"
)
_MAX_LINK_TEXT = 2000  # characters of a link's text that are checked; a longer text does not look like an address


def misleading_links(html: str) -> int:
    """Return how many links show the address of one host and lead to another; `html` must be sanitised."""
    return sum(_misleads(target, text) for target, text in _links(html)) if "<a " in html else 0


def _links(html: str) -> Iterator[tuple[str, str]]:
    target, pieces = "", [""]
    for token in read_tokens(html):
        if isinstance(token, Start) and token.name == "a":
            target, pieces = token.attributes.get("href", ""), []
        elif isinstance(token, Text):
            if target:
                pieces.append(token.raw)
        elif isinstance(token, End) and token.name == "a" and target:
            yield target, unescape("".join(pieces))
            target = ""


def _misleads(target: str, text: str) -> bool:
    shown = _SHOWN_ADDRESS.match(text[:_MAX_LINK_TEXT])
    if not shown or scheme_of(target) not in ("http", "https"):
        return False
    host = comparable_domain(shown[1])
    if host.rpartition(".")[2] in _FILES and "//" not in text:  # report.pdf is a file name more often than a host
        return False
    return _without_www(host) != _without_www(comparable_domain(urlsplit(target).hostname or ""))


def _without_www(host: str) -> str:
    return host.removeprefix("www.")


def content_ids(html: str) -> frozenset[str]:
    """Return the content ids that the images in `html` refer to (RFC 2392); `html` must be sanitised."""
    if "<img " not in html:
        return frozenset()
    sources = (token.attributes.get("src", "") for token in read_tokens(html) if isinstance(token, Start))
    return frozenset(unquote(source[4:]) for source in sources if source.lower().startswith("cid:"))
