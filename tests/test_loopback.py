"""Which hosts are this machine."""

from urllib.parse import urlsplit

import pytest

from m365_mcp.loopback import HOSTS, NETLOCS, is_loopback


@pytest.mark.parametrize("host", [*HOSTS, "LOCALHOST", "LocalHost"])
def test_three_spellings_are_this_machine(host: str) -> None:
    """The name and the two literals count, in any case."""
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "localhost.",
        "localhost.evil.example",
        "evil-localhost",
        "[::1]",
        "127.0.0.2",
        "127.1",
        "0x7f.1",
        "2130706433",
        "0.0.0.0",
        "::",
        "::ffff:127.0.0.1",
        "0:0:0:0:0:0:0:1",
        "::1%lo",
        "ⓛocalhost",
        "localhost:80",
    ],
)
def test_other_spellings_are_not(host: str | None) -> None:
    """A spelling that programs read differently does not count as this machine."""
    assert not is_loopback(host)


def test_the_list_of_urls_is_the_list_of_hosts() -> None:
    """Both lists name the same machines."""
    assert tuple(urlsplit(f"http://{netloc}").hostname for netloc in NETLOCS) == HOSTS
