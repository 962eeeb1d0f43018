"""The settings about mail: which tools the server offers, and which mail it sends. See `settings`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings

from m365_mcp.settings import addresses, checks
from m365_mcp.settings.checks import CommaSeparated
from m365_mcp.settings.permissions import BASIC, PERMISSIONS, PROFILE, READING


class SendingSettings(BaseSettings):
    """The settings about mail; each field is one variable (`m365_send_mode` is `M365_SEND_MODE`)."""

    m365_send_mode: Literal["direct", "draft"] = Field(
        "direct",
        description="direct: send in one request; needs Mail.Send only. draft: create a draft, send it, and look it up "
        "when Graph's answer is unclear; needs Mail.ReadWrite too.",
    )
    m365_send_level: Literal["send", "draft", "off"] = Field(
        "send",
        description="What the tools may do. send: send mail. draft: only leave drafts, which the person sends in "
        "Outlook; needs no Mail.Send. off: only read.",
    )
    m365_toolsets: Annotated[CommaSeparated, AfterValidator(checks.check_toolsets)] = Field(
        (),
        description=f"Further tools, comma separated: {', '.join(PERMISSIONS)}. "
        "Each needs Graph permissions of its own.",
    )
    m365_send_key_hours: int = Field(
        24, ge=1, le=720, description="How long the server remembers an idempotency_key, in hours."
    )
    m365_send_repeat_minutes: int = Field(
        10, ge=3, le=1440, description="How long an equal message counts as a repeat, in minutes."
    )
    m365_send_allowed_domains: Annotated[CommaSeparated, AfterValidator(checks.check_domains)] | None = Field(
        None,
        description="Domains that mail may go to, comma separated. none: no domain at all. Unset: every domain.",
        examples=["contoso.example"],
    )
    m365_send_max_recipients: int = Field(
        500, ge=1, le=1000, description="Maximum recipients per message; Exchange Online's own limit is 500."
    )
    m365_send_hourly_limit: int = Field(
        50, ge=0, description="Maximum messages per sender to the same address per hour; 0: no limit."
    )
    m365_send_person_hourly: int = Field(60, ge=0, description="Maximum messages per sender per hour; 0: no limit.")
    m365_send_person_daily: int = Field(300, ge=0, description="Maximum messages per sender per day; 0: no limit.")
    m365_send_person_recipients_hourly: int = Field(
        1000, ge=0, description="Maximum recipients per sender per hour, over all messages; 0: no limit."
    )
    m365_send_person_recipients_daily: int = Field(
        3000, ge=0, description="Maximum recipients per sender per day, over all messages; 0: no limit."
    )
    m365_send_total_hourly: int = Field(
        0, ge=0, description="Maximum messages of all people of this server per hour; 0: no limit."
    )
    m365_send_total_daily: int = Field(
        0, ge=0, description="Maximum messages of all people of this server per day; 0: no limit."
    )
    m365_send_total_recipients_hourly: int = Field(
        0, ge=0, description="Maximum recipients of all people's messages per hour; 0: no limit."
    )
    m365_send_total_recipients_daily: int = Field(
        0, ge=0, description="Maximum recipients of all people's messages per day; 0: no limit."
    )
    m365_send_bcc: bool = Field(False, description="Whether people may send blind copies.")
    m365_send_from: bool = Field(
        False, description="Whether people may send from a shared mailbox; needs Mail.Send.Shared."
    )
    m365_send_blocked_extensions: Annotated[CommaSeparated, AfterValidator(checks.check_extensions)] | None = Field(
        None,
        description="File extensions of attachments to refuse, comma separated, in place of the built-in list. none: "
        "refuse no type. Unset: what Outlook blocks, and iqy, slk, rdp, msix and the like.",
        examples=["exe,js"],
    )
    m365_send_throttled_seconds: int = Field(
        0,
        ge=0,
        le=120,
        description="How long the server retries a message that Graph throttles (429), in seconds; 0: not at all.",
    )

    m365_send_approval: Literal["off", "external", "all"] = Field(
        "off",
        description="Which mail waits until the person presses Send on a page of this server. external: mail with an "
        "address outside M365_INTERNAL_DOMAINS. all: every mail.",
    )
    m365_approval_minutes: int = Field(
        15, ge=1, le=1440, description="How long a mail waits for the person's approval, in minutes."
    )
    m365_approval_proof: Literal["browser", "sign-in", "passkey"] = Field(
        "browser",
        description="How the person proves at the page who they are. browser: the sign-in with Microsoft that their "
        "browser has. sign-in: a new sign-in for each mail. passkey: a passkey for each mail, which signs exactly that "
        "mail; needs a host name in MCP_SERVER_BASE_URL.",
    )

    m365_send_require_interaction: bool = Field(
        False,
        description="Whether the tools that send carry anthropic/requiresUserInteraction, so that Claude Code asks the "
        "person before each call.",
    )

    m365_policy_file: Path | None = Field(
        None,
        description="File of Cedar policies that forbid messages, in addition to the settings; docs/policy.md.",
        examples=["/etc/m365-mcp/policies.cedar"],
    )
    m365_internal_domains: Annotated[CommaSeparated, AfterValidator(checks.check_internal_domains)] | None = Field(
        None,
        description="The company's own domains for the policies, comma separated; *.contoso.example is every domain "
        "below. Unset: the domains of the person's own addresses.",
        examples=["contoso.example,*.contoso.example"],
    )
    m365_policy_timezone: Annotated[str, AfterValidator(checks.check_time_zone)] = Field(
        "UTC", description="Time zone in which the policies tell hour and weekday, by its IANA name."
    )

    m365_policy_contact_days: int = Field(
        180,
        ge=1,
        le=3650,
        description="For policies that name firstTimeCount: how long an address counts as known after a person's last "
        "mail to it, in days. Without such a policy, no address is kept.",
    )

    m365_show_previews: bool = Field(
        False, description="Whether list_messages shows the model the first words of each message."
    )

    @field_validator("m365_approval_proof")
    @classmethod
    def _require_host_for_passkeys(cls, value: str, info: ValidationInfo) -> str:
        if value == "passkey" and "mcp_server_base_url" in info.data:
            addresses.check_passkey_host(info.data["mcp_server_base_url"])
        return value

    @property
    def graph_permissions(self) -> tuple[str, ...]:
        """The delegated Graph permissions that the chosen settings need, and no others."""
        needed = [*BASIC] if self.m365_send_level == "send" else [PROFILE]
        of_toolsets = READING if self.m365_send_level == "off" else PERMISSIONS
        for toolset in self.m365_toolsets:
            needed += of_toolsets[toolset]
        if self.m365_send_level == "send" and self.m365_send_mode == "draft":
            needed += ["Mail.ReadWrite"]
        if self.m365_send_level == "send" and self.m365_send_from:
            needed += ["Mail.Send.Shared"]
        return tuple(dict.fromkeys(needed))
