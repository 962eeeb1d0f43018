"""The ledger of sends."""
