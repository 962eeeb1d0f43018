"""Everything that speaks to Microsoft Entra ID: sign-in proxy, token endpoint, signing keys, On-Behalf-Of."""
