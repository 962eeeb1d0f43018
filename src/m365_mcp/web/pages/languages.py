"""Chooses the language of a page, and reads the catalogues in `m365_mcp/locale`; a further language is one more file.

English is in the source. `?lang=` comes before the cookie in which a page keeps it, and both before `Accept-Language`
(RFC 9110 section 12.5.4). All are matched by the lookup of RFC 4647 section 3.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from gettext import GNUTranslations, NullTranslations
from importlib.resources import files

from starlette.requests import Request

from m365_mcp.errors import Filled

DOMAIN = "m365_mcp"
MAX_RANGES = 20  # of an Accept-Language header; browsers send up to ten
# The choice of a person, for the page that follows Microsoft's and has no `?lang=`.
COOKIE = "m365_mcp_language"
# CLDR "likely subtags": these regions write Chinese in traditional characters. zh alone, zh-CN and zh-SG do not; of
# Cantonese, only that of mainland China does not.
_TRADITIONAL = ("zh-tw", "zh-hk", "zh-mo", "yue", "zh-yue")
_SIMPLIFIED = ("yue-hans", "yue-cn", "zh-yue-hans", "zh-yue-cn")


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
        return next(filter(None, map(self._translation, forms)), forms[0])

    def _translation(self, text: str) -> str | None:
        form = text.form if isinstance(text, Filled) else text
        translated = self.catalogue.gettext(form)
        if translated == form or not form:  # the translation of an empty text is the header of the catalogue
            return None
        return translated % self._values(text) if isinstance(text, Filled) and text.values else translated

    def _values(self, text: Filled) -> dict[str, str]:
        texts = {name: value for name, value in text.values.items() if isinstance(value, Filled)}
        return text.values | {name: self.translate(value) for name, value in texts.items()}


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
    accepted = _by_preference(request.headers.get("accept-language", ""))
    kept = find_language(request.cookies.get(COOKIE, ""))
    return chosen_language(request) or kept or next(filter(None, map(find_language, accepted)), ENGLISH)


def chosen_language(request: Request) -> Language | None:
    """Return the language that the address of a request names, if the pages speak it."""
    return find_language(request.query_params.get("lang", ""))


def find_language(tag: str) -> Language | None:
    """Return the language that a tag names, such as `zh-TW` or `zh_Hant`; None: the pages do not speak it."""
    wanted = tag.strip().replace("_", "-").lower()
    while wanted and wanted not in _SIMPLIFIED:
        found = languages().get("zh-hant" if wanted in _TRADITIONAL else wanted)
        if found is not None:
            return found
        wanted = wanted.rpartition("-")[0]
    return None


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
