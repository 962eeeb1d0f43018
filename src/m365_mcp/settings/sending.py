"""The settings about mail: which tools there are, and what may be sent. See `settings`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings

from m365_mcp.settings import checks
from m365_mcp.settings.checks import CommaSeparated
from m365_mcp.settings.clouds import BASIC

# What each toolset needs besides Mail.Send and User.Read (Graph permissions reference).
PERMISSIONS: dict[str, tuple[str, ...]] = {
    "drafts": ("Mail.ReadWrite",),
    "attachments": ("Mail.ReadWrite",),
    "replies": ("Mail.ReadWrite",),
    "schedule": ("Mail.ReadWrite",),
    "people": ("People.Read", "User.ReadBasic.All"),
}


class SendingSettings(BaseSettings):
    """The settings about mail, one field a variable (`m365_send_mode` is `M365_SEND_MODE`)."""

    m365_send_mode: Literal["direct", "draft"] = Field(
        "direct",
        description="direct: one request, needs Mail.Send only. draft: a draft that is sent and looked up when the "
        "answer is unclear, needs Mail.ReadWrite.",
    )
    m365_toolsets: Annotated[CommaSeparated, AfterValidator(checks.check_toolsets)] = Field(
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
    m365_send_allowed_domains: Annotated[CommaSeparated, AfterValidator(checks.check_domains)] | None = Field(
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
    m365_send_blocked_extensions: CommaSeparated | None = Field(
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
