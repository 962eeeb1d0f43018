"""Chooses the language of what a command prints: by `--lang`, else by the locale of the environment.

The catalogue `terminal` has what no page shows; for everything else the pages' catalogue is asked.
"""

from __future__ import annotations

from gettext import GNUTranslations
from importlib.resources import files

from m365_mcp.settings.environment import locale_of_messages
from m365_mcp.web.pages.languages import ENGLISH, Language, find_language

DOMAIN = "terminal"


def language_of_terminal(tag: str | None) -> Language | None:
    """Return the language to print in.

    Args:
        tag: a language tag (BCP 47); None: the locale of the environment decides, and English stands for every locale
            that is not spoken, such as `C`.

    Returns:
        The language; None for a tag that is not spoken.
    """
    if tag is not None:
        found = find_language(tag)
        return None if found is None else _with_texts_of_commands(found)
    code = locale_of_messages().partition(".")[0].partition("@")[0]  # zh_TW.UTF-8@modifier, POSIX section 8.2
    return _with_texts_of_commands(find_language(code) or ENGLISH)


def _with_texts_of_commands(language: Language) -> Language:
    compiled = files("m365_mcp").joinpath("locale", language.tag.replace("-", "_"), "LC_MESSAGES", f"{DOMAIN}.mo")
    if not compiled.is_file():
        return language
    with compiled.open("rb") as file:
        catalogue = GNUTranslations(file)
    catalogue.add_fallback(language.catalogue)
    return Language(language.tag, language.name, catalogue)
