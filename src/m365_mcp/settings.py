"""The operator's choices, read once from the environment and `.env`, checked, and handed down.

The only reader of the environment. Every mistake is reported at once, each with its variable's name.
May know `server_settings`, `clouds`, `errors`.
"""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError

from m365_mcp import settings_checks as checks
from m365_mcp.clouds import BASIC
from m365_mcp.errors import SettingsMistake
from m365_mcp.server_settings import CLAUDE_CALLBACKS as CLAUDE_CALLBACKS
from m365_mcp.server_settings import DEFAULT_REDIS_URL as DEFAULT_REDIS_URL
from m365_mcp.server_settings import NOT_SET, ServerSettings, Words
from m365_mcp.settings_checks import LOOPBACK_HOSTS as LOOPBACK_HOSTS

# What each toolset needs besides Mail.Send and User.Read (Graph permissions reference).
PERMISSIONS: dict[str, tuple[str, ...]] = {
    "drafts": ("Mail.ReadWrite",),
    "attachments": ("Mail.ReadWrite",),
    "replies": ("Mail.ReadWrite",),
    "schedule": ("Mail.ReadWrite",),
    "people": ("People.Read", "User.ReadBasic.All"),
}


class Settings(ServerSettings):
    """All settings: those of the server, and what may be sent."""

    m365_send_mode: Literal["direct", "draft"] = Field(
        "direct",
        description="direct: one request, needs Mail.Send only. draft: a draft that is sent and looked up when the "
        "answer is unclear, needs Mail.ReadWrite.",
    )
    m365_toolsets: Annotated[Words, AfterValidator(checks.check_toolsets)] = Field(
        (),
        description="Further tools, comma separated: drafts, attachments, replies, schedule, people. Each asks for the "
        "Graph permissions it needs.",
    )
    m365_send_key_hours: int = Field(
        24, ge=1, le=720, description="How long an idempotency_key is remembered, in hours."
    )
    m365_send_repeat_minutes: int = Field(
        10, ge=3, le=1440, description="How long an equal message counts as a repeat, in minutes."
    )
    m365_send_allowed_domains: Annotated[Words, AfterValidator(checks.check_domains)] | None = Field(
        None, description="Domains that may be written to, comma separated; none: nobody. Unset: everybody."
    )
    m365_send_max_recipients: int = Field(
        500, ge=1, le=1000, description="Most recipients of one message; Exchange Online's own limit is 500."
    )
    m365_send_hourly_limit: int = Field(
        50, ge=0, description="Most messages of one person to one address in an hour; 0: no limit."
    )
    m365_send_bcc: bool = Field(False, description="Whether blind copies may be sent.")
    m365_send_from: bool = Field(
        False, description="Whether people may send for a shared mailbox; asks for Mail.Send.Shared."
    )
    m365_send_blocked_extensions: Words | None = Field(
        None, description="Attachment types to refuse, comma separated. Unset: the ones Outlook blocks."
    )
    m365_send_throttled_seconds: int = Field(
        0,
        ge=0,
        le=120,
        description="For how long a message that Graph throttles (429) is offered again, in seconds; 0: the caller is "
        "told at once.",
    )

    m365_show_previews: bool = Field(
        False, description="Whether list_messages shows the first words of each message to the model."
    )

    @property
    def graph_permissions(self) -> tuple[str, ...]:
        """The delegated Graph permissions that what is switched on needs, and no others."""
        needed = [*BASIC]
        for toolset in self.m365_toolsets:
            needed += PERMISSIONS[toolset]
        if self.m365_send_mode == "draft":
            needed += ["Mail.ReadWrite"]
        if self.m365_send_from:
            needed += ["Mail.Send.Shared"]
        return tuple(dict.fromkeys(needed))


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
