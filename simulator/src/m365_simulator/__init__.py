"""A strict stand-in for Microsoft Entra ID v2.0 and Microsoft Graph mail, for trying out and for tests only."""

from m365_simulator.app import Simulator, create_simulator
from m365_simulator.run import Options, Ready, serve

__all__ = ["Options", "Ready", "Simulator", "create_simulator", "serve"]
