"""Everything that speaks to Microsoft Graph."""
