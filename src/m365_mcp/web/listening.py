"""The sockets that the server listens on; where it cannot, the setting to change.

uvicorn opens them when everything else has started, and ends with a line of the operating system that names no setting.
"""

from __future__ import annotations

import errno
import os
import socket

from m365_mcp.errors import SettingsMistake


def listen(host: str, port: int) -> list[socket.socket]:
    """Return a listening socket for each address of `host`.

    Args:
        host: a name or an address; empty: every address of both families.
        port: the port.

    Raises:
        SettingsMistake: the host is no address of this machine, or the port cannot be used.
    """
    opened: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, address in dict.fromkeys((family, address) for family, _, _, _, address in found):
            opened += _listen(family, address)
    except OSError as error:
        for each in opened:
            each.close()
        raise SettingsMistake((_mistake(error, port),)) from error
    return opened


def _listen(family: int, address: tuple[object, ...]) -> list[socket.socket]:
    try:
        return [socket.create_server(address, family=family)]
    except OSError as error:
        if error.errno == errno.EAFNOSUPPORT:
            return []  # a kernel without IPv6
        raise


def _mistake(error: OSError, port: int) -> tuple[str, str]:
    """Return the variable to change, and what is wrong with it."""
    if isinstance(error, socket.gaierror):
        return "MCP_HOST", "The name does not resolve to an address."
    if error.errno == errno.EADDRNOTAVAIL:
        return "MCP_HOST", "This machine has no such address. 0.0.0.0 is every IPv4 address, :: every address."
    if error.errno == errno.EADDRINUSE:
        return "MCP_PORT", f"Port {port}: address already in use, by another program."
    if error.errno in (errno.EACCES, errno.EPERM):
        return "MCP_PORT", f"This account may not listen on port {port}. Choose a port above 1023."
    return "MCP_HOST", f"The server cannot listen on this address: {os.strerror(error.errno or 0)}."
