"""The Microsoft clouds: which Entra ID and which Graph belong together.

Source: Microsoft Entra "National clouds" and Microsoft Graph "National cloud deployments".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from m365_mcp.settings.permissions import BASIC

CloudName = Literal["global", "usgov", "usgov-dod", "china"]


@dataclass(frozen=True)
class Cloud:
    """One Microsoft cloud.

    Attributes:
        authority: address of Entra ID.
        graph: address of Microsoft Graph; it is also the prefix of Graph's scopes.
    """

    authority: str
    graph: str


CLOUDS: dict[CloudName, Cloud] = {
    "global": Cloud("https://login.microsoftonline.com", "https://graph.microsoft.com"),
    "usgov": Cloud("https://login.microsoftonline.us", "https://graph.microsoft.us"),
    "usgov-dod": Cloud("https://login.microsoftonline.us", "https://dod-graph.microsoft.us"),
    "china": Cloud("https://login.partner.microsoftonline.cn", "https://microsoftgraph.chinacloudapi.cn"),
}


def graph_scopes(cloud: Cloud, graph_base_url: str, names: tuple[str, ...] = BASIC) -> tuple[str, ...]:
    """Return delegated permissions as full URLs, as Entra ID's token endpoint expects them.

    The prefix is the Graph address of the cloud that the tokens are for; a simulator's address is never a prefix.
    """
    known = {known_cloud.graph for known_cloud in CLOUDS.values()}
    prefix = graph_base_url if graph_base_url in known else cloud.graph
    return tuple(f"{prefix}/{name}" for name in names)
