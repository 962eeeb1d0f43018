"""The HTTP endpoints of the simulated Microsoft Entra ID v2.0: discovery, authorization endpoint and token endpoint."""
