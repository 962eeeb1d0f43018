"""Where the server cannot listen, the refusal names the setting; elsewhere every address of the host listens."""

from __future__ import annotations

import socket

import pytest

from m365_mcp.errors import SettingsMistake
from m365_mcp.web.listening import listen
from tests.e2e.programs import free_port


@pytest.mark.parametrize(
    ("host", "sentence"),
    [
        ("no-such-host.invalid", "does not resolve"),
        ("203.0.113.9", "This machine has no such address."),
        ("::ffff:127.0.0.1", "cannot listen on this address"),
    ],
)
def test_f9_host_that_is_none_of_this_machine_is_a_mistake_of_its_setting(host: str, sentence: str) -> None:
    """MCP_HOST is named, with what is wrong, instead of a number of the operating system."""
    with pytest.raises(SettingsMistake) as refused:
        listen(host, free_port())

    [(name, problem)] = refused.value.mistakes
    assert (name, sentence in problem) == ("MCP_HOST", True)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", ""])
def test_f9_taken_port_is_a_mistake_of_its_setting(host: str) -> None:
    """MCP_PORT is named, with what is wrong."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(SettingsMistake) as refused:
            listen(host, port)

    assert [name for name, _ in refused.value.mistakes] == ["MCP_PORT"]
    assert "already in use" in refused.value.mistakes[0][1]


def test_f9_failed_start_keeps_no_port() -> None:
    """Where one family is taken, the socket of the other one is closed again."""
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as other:
        port = other.getsockname()[1]
        with pytest.raises(SettingsMistake) as refused:
            listen("", port)

        assert refused.value.mistakes[0][0] == "MCP_PORT"
        for opened in listen("127.0.0.1", port):
            opened.close()


def test_f9_no_host_means_both_families() -> None:
    """A client reaches the server over IPv4, and over IPv6 where the machine has it."""
    port = free_port()
    opened = listen("", port)

    for each in opened:
        address = "127.0.0.1" if each.family == socket.AF_INET else "::1"
        socket.create_connection((address, port), timeout=5).close()
        each.close()

    assert socket.AF_INET in {each.family for each in opened}
