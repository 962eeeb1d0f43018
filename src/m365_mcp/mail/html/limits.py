"""How much work one HTML body may be.

Each limit was chosen by measurement, so that the worst body they admit takes at most 1.5 seconds of one processor core
and 60 MB; `tests/mail/test_work_limits.py` measures it again. docs/sending.md names them.
"""

from __future__ import annotations

from m365_mcp.errors import BodyTooComplex

MAX_ELEMENTS = 16_000
MAX_TAGS = 4 * MAX_ELEMENTS  # "<" of any kind: start and end tags, comments, and a single "<" in the text
MAX_ATTRIBUTES = 50_000
MAX_ADDRESSES = 5_000  # of links and pictures
MAX_STYLE_CHARACTERS = 10_000  # of one style attribute
MAX_STYLE_DECLARATIONS = 20_000  # of style attributes that differ; equal ones are judged once
MAX_DEPTH = 200
MAX_REFERENCES = 100_000  # nh3 0.3 takes time in proportion to the square of the & in one piece of text
# A browser repeats open formatting in every paragraph it closes (WHATWG HTML 13.2.4.3), so a small text can become a
# very large one; this bounds how often.
MAX_FORMATTING = 100_000


def check_size(html: str) -> None:
    """Refuse what can be seen to be too much before it is read. Raises BodyTooComplex."""
    check_count(html.count("<"), MAX_TAGS, "'<'")
    check_count(html.count("&"), MAX_REFERENCES, "'&'")


def check_count(count: int, most: int, what: str) -> None:
    """Raise BodyTooComplex when the body has more than `most` of `what`."""
    if count > most:
        raise BodyTooComplex(f"'body' has more than {most:,} {what}.")
