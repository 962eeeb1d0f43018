"""Finds links that show one address and lead to another, and links to places in the mail that do not exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from urllib.parse import parse_qsl, unquote, urlsplit

from m365_mcp.mail.html.elements import BLOCK_ELEMENTS
from m365_mcp.mail.html.rules import opens_in_a_mail, plain_host, scheme_of
from m365_mcp.mail.html.shown_addresses import (
    as_it_looks,
    belong_together,
    comparable_host,
    find_addresses,
    unmistakable,
)
from m365_mcp.mail.html.tokens import End, Start, Text, read_tokens
from m365_mcp.mail.report import Note, Weight, counted, named, quote

_MIN_DIGITS = 5  # a shorter number is none that a reader would dial
_NOT_DIGITS = re.compile(r"\D")
_NATIONAL_ZERO = re.compile(r"\(0\)")
_RIGHT_TO_LEFT = "\u202e"  # the control that turns the text after it round (UAX 9)
_EXTENSION = re.compile(r"(?:[;,]|\bext|\bx\d).*", re.IGNORECASE | re.DOTALL)
# Elements that an anchor can stand in; an anchor in the others would leave the table or the list.
ANCHORED = (BLOCK_ELEMENTS - {"dl", "hr", "ol", "ul"}) | {"caption", "span", "td", "th"}
_TARGET = re.compile(r"href\s*=\s*[\"']?\s*#([^\"'\s>]+)", re.IGNORECASE)
# The end of the host of links that Microsoft has rewritten; such a link leads to its parameter `url`.
_SAFE_LINKS = ".safelinks.protection.outlook.com"


@dataclass(frozen=True)
class Link:
    """A link of a mail: its target, what a reader sees of it, and what appears when the pointer is over it."""

    target: str
    text: str
    title: str = ""


@dataclass(frozen=True)
class Mismatch:
    """What a link shows, and where it leads."""

    shown: str
    leads_to: str


def link_notes(html: str) -> tuple[Note, ...]:
    """Return the notes about the links in `html`, which must be sanitised."""
    notes = []
    if misleading := misleading_links(html):
        which = named(f"{link.shown} → {link.leads_to}" for link in misleading)
        one, many = "link shows one address and leads to another", "links show one address and lead to another"
        notes.append(Note(Weight.MISLEADING, f"{counted(len(misleading), one, many)}: {which}. Check the targets."))
    if dead := dead_anchors(html):
        which = named(f'"{text}"' for text in dead)
        what = counted(len(dead), "link leads to a place", "links lead to places")
        notes.append(Note(Weight.LOST, f"{what} that this mail does not have, so nothing opens: {which}."))
    return tuple(notes)


def misleading_links(html: str) -> list[Mismatch]:
    """Return the links that show one address and lead to another; `html` must be sanitised."""
    return [mismatch for link in _links(html) if (mismatch := _mismatch(link))] if "<a " in html else []


def dead_anchors(html: str) -> list[str]:
    """Return the texts of the links to a place in the mail that does not exist; `html` must be sanitised."""
    if 'href="#' not in html:
        return []
    starts = (token for token in read_tokens(html) if isinstance(token, Start))
    names = {name for tag in starts for name in (tag.attributes.get("name"), tag.attributes.get("id"))}
    anchors = (link for link in _links(html) if link.target.startswith("#") and link.target.lower() != "#top")
    return [quote(link.text) for link in anchors if unquote(link.target[1:]) not in names]


def targets_inside(html: str) -> frozenset[str]:
    """Return the ids in `html` that its links lead to, and perhaps a few more."""
    return frozenset(unquote(unescape(target)) for target in _TARGET.findall(html)) if "#" in html else frozenset()


def content_ids(html: str) -> frozenset[str]:
    """Return the content ids that the images in `html` refer to (RFC 2392); `html` must be sanitised."""
    if "<img " not in html:
        return frozenset()
    sources = (token.attributes.get("src", "") for token in read_tokens(html) if isinstance(token, Start))
    return frozenset(unquote(source[4:]) for source in sources if source.lower().startswith("cid:"))


def _links(html: str) -> Iterator[Link]:
    link: Start | None = None
    pieces: list[str] = []
    for token in read_tokens(html):
        if isinstance(token, Start) and token.name == "a":
            link, pieces = token, []
        elif link is None:
            continue
        elif isinstance(token, Text):
            pieces.append(unescape(token.raw))
        elif isinstance(token, End) and token.name == "a":
            yield Link(link.attributes.get("href", ""), "".join(pieces), link.attributes.get("title", ""))
            link = None
        elif isinstance(token, Start):
            pieces.append(_text_of(token))


def _text_of(tag: Start) -> str:
    if tag.name == "img":
        return f" {tag.attributes.get('alt', '')} "
    return "" if tag.name not in ("br", "p", "div", "td", "li") else " "


def _mismatch(link: Link) -> Mismatch | None:
    find = _FINDERS.get(scheme_of(link.target))
    if not find:
        return None
    for text in filter(None, (link.text, link.title)):
        looks = as_it_looks(text)
        readings = (looks, looks[::-1]) if _RIGHT_TO_LEFT in text else (looks,)
        if found := next(filter(None, (find(link.target, reading) for reading in readings)), None):
            return found
    # A host as user name, as in https://contoso.example@evil.example/, is what a reader takes for the host.
    return _page_mismatch(link.target, user) if (user := _user_of(link.target)) else None


def _user_of(target: str) -> str:
    return unquote(urlsplit(target).username or "")


def _page_mismatch(target: str, text: str) -> Mismatch | None:
    shown = find_addresses(text)
    if not shown:
        return None
    host = _host_of(target)
    if host.endswith(_SAFE_LINKS):
        addresses = [value for name, value in parse_qsl(urlsplit(target).query) if name == "url"]
        host = _host_of(addresses[0]) if addresses and opens_in_a_mail(addresses[0]) else host
    return next(
        (Mismatch(quote(a.text), quote(unmistakable(host))) for a in shown if not belong_together(a.host, host)), None
    )


def _host_of(target: str) -> str:
    return comparable_host(plain_host(target) or unquote(urlsplit(target).hostname or ""))


def _mail_mismatch(target: str, text: str) -> Mismatch | None:
    shown = find_addresses(text)
    mailboxes = {address.text for address in shown if address.mailbox}
    for recipient in _recipients(target):
        domain = comparable_host(recipient.rpartition("@")[2])
        comparable = f"{recipient.rpartition('@')[0].lower()}@{domain}"
        if mailboxes and comparable not in mailboxes:
            return Mismatch(quote(sorted(mailboxes)[0]), quote(_unmistakable_mailbox(comparable)))
        for address in shown:
            if not address.mailbox and not belong_together(address.host, domain):
                return Mismatch(quote(address.text), quote(_unmistakable_mailbox(comparable)))
    return None


def _unmistakable_mailbox(mailbox: str) -> str:
    local, _, domain = mailbox.rpartition("@")
    return f"{local}@{unmistakable(domain)}"


def _recipients(target: str) -> list[str]:
    """Return the addresses of a mailto: link, in whichever field (RFC 6068)."""
    parts = urlsplit(target)
    fields = [parts.path, *(value for name, value in parse_qsl(parts.query) if name.lower() in ("to", "cc", "bcc"))]
    return [address.strip() for field in fields for address in unquote(field).split(",") if "@" in address]


def _number_mismatch(target: str, text: str) -> Mismatch | None:
    number = unquote(target[4:])
    for address in find_addresses(text):
        return Mismatch(quote(address.text), quote(number))
    shown, leads_to = _digits(text), _digits(number)
    if len(shown) < _MIN_DIGITS or shown.endswith(leads_to or "?") or leads_to.endswith(shown):
        return None
    return Mismatch(quote(text), quote(number))


def _digits(number: str) -> str:
    """Return the digits of a telephone number without country prefix zeros and extension (RFC 3966)."""
    return _NOT_DIGITS.sub("", _EXTENSION.sub("", _NATIONAL_ZERO.sub("", number))).lstrip("0")


_FINDERS = {"http": _page_mismatch, "https": _page_mismatch, "mailto": _mail_mismatch, "tel": _number_mismatch}
