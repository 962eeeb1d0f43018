"""The client of Microsoft Graph: requests, and the meaning of its responses."""
