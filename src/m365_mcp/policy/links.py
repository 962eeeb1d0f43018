"""The domains that a text links to, by its links and by the addresses that a mail program turns into links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from urllib.parse import urlsplit

from m365_mcp.mail.addresses import comparable_domain
from m365_mcp.mail.html.tokens import Start, Text, read_tokens

_TARGETS = frozenset(("href", "src", "action", "background", "cite", "data", "formaction", "longdesc", "poster"))
# Without the scheme, which a pattern would look for at every letter of a long word.
_URL = re.compile(r"(?://|\bwww\.|\bmailto:)[^\s<>\"']+", re.IGNORECASE)


def link_domains(text: str) -> frozenset[str]:
    """Return the domains, as A-labels in lower case, that an HTML or plain text links to; takes linear time."""
    return frozenset(domain for url in _urls(text) if (domain := _domain_of(url)))


def _urls(text: str) -> Iterator[str]:
    for token in read_tokens(text):
        if isinstance(token, Text):
            yield from _URL.findall(unescape(token.raw))
        elif isinstance(token, Start):
            for name, value in token.attributes.items():
                if name in _TARGETS:
                    yield value
                elif name == "style":
                    yield from _URL.findall(value)


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
