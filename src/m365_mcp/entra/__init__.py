"""The client of Microsoft Entra ID: token endpoint, signing keys, token verification, On-Behalf-Of."""
