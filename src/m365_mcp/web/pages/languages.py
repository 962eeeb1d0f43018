"""Chooses the language of a page, and reads the catalogues in `m365_mcp/locale`; a further language is one more file.

English is in the source. `?lang=` comes before `Accept-Language` (RFC 9110 section 12.5.4), and both are matched by the
lookup of RFC 4647 section 3.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from gettext import GNUTranslations, NullTranslations
from importlib.resources import files

from starlette.requests import Request

DOMAIN = "m365_mcp"
MAX_RANGES = 20  # of an Accept-Language header; browsers send up to ten
# CLDR "likely subtags": these regions write Chinese in traditional characters. zh alone, zh-CN and zh-SG do not.
_SCRIPTS = {"zh-tw": "zh-hant", "zh-hk": "zh-hant", "zh-mo": "zh-hant"}


@dataclass(frozen=True)
class Language:
    """A language that the pages speak.

    Attributes:
        tag: the tag for the attribute `lang` (BCP 47).
        name: its name, in the language itself.
        catalogue: its translations; every missing one is English.
    """

    tag: str
    name: str
    catalogue: NullTranslations

    def translate(self, *forms: str) -> str:
        """Return the first of `forms` that has a translation; without one, the first as it is."""
        translated = (self.catalogue.gettext(form) for form in forms)
        return next((text for text, form in zip(translated, forms, strict=True) if text != form), forms[0])


ENGLISH = Language("en", "English", NullTranslations())


@cache
def languages() -> dict[str, Language]:
    """Return every language by its tag in lower case, English first."""
    found = [ENGLISH]
    for folder in sorted(files("m365_mcp").joinpath("locale").iterdir(), key=lambda one: one.name):
        compiled = folder.joinpath("LC_MESSAGES", f"{DOMAIN}.mo")
        if compiled.is_file():
            with compiled.open("rb") as file:
                catalogue = GNUTranslations(file)
            # The translation of "English" is what the language calls itself.
            found.append(Language(folder.name.replace("_", "-"), catalogue.gettext(ENGLISH.name), catalogue))
    return {language.tag.lower(): language for language in found}


def language_of(request: Request) -> Language:
    """Return the language to answer a request in."""
    wanted = [request.query_params.get("lang", ""), *_by_preference(request.headers.get("accept-language", ""))]
    return next(filter(None, map(_lookup, wanted)), ENGLISH)


def _by_preference(header: str) -> list[str]:
    """Return the language ranges of an Accept-Language header, the most wanted first, without those of weight 0."""
    weighed = [_weigh(part) for part in header.split(",")[:MAX_RANGES]]
    return [name for name, weight in sorted(weighed, key=lambda one: -one[1]) if weight > 0]


def _weigh(part: str) -> tuple[str, float]:
    name, _, parameter = part.partition(";")
    key, _, value = parameter.strip().partition("=")
    try:
        return name.strip(), float(value) if key.strip().lower() == "q" else 1.0
    except ValueError:
        return name.strip(), 0.0


def _lookup(tag: str) -> Language | None:
    wanted = tag.strip().replace("_", "-").lower()
    wanted = _SCRIPTS.get(wanted, wanted)
    while wanted:
        if wanted in languages():
            return languages()[wanted]
        wanted = wanted.rpartition("-")[0]
    return None
