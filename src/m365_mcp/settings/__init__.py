"""The settings: read once from the environment and `.env`, checked, and passed on to every component that needs them.

Only this package reads the environment. It reports every mistake at once, each with the name of its variable.
`server` has the settings of the server itself, `clients` those of MCP clients, `product` those of its pages, `sending`
the settings about mail, and `audit` those of the audit trail.
`checks`, `identity`, `addresses` and `redis_url` have the rules for values, and `environment` what can be wrong with
the whole.
"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from m365_mcp.errors import Filled, SettingsMistake
from m365_mcp.settings import environment
from m365_mcp.settings.audit import AuditSettings
from m365_mcp.settings.checks import EMPTY_DOMAINS
from m365_mcp.settings.clients import ClientSettings
from m365_mcp.settings.environment import ignore_dotenv as ignore_dotenv
from m365_mcp.settings.environment import share_metrics as share_metrics
from m365_mcp.settings.environment import skip_type_checks as skip_type_checks
from m365_mcp.settings.environment import wants_colour as wants_colour
from m365_mcp.settings.environment import wants_traces as wants_traces
from m365_mcp.settings.permissions import PERMISSIONS as PERMISSIONS
from m365_mcp.settings.product import ProductSettings
from m365_mcp.settings.sending import SendingSettings
from m365_mcp.settings.server import DEFAULT_REDIS_URL as DEFAULT_REDIS_URL
from m365_mcp.settings.server import NOT_SET, ServerSettings


class Settings(AuditSettings, SendingSettings, ProductSettings, ClientSettings, ServerSettings):
    """All settings: those of the server, of its clients, of its pages, about mail, and of the audit trail."""


def load(**overrides: Any) -> Settings:
    """Read and check the settings.

    Args:
        overrides: values that take precedence over the environment, by field name; for tests and the command line.
            `_env_file` names another file than `.env`, or None for no file.

    Raises:
        SettingsMistake: it names every variable whose value is not valid, and never shows the value.
    """
    dotenv = overrides.get("_env_file", environment.DOTENV)
    environment.check_dotenv(dotenv)
    mistakes = environment.unusable_proxies()
    if "m365_send_allowed_domains" in environment.set_but_empty(Settings, dotenv) - overrides.keys():
        mistakes.append(("M365_SEND_ALLOWED_DOMAINS", EMPTY_DOMAINS))
    try:
        chosen = Settings(**overrides)
    except ValidationError as error:
        # The details leave values out, so that no secret gets into a message.
        details = error.errors(include_url=False, include_input=False)
        mistakes += [(str(d["loc"][0]).upper(), _problem(d)) for d in details]
    if mistakes:
        raise SettingsMistake(tuple(mistakes)) from None
    return chosen


def _problem(detail: Any) -> str:
    if detail["type"] == "missing":
        return NOT_SET
    raised = detail.get("ctx", {}).get("error")
    if isinstance(raised, ValueError) and isinstance(raised.args[0], Filled):
        return raised.args[0]  # with its form, for a translation
    return str(detail["msg"]).removeprefix("Value error, ")


def foreign_environment() -> dict[str, str]:
    """Return this process's environment without our settings, for child processes that get settings of their own."""
    return environment.foreign_environment(Settings)


def mail_variables() -> dict[str, str]:
    """Return the variables about mail (`M365_`) of this process's environment, empty ones too."""
    return environment.mail_variables(Settings)


def check_mail_variables() -> None:
    """Check the variables about mail alone, as for a server that gets everything else. Raises SettingsMistake."""
    others = {
        name: field.get_default()
        for name, field in Settings.model_fields.items()
        if not name.startswith("m365_") and not field.is_required()
    }
    sample = "00000000-0000-4000-8000-000000000001"
    others |= {"azure_client_id": sample, "azure_tenant_id": sample, "azure_client_secret": "the-demo-brings-its-own"}
    load(_env_file=None, **others)


def sources() -> dict[str, str]:
    """Return, by field name, where each value that is set comes from: `environment` or `.env`."""
    return environment.sources(Settings, environment.DOTENV)


def misspelt() -> dict[str, str]:
    """Return the variables that are nearly the name of a setting and so have no effect, with that name."""
    return environment.misspelt(Settings, environment.DOTENV)
