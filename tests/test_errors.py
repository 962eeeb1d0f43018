"""Every error has a code of its own, one sentence and one piece of advice."""

from importlib import import_module
from pkgutil import iter_modules

from m365_mcp import errors
from m365_mcp.commands.languages import language_of_terminal
from m365_mcp.commands.reference import every_error


def test_every_error_explains_itself() -> None:
    """Sentence and advice are sentences, and the error stands in the tree at the top of the module."""
    modules = [import_module(f"{errors.__name__}.{found.name}") for found in iter_modules(errors.__path__)]
    words = " ".join(str(module.__doc__) for module in modules).split()
    kinds = every_error()

    assert [kind.code for kind in kinds if not kind.sentence.endswith(".") or not kind.advice.endswith(".")] == []
    assert [kind.code for kind in kinds if kind.__name__ not in words or kind.code not in words] == []


def test_every_error_is_explained_in_chinese() -> None:
    """docs/errors.zh-Hant.md has sentence and advice of every code, from the catalogues (`make docs`)."""
    chinese = language_of_terminal("zh-Hant")
    assert chinese is not None

    english = [
        kind.code
        for kind in every_error()
        if kind.sentence == chinese.translate(kind.sentence) or kind.advice == chinese.translate(kind.advice)
    ]

    assert english == [], "Translate them in locale/zh_Hant/LC_MESSAGES, and run `make translations` before and after."


def test_codes_are_unique() -> None:
    """A code names one error."""
    codes = [kind.code for kind in every_error()]

    assert len(codes) == len(set(codes))


def test_explanation_has_a_fixed_form() -> None:
    """Code, sentence, advice, wait and reference, in that order."""
    error = errors.Throttled(retry_after=6.7, reference="the-id")

    assert error.explain() == (
        "throttled: Microsoft asks this server to slow down. "
        "What to do: Wait for the time given, then try again once. Retry after 7 seconds. (reference: the-id)"
    )
