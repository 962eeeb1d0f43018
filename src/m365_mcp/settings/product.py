"""The settings of the pages that a person sees: how the product is called, its icon, and where help is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings

from m365_mcp.settings import checks

DEFAULT_NAME = "M365 MCP Server"


class ProductSettings(BaseSettings):
    """How the product calls and shows itself; each field is one variable (`mcp_product_name` is `MCP_PRODUCT_NAME`)."""

    mcp_product_name: Annotated[str, AfterValidator(checks.check_product_name)] = Field(
        DEFAULT_NAME, description="Name of the product on its pages and in MCP clients, at most 60 characters."
    )
    mcp_product_icon: Annotated[Path, AfterValidator(checks.check_icon)] | None = Field(
        None,
        description="SVG or PNG file of at most 100 KB with the product's icon. Unset: an envelope.",
        examples=["/etc/m365-mcp/icon.svg"],
    )
    mcp_help_url: Annotated[str, AfterValidator(checks.check_help)] | None = Field(
        None,
        description="Address behind Help on the pages, https:// or mailto:. Unset: no link.",
        examples=["https://intranet.example.com/help"],
    )
    mcp_server_card: bool = Field(
        False,
        description="Whether a server card (/mcp/server-card) and a catalogue (/.well-known/ai-catalog.json) tell "
        "everybody the server's name, version, icon and endpoint.",
    )
