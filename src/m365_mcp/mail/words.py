"""Sets of words, written as text. Knows nothing of the project."""


def words(text: str) -> frozenset[str]:
    """Return the words of `text`."""
    return frozenset(text.split())
