"""Renders what the store reports about itself; see `records`."""

from __future__ import annotations

from m365_mcp.audit.ocsf import HIGH, OTHER, Options, Record, own_activity
from m365_mcp.audit.records import render
from m365_mcp.storage.newest_seen import StoreRolledBack


@render.register
def render_rollback(event: StoreRolledBack, at: int, options: Options) -> Record:
    """Return the record of a store that was taken back to an older state."""
    return own_activity("store.rolled_back", at, options) | {
        "activity_name": "Detect",
        "severity_id": HIGH,
        "status_id": OTHER,
        "status": event.found,
        "unmapped": {"collection": event.collection, "key": event.key},
    }
