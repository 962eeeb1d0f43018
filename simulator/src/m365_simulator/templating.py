"""Renders the templates of the package, which contain all of its markup.

A template escapes every value, unless it says `safe`; a missing value is an error.
"""

from datetime import UTC, datetime
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined


def render(template: str, **values: object) -> str:
    """Return a template of the package with these values in it."""
    return _environment().get_template(template).render(values)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("m365_simulator"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals["ribbon"] = "Simulator: no real accounts, no real mail"
    environment.filters["initials"] = _initials
    environment.filters["date_time"] = _date_time
    return environment


def _initials(name: str) -> str:
    """Return the letters that stand for a person."""
    return "".join(word[0] for word in name.split()[:2]).upper() or "?"


def _date_time(seconds: float) -> datetime:
    """Return a time in epoch seconds as a date and time in UTC."""
    return datetime.fromtimestamp(seconds, UTC)
