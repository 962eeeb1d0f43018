"""Which hosts are this machine."""

import re
from urllib.parse import urlsplit

import pytest

from m365_mcp.loopback import HOSTS, NETLOCS, ORIGIN_PATTERN, is_loopback


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


@pytest.mark.parametrize(
    ("origin", "is_local"),
    [
        ("http://localhost:6274", True),
        ("https://127.0.0.1", True),
        ("http://[::1]:80", True),
        ("http://localhost.evil.example", False),
        ("http://evil.example", False),
        ("http://127x0x0x1", False),
        ("null", False),
    ],
)
def test_pages_of_this_machine_are_known_by_their_origin(origin: str, is_local: bool) -> None:
    """The pattern for CORS goes by the same spellings."""
    assert bool(re.fullmatch(ORIGIN_PATTERN, origin)) is is_local
