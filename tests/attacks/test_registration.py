"""Attacks on registration and on metadata documents: rows B of the acceptance suite that need the whole server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from m365_mcp.auth.client_metadata.hosts import HostRules, is_client_id_url, target_of
from tests.inprocess import CALLBACK, World, running
from tests.web.apps import BROWSER

CHUNK = 65_536
EVIL = "https://evil.example"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with running() as world:
        yield world


class LargeRegistration:
    """A registration with a `client_name` of 40 MiB; counts what the server takes of it."""

    def __init__(self) -> None:
        self.taken = 0
        self.total = 40 * 1024 * 1024

    async def __aiter__(self) -> AsyncIterator[bytes]:
        begin = b'{"redirect_uris": ["http://localhost:1/cb"], "client_name": "'
        for part in (begin, *[b"a" * CHUNK] * (self.total // CHUNK), b'"}'):
            self.taken += len(part)
            yield part


@pytest.mark.parametrize("says_length", [True, False])
async def test_b2_registration_of_40_mib_is_413_before_it_is_read(world: World, says_length: bool) -> None:
    """With its length the body is not taken, and in chunks no more than the limit and what breaks it."""
    body = LargeRegistration()
    headers = {"Content-Type": "application/json"} | ({"Content-Length": str(body.total)} if says_length else {})
    async with world.http() as http:
        answer = await http.post("/register", content=body, headers=headers)

    assert (answer.status_code, answer.json()["error"]) == (413, "invalid_request")
    assert body.taken <= (CHUNK if says_length else 3 * CHUNK)


async def test_b3_registration_with_twenty_thousand_redirect_uris_is_refused(world: World) -> None:
    """As a body that is too large; what fits into one is refused for the number."""
    many = [f"http://localhost:{port}/cb" for port in range(1, 20_001)]
    refused = [await world.register(redirect_uris=many[:count]) for count in (20_000, 1_000, 11)]

    assert [answer.status_code for answer in refused] == [413, 400, 400]


async def test_b8_page_of_another_site_registers_no_client(world: World) -> None:
    """A foreign `Origin` is 403 with every body that a page can send, and a preflight gets no leave."""
    body = json.dumps({"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"})
    plain = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x")
    async with world.http() as http:
        posted = [
            await http.post("/register", content=body, headers={"Origin": origin, "Content-Type": content_type})
            for origin in (EVIL, "null")
            for content_type in (*plain, "application/json")
        ]
        asked = {"Origin": EVIL, "Access-Control-Request-Method": "POST"}
        preflight = await http.options("/register", headers=asked)

    assert {answer.status_code for answer in posted} == {403}
    assert all("client_id" not in answer.text for answer in posted)
    for answer in (*posted, preflight):
        assert answer.headers.get("Access-Control-Allow-Origin") not in (EVIL, "*", "null")


INWARDS = [
    "https://127.0.0.1/x",
    "https://2130706433/x",
    "https://0x7f000001/x",
    "https://0x7f.0.0.1/x",
    "https://0177.0.0.1/x",
    "https://127.1/x",
    "https://[::ffff:7f00:1]/x",
    "https://[::ffff:127.0.0.1]/x",
    "https://[64:ff9b::7f00:1]/x",
    "https://[2002:7f00:1::]/x",
    "https://[::1]/x",
    "https://[::]/x",
    "https://0.0.0.0/x",
    "https://localhost/x",
    "https://LOCALHOST./x",
    "https://a.localhost/x",
    "https://169.254.169.254/x",
    "https://168.63.129.16/x",
    "https://168.63.129.16:80/x",
    "https://100.100.100.200/x",
    "https://10.0.0.1/x",
    "https://172.16.0.1/x",
    "https://192.168.0.1/x",
    "https://192.0.0.192/x",
    "https://[fd00::1]/x",
    "https://[fe80::1]/x",
    "https://[fd00:ec2::254]/x",
    "https://%31%32%37.0.0.1/x",
    "https://①②⑦.0.0.1/x",
]


@pytest.mark.parametrize("url", INWARDS)
@pytest.mark.sample(6)
async def test_b9_client_id_that_points_inwards_is_refused_without_a_packet(world: World, url: str) -> None:
    """Every spelling of an address of this machine or network is no client id, or no host that is asked."""
    target = target_of(url)
    async with world.http() as http:
        begun = await http.get(await world.authorization(url), headers=BROWSER)

    assert not is_client_id_url(url) or (target is not None and HostRules().refuse(target))
    assert begun.status_code == 400
    assert "Location" not in begun.headers


def test_b9_public_names_are_told_apart() -> None:
    """The rules that refuse those pass a public host, so it is the address that decides."""
    for url in ("https://client.example.com/x", "https://[2606:4700::1111]/x", "https://1.1.1.1/x"):
        target = target_of(url)
        assert is_client_id_url(url)
        assert target is not None
        assert not HostRules().refuse(target)
