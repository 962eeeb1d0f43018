"""The settings of MCP clients: which may sign in, and how they make themselves known. See `settings`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings

from m365_mcp.clients import DEFAULT_CLIENTS, redirect_uris_of
from m365_mcp.settings import addresses, checks
from m365_mcp.settings.checks import CommaSeparated


class ClientSettings(BaseSettings):
    """The settings of MCP clients; each field is one variable (`mcp_clients` is `MCP_CLIENTS`)."""

    mcp_clients: Annotated[CommaSeparated, AfterValidator(checks.check_clients)] = Field(
        DEFAULT_CLIENTS,
        description="MCP clients whose redirect URIs are allowed, by name, comma separated: claude, loopback (every "
        "client on the person's own machine), vscode, cursor, chatgpt, copilot-studio, and others in clients.md.",
    )
    mcp_allowed_redirect_uris: Annotated[CommaSeparated, AfterValidator(checks.check_redirect_patterns)] = Field(
        (),
        description="Further redirect URIs that MCP clients may use, comma separated. They are compared exactly, "
        "whatever their spelling; * may replace the port of a loopback address, or the last segment of a path. They "
        "are added to those of MCP_CLIENTS; where only this variable is set, they are the only ones.",
    )
    mcp_cimd: Literal["on", "off"] = Field(
        "on", description="Clients that bring a metadata document (CIMD): on, or off to offer registration only."
    )
    mcp_cimd_allowed_hosts: Annotated[CommaSeparated, AfterValidator(addresses.check_hosts_and_ports)] = Field(
        (),
        description="Hosts whose metadata documents may be at a private address and, unless a port is named, at any "
        "port: host or host:port, comma separated. All others are fetched from public addresses and port 443 only.",
    )
    mcp_max_unused_registrations: int = Field(
        10_000,
        ge=1,
        le=1_000_000,
        description="How many clients may be registered with which nobody has signed in; beyond that, the oldest is "
        "dropped for each new one. A week after its registration such a client is dropped anyway.",
    )

    @property
    def redirect_uris(self) -> tuple[str, ...]:
        """The redirect URIs that MCP clients may use, in the grammar of `redirects`."""
        # An operator who has listed the URIs, and named no client, wants these and no others.
        names_clients = "mcp_clients" in self.model_fields_set or not self.mcp_allowed_redirect_uris
        return (*redirect_uris_of(self.mcp_clients if names_clients else ()), *self.mcp_allowed_redirect_uris)
