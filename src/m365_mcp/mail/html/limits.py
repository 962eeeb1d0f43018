"""Limits on the work of sanitising one HTML body.

Measurements set each limit: the worst body within all limits takes at most 1.5 seconds of one processor core and
60 MB. `tests/mail/test_work_limits.py` measures it again. docs/sending.md lists the limits.
"""

from __future__ import annotations

from m365_mcp.errors import BodyTooComplex

MAX_ELEMENTS = 15_000
MAX_TAGS = 4 * MAX_ELEMENTS  # "<" of any kind: start and end tags, comments, and a single "<" in the text
MAX_ATTRIBUTES = 50_000
MAX_ADDRESSES = 1_200  # of links and pictures
MAX_DATA_PICTURES = 100  # pictures inside the HTML that become attachments
MAX_STYLE_CHARACTERS = 10_000  # of one style attribute
MAX_STYLE_DECLARATIONS = 8_000  # of different style attributes; equal ones are sanitised once
MAX_DEPTH = 200
MAX_REFERENCES = 100_000  # nh3 0.3 takes quadratic time in the number of & in one piece of text
# An HTML parser repeats open formatting tags in every new paragraph (WHATWG HTML 13.2.4.3), so a small text can become
# a very large one. This limits the repetitions.
MAX_FORMATTING = 100_000
# Style sheets. css-inline does 30 to 50 million steps a second; what it writes is parsed as every other style.
MAX_SHEET_ELEMENTS = 10_000  # of a body that has style sheets
MAX_SHEET_CHARACTERS = 150_000
MAX_SHEET_DEPTH = 30  # brackets open in one another
MAX_SHEET_RULES = 5_000  # with one selector each
MAX_SHEET_STEPS = 10_000_000
MAX_SHEET_OUTPUT = 1_000_000  # characters of all style attributes together
MAX_CLASSES = 100  # of one element


def check_size(html: str) -> None:
    """Check the limits that need no parsing. Raises BodyTooComplex."""
    check_count(html.count("<"), MAX_TAGS, "'<'")
    check_count(html.count("&"), MAX_REFERENCES, "'&'")


def check_count(count: int, limit: int, what: str) -> None:
    """Raise BodyTooComplex if `count`, the body's number of `what`, is more than `limit`."""
    if count > limit:
        raise BodyTooComplex(f"'body' has more than {limit:,} {what}.")
