"""The command line of `m365-mcp doctor`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.console import Console

if TYPE_CHECKING:
    from m365_mcp.commands.doctor.walk import Walk
    from m365_mcp.errors import SettingsMistake
    from m365_mcp.settings import Settings
    from m365_mcp.urls import NormalUrl
    from m365_mcp.web.pages.languages import Language


def doctor(
    *,
    url: str | None = None,
    sign_in: Annotated[bool, Parameter(negative=())] = False,
    browser: bool = True,
    test_mail: bool = True,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
    lang: str | None = None,
) -> None:
    """Check the settings, the store, Entra ID, Graph and the public URL, and print what to change.

    Exit code 0: no check failed. 1: one did, or the settings cannot be read. 2: wrong usage.

    Example: `m365-mcp doctor`

    Example: `m365-mcp doctor --lang zh-Hant` prints in Traditional Chinese

    Example: `m365-mcp doctor --url https://mcp.example.com` examines a deployed server from outside

    Example: `m365-mcp doctor --sign-in` also signs you in, and sends one test mail to yourself

    Args:
        url: the public URL of a server; only what clients meet there is examined, and no settings are needed.
        sign_in: sign in through the server as an MCP client does, and send one test mail to yourself.
        browser: with --sign-in, open a browser; the address is printed in any case.
        test_mail: with --sign-in, send the test mail.
        as_json: print the report as JSON, as docs/doctor.md describes it, and nothing else; always in English.
        lang: `en` or `zh-Hant`; left out, LC_ALL, LC_MESSAGES or LANG decides.
    """
    target = _settings_or_mistake() if url is None else _address(url)
    from m365_mcp import logs
    from m365_mcp.commands.doctor.walk import Walk

    logs.configure("critical", "json")
    console = Console()
    language = _language(lang, console)
    walk = Walk(opens_browser=browser, sends=test_mail, language=language) if sign_in else None
    sys.exit(_examine(target, console, language, walk, as_json=as_json))


def _examine(
    target: Settings | SettingsMistake | NormalUrl,
    console: Console,
    language: Language,
    walk: Walk | None,
    *,
    as_json: bool,
) -> int:
    """Examine the set-up that the settings describe, or the server at an address; return the exit code."""
    import asyncio

    from m365_mcp.commands.doctor.run import examine_from_outside, run_doctor
    from m365_mcp.urls import NormalUrl

    if isinstance(target, NormalUrl):
        return asyncio.run(examine_from_outside(target, console, language, walk, as_json=as_json))
    return asyncio.run(run_doctor(target, console, language, walk, as_json=as_json))


def _address(url: str) -> NormalUrl:
    """Return the public URL in its normal form; ends the command with exit code 2 where it has none."""
    from m365_mcp.urls import read_url

    try:
        return read_url(url)
    except ValueError as mistake:
        Console(stderr=True).print(f"--url must be an http or https URL, such as https://mcp.example.com: {mistake}.")
        sys.exit(2)


def _language(tag: str | None, console: Console) -> Language:
    """Return the language to print in; ends the command with exit code 2 where a tag names none."""
    from m365_mcp.commands.doctor.printing import can_print
    from m365_mcp.commands.languages import language_of_terminal
    from m365_mcp.web.pages.languages import ENGLISH, languages

    found = language_of_terminal(tag)
    if found is None:
        spoken = ", ".join(language.tag for language in languages().values())
        Console(stderr=True).print(f"--lang must be one of: {spoken}.", markup=False, highlight=False)
        sys.exit(2)
    return found if can_print(found.name, console) else ENGLISH


def _settings_or_mistake() -> Settings | SettingsMistake:
    """Return the settings, or what is wrong with them; then FastMCP does not read `.env` either."""
    from m365_mcp import settings
    from m365_mcp.errors import SettingsMistake

    try:
        return settings.load()
    except SettingsMistake as mistake:
        settings.ignore_dotenv()
        return mistake
