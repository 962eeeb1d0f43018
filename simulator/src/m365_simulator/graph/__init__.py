"""The HTTP endpoints of the simulated Microsoft Graph v1.0: the profile, messages and their attachments, and people."""
