"""The HTTP skin of the simulated Microsoft Graph v1.0: the profile, sending mail, and Sent Items."""
