"""The settings: read once from the environment and `.env`, checked, and passed on to every component that needs them.

Only this package reads the environment. It reports every mistake at once, each with the name of its variable.
`server` has the settings of the server itself, `sending` the settings about mail, `checks` the rules for values.
"""

from __future__ import annotations

import os
from typing import Any

from pydantic import ValidationError

from m365_mcp.errors import SettingsMistake
from m365_mcp.settings.permissions import PERMISSIONS as PERMISSIONS
from m365_mcp.settings.sending import SendingSettings
from m365_mcp.settings.server import DEFAULT_REDIS_URL as DEFAULT_REDIS_URL
from m365_mcp.settings.server import NOT_SET, ServerSettings


class Settings(SendingSettings, ServerSettings):
    """All settings: those of the server and those about mail."""


def load(**overrides: Any) -> Settings:
    """Read and check the settings.

    Args:
        overrides: values that take precedence over the environment, by field name; for tests and the command line.

    Raises:
        SettingsMistake: it names every variable whose value is not valid, and never shows the value.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        # The details leave values and context out, so that no secret gets into a message.
        details = error.errors(include_url=False, include_input=False, include_context=False)
        raise SettingsMistake(tuple((str(d["loc"][0]).upper(), _problem(d)) for d in details)) from None


def _problem(detail: Any) -> str:
    if detail["type"] == "missing":
        return NOT_SET
    return str(detail["msg"]).removeprefix("Value error, ")


def foreign_environment() -> dict[str, str]:
    """Return this process's environment without our settings, for child processes that get settings of their own."""
    ours = {name.upper() for name in Settings.model_fields}
    return {name: value for name, value in os.environ.items() if name.upper() not in ours}  # noqa: TID251
