"""The domains that a text links to, by its links and by the addresses that a mail program turns into links."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from urllib.parse import urlsplit

from m365_mcp.mail.addresses import comparable_domain

_TARGETS = frozenset(("href", "src", "action", "background", "cite", "data", "formaction", "longdesc", "poster"))
_URL = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?//[^\s<>\"']+|\bwww\.[^\s<>\"']+|mailto:[^\s<>\"'?]+", re.IGNORECASE)


def link_domains(text: str) -> frozenset[str]:
    """Return the domains, as A-labels in lower case, that an HTML or plain text links to."""
    reader = _Links()
    reader.feed(text)
    reader.close()
    return frozenset(domain for url in reader.found if (domain := _domain_of(url)))


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if value and name in _TARGETS]
        self.found += [url for name, value in attrs if value and name == "style" for url in _URL.findall(value)]

    def handle_data(self, data: str) -> None:
        self.found += _URL.findall(data)


def _domain_of(url: str) -> str | None:
    url = url.strip()
    scheme, _, rest = url.partition(":")
    if scheme.lower() == "mailto":
        return comparable_domain(rest.partition("?")[0].rpartition("@")[2]) or None
    if scheme.lower().startswith("www."):
        url = f"//{url}"
    try:
        host = urlsplit(url.replace("\\", "/")).hostname
    except ValueError:
        return None
    return comparable_domain(host) if host else None
