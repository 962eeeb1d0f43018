"""Builds what clients with a metadata document need, from the settings."""

from __future__ import annotations

from m365_mcp.auth.client_metadata.assertions import UsedAssertions
from m365_mcp.auth.client_metadata.clients import CLIENT_METADATA, KEY_SETS, ClientMetadata
from m365_mcp.auth.client_metadata.documents import Documents
from m365_mcp.auth.client_metadata.fetcher import Fetcher
from m365_mcp.auth.client_metadata.hosts import HostRules
from m365_mcp.auth.client_metadata.proxying import DocumentClients
from m365_mcp.settings import Settings
from m365_mcp.storage.records import Records
from m365_mcp.trust import trust_of


def open_client_metadata(settings: Settings, records: Records) -> ClientMetadata | None:
    """Return the metadata documents of clients, or None when MCP_CIMD is off."""
    if settings.mcp_cimd == "off":
        return None
    rules = HostRules(settings.mcp_cimd_allowed_hosts)
    clients = DocumentClients(trust_of(settings.ssl_cert_file), rules)
    fetcher = Fetcher(clients.client_for, rules)  # one, so that both kinds share its limits
    return ClientMetadata(
        Documents(records, fetcher, CLIENT_METADATA),
        Documents(records, fetcher, KEY_SETS),
        UsedAssertions(records),
        clients.close,
    )
