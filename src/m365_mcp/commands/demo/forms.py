"""Reads the first form of an HTML page, the way a browser would submit it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin


@dataclass
class Form:
    """A form: where it goes, the fields it carries, and its buttons."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str]] = field(default_factory=list)


class _Reader(HTMLParser):
    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self.form: Form | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form" and self.form is None:
            self.form = Form(urljoin(self._url, found.get("action", "")))
        elif self.form is not None and tag == "input" and found.get("type") == "hidden":
            self.form.fields[found["name"]] = found.get("value", "")
        elif self.form is not None and tag == "button" and "name" in found:
            self.form.buttons.append((found["name"], found.get("value", "")))


def read_form(url: str, html: str) -> Form:
    """Return the first form of the page at `url`. Raises ValueError when there is none."""
    reader = _Reader(url)
    reader.feed(html)
    if reader.form is None:
        raise ValueError("the page has no form")
    return reader.form
