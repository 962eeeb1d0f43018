"""The operator's choices, read once from the environment and `.env`, checked, and handed down.

Only this package reads the environment. It reports every mistake at once, each with the name of its variable.
`server` holds the settings of the server itself, `sending` those about mail, `checks` what makes a value wrong.
"""

from __future__ import annotations

import os
from typing import Any

from pydantic import ValidationError

from m365_mcp.errors import SettingsMistake
from m365_mcp.settings.sending import PERMISSIONS as PERMISSIONS
from m365_mcp.settings.sending import SendingSettings
from m365_mcp.settings.server import CLAUDE_CALLBACKS as CLAUDE_CALLBACKS
from m365_mcp.settings.server import DEFAULT_REDIS_URL as DEFAULT_REDIS_URL
from m365_mcp.settings.server import NOT_SET, ServerSettings


class Settings(SendingSettings, ServerSettings):
    """All settings: those of the server, and what may be sent."""


def load(**overrides: Any) -> Settings:
    """Read and check the settings.

    Args:
        overrides: values that win over the environment, by field name; for tests and the command line.

    Raises:
        SettingsMistake: naming every variable that cannot be used, never its value.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        # Without values and context, so that no secret can slip into a message.
        details = error.errors(include_url=False, include_input=False, include_context=False)
        raise SettingsMistake(tuple((str(d["loc"][0]).upper(), _in_words(d)) for d in details)) from None


def _in_words(detail: Any) -> str:
    if detail["type"] == "missing":
        return NOT_SET
    return str(detail["msg"]).removeprefix("Value error, ")


def foreign_environment() -> dict[str, str]:
    """Return this process's environment without any of our settings, for child processes that get their own."""
    ours = {name.upper() for name in Settings.model_fields}
    return {name: value for name, value in os.environ.items() if name.upper() not in ours}  # noqa: TID251
