"""Sentences with values in them, which a page or a command can fill into a translation."""

from __future__ import annotations

from typing import Self


class Filled(str):
    """An English sentence with values filled in, which knows its form and the values.

    A value that has a translation of its own is a `Filled`, too. `tests.catalogues` finds every form.

    Args:
        form: the sentence with a placeholder for each value, such as `%(host)s`.
        values: the values.
    """

    form: str
    values: dict[str, str]

    def __new__(cls, form: str, **values: str) -> Self:
        """Fill the values in."""
        filled = super().__new__(cls, form % values if values else form)
        filled.form, filled.values = form, values
        return filled

    @classmethod
    def of(cls, text: str) -> Filled:
        """Return a text as a value that is translated where it is filled in."""
        return text if isinstance(text, Filled) else Filled(text)
