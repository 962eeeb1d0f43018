"""Renders the templates in `templates/`: one frame, one style, a policy that admits only the page's own files by hash.

A page loads nothing from elsewhere; from here it loads the product's icon. Jinja2 escapes every value.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from m365_mcp.auth.browser_proof import CALLBACK
from m365_mcp.urls import escape_path
from m365_mcp.web.pages.languages import COOKIE, Language, chosen_language, language_of, languages
from m365_mcp.web.pages.product import Product
from m365_mcp.web.security_headers import PAGE_HEADERS

STYLE = "look.css"
CHOICE_SECONDS = 365 * 24 * 3600  # how long the browser remembers the language that a person chose


class Renderer:
    """Renders pages of one product.

    Args:
        product: what is at the top and the bottom of every page.
    """

    def __init__(self, product: Product) -> None:
        self.product = product
        self._environments = {language.tag: _environment(language) for language in languages().values()}

    def render(
        self,
        request: Request,
        template: str,
        *,
        script: str | None = None,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        sources: str = "form-action 'none'",
        **values: Any,
    ) -> Response:
        """Return the page of a template, in the language of the request.

        Args:
            request: the request to answer.
            template: file of the page; it extends frame.html.
            script: file of its script.
            status: the HTTP status.
            headers: further headers.
            sources: further directives of the Content-Security-Policy.
            values: what the template shows.
        """
        language = language_of(request)
        html = (
            self._environments[language.tag]
            .get_template(template)
            .render(
                values,
                product=self.product,
                language=language,
                others=_addresses(request, language),
                style=read(STYLE),
                script=None if script is None else read(script),
            )
        )
        chosen = {"Content-Security-Policy": _policy(script, sources), "Content-Language": language.tag}
        page = HTMLResponse(html, status, {**PAGE_HEADERS, **chosen, **(headers or {})})
        if chosen_language(request) is not None:
            self._keep_choice(page, language)
        return page

    def _keep_choice(self, page: Response, language: Language) -> None:
        """Have the browser remember the language, because Microsoft sends it back to an address without one."""
        path, secure = escape_path(self.product.base_path) or "/", self.product.base_url.startswith("https:")
        page.set_cookie(COOKIE, language.tag, CHOICE_SECONDS, path=path, secure=secure, httponly=True, samesite="lax")


def _policy(script: str | None, sources: str) -> str:
    """Return the Content-Security-Policy of a page with this script and these further directives."""
    policy = ["default-src 'none'", "img-src 'self'", f"style-src {hash_of(STYLE)}"]
    policy += [] if script is None else [f"script-src {hash_of(script)}"]
    return "; ".join([*policy, sources, "base-uri 'none'", "frame-ancestors 'none'"])


def _environment(language: Language) -> Environment:
    environment = Environment(
        loader=PackageLoader(__package__ or ""),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
    )
    # Adds the functions of gettext to the environment; "newstyle" escapes what is filled into a translation.
    environment.install_gettext_translations(language.catalogue, newstyle=True)  # type: ignore[attr-defined]
    return environment


def _addresses(request: Request, shown: Language) -> list[tuple[Language, str]]:
    """Return the other languages with the address of this page in them; none where asking again would change something.

    A form that was sent cannot be asked for again, and a callback has a code that counts once.
    """
    if request.method not in ("GET", "HEAD") or request.url.path == CALLBACK:
        return []
    kept = [(name, value) for name, value in request.query_params.multi_items() if name != "lang"]
    others = [language for language in languages().values() if language is not shown]
    return [(language, "?" + urlencode([*kept, ("lang", language.tag)])) for language in others]


@cache
def read(file: str) -> Markup:
    """Return a style or a script, which is not escaped."""
    return Markup(files(__package__ or "").joinpath("templates", file).read_text("utf-8"))  # noqa: S704 - our own file


@cache
def hash_of(file: str) -> str:
    """Return the source expression that admits a style or a script by its hash (CSP level 3)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(read(file).encode()).digest()).decode()}'"
