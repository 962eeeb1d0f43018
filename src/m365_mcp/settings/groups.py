"""The groups of the settings, as the documents and the command `m365-mcp settings` show them."""

from __future__ import annotations

# The heading in front of each group, by the first setting of the group.
HEADINGS = {
    "azure_client_id": "The app registration in Entra ID",
    "mcp_server_base_url": "This server",
    "redis_url": "The store and the keys",
    "mcp_clients": "Who may call",
    "azure_cloud": "Other clouds",
    "mcp_product_name": "What people see",
    "m365_send_mode": "What may be sent",
    "m365_audit": "What is recorded",
}
