"""The domains that a text links to, by its links and by the addresses that a mail program turns into links."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import unescape
from urllib.parse import parse_qsl, unquote, urlsplit

from m365_mcp.mail.addresses import comparable_domain
from m365_mcp.mail.html.tokens import Start, Text, read_tokens

_TARGETS = frozenset(("href", "src", "action", "background", "cite", "data", "formaction", "longdesc", "poster"))
# Without the scheme, which a pattern would look for at every letter of a long word.
_URL = re.compile(r"(?://|\bwww\.|\bmailto:)[^\s<>\"']+", re.IGNORECASE)
_ADDRESS = re.compile(r"(?<=[^\s<>()\"',;:@])@([^\s<>()\"',;:@/?]+)")


def link_domains(text: str) -> frozenset[str]:
    """Return the domains, as A-labels in lower case, that an HTML or plain text links to; takes linear time."""
    found = frozenset(_found(text))
    return frozenset(domain for one in found if (domain := comparable_domain(one)))


def _found(text: str) -> Iterator[str]:
    """Iterate over the domains as they are written."""
    for token in read_tokens(text):
        if isinstance(token, Text):
            shown = unescape(token.raw)
            yield from (domain.rstrip(".!*_~`]}|") for domain in _ADDRESS.findall(shown))
            yield from _of_urls(_URL.findall(shown))
        elif isinstance(token, Start):
            for name, value in token.attributes.items():
                if name in _TARGETS:
                    yield from _of_urls([value])
                elif name == "style":
                    yield from _of_urls(_URL.findall(value))


def _of_urls(urls: Iterable[str]) -> Iterator[str]:
    for url in map(str.strip, urls):
        scheme, _, rest = url.partition(":")
        if scheme.lower() == "mailto":
            yield from _of_mailto(rest)
        elif host := _host_of(f"//{url}" if scheme.lower().startswith("www.") else url):
            yield host


def _of_mailto(rest: str) -> Iterator[str]:
    """Iterate over the domains of a mailto: URL, those of its copies too (RFC 6068)."""
    path, _, query = rest.partition("?")
    fields = [unquote(path), *(value for name, value in parse_qsl(query) if name.lower() in ("to", "cc", "bcc"))]
    for address in ",".join(fields).split(","):
        yield address.strip().rpartition("@")[2]


def _host_of(url: str) -> str | None:
    try:
        return urlsplit(url.replace("\\", "/")).hostname
    except ValueError:
        return None
