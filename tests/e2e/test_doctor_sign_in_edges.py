"""`m365-mcp doctor --sign-in` in odd places: other stores, a taken port, two at once, Ctrl-C, a noisy neighbour."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.e2e.doctors import Doctor, Person, come_back, examined, wrong
from tests.e2e.grants import start_server
from tests.e2e.programs import Redis, Simulator, make_server
from tests.e2e.test_refusals import SEND


@pytest.mark.parametrize("store", ["memory", "disk", "two processes"])
async def test_doctor_runs_the_server_with_any_store(
    simulator: Simulator, shared_redis: Redis, tmp_path: Path, store: str
) -> None:
    """What the doctor does not share with the server that it runs, as records in memory, is no fault."""
    chosen = {"memory": {"REDIS_URL": "memory://"}, "disk": {}}
    server = make_server(tmp_path, simulator, **chosen.get(store, {"REDIS_URL": shared_redis.url, "MCP_WORKERS": "2"}))

    out = await examined(server, simulator, tmp_path, "--json")

    assert wrong(out) == []
    assert len(simulator.outbox) == 1


async def test_foreign_program_at_the_port_is_one_failure(
    simulator: Simulator, shared_redis: Redis, tmp_path: Path
) -> None:
    """It answers at the public URL, too, which is no second cause; nobody signs in there, and no server is started."""
    refusing = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = str(refusing.sockets[0].getsockname()[1])
    here = {"MCP_PORT": port, "MCP_SERVER_BASE_URL": f"http://localhost:{port}"}
    server = make_server(tmp_path, simulator, REDIS_URL=shared_redis.url, **here)
    async with refusing:
        out = await examined(server, simulator, tmp_path, "--json")

    checks = {one["name"]: one for one in json.loads(out)["checks"]}
    assert wrong(out) == [("port", "fail", "port_in_use")]
    assert [checks[name]["after"] for name in ("public_url", "sign_in", "sign_out")] == ["port"] * 3


async def test_public_url_that_is_not_reachable_is_a_warning_and_nobody_signs_in(
    simulator: Simulator, shared_redis: Redis, tmp_path: Path
) -> None:
    """Behind a proxy the doctor cannot walk; it says so once, and that is no failure."""
    url = "https://nowhere.invalid/m365"
    simulator.control("PATCH", "app", redirect_uris=[f"{url}/auth/callback"])
    server = make_server(tmp_path, simulator, REDIS_URL=shared_redis.url, MCP_SERVER_BASE_URL=url)

    out = await examined(server, simulator, tmp_path, "--json")

    found = next(one for one in json.loads(out)["checks"] if one["name"] == "sign_in")
    assert wrong(out) == [("public_url", "warn", "public_url_unreachable")]
    assert (found["status"], found["after"]) == ("skip", "public_url")


@pytest.mark.usefixtures("no_session_left")
@pytest.mark.parametrize("requests", [1, 2], ids=["token", "call"])
async def test_ctrl_c_after_the_wait_leaves_no_session(
    simulator: Simulator, shared_redis: Redis, tmp_path: Path, requests: int
) -> None:
    """While the token is on its way, and while Microsoft takes its time with the mail; nobody sees a traceback."""
    server = start_server(tmp_path, simulator, REDIS_URL=shared_redis.url)
    simulator.control("POST", "faults", where=SEND, what={"delay_seconds": 12.0})
    doctor = Doctor(tmp_path, server.program.environment, "--json")
    address = await doctor.address()
    assert address
    await come_back(Person(simulator.ready["ca_file"]), address, bool)
    while simulator.count(path="/v1.0/me") < requests:  # noqa: ASYNC110 - another process
        await asyncio.sleep(0.05)
    doctor.process.send_signal(signal.SIGINT)
    await doctor.finished()

    assert doctor.process.poll() != 0


@pytest.mark.usefixtures("no_session_left")
async def test_two_doctors_at_once_do_not_disturb_each_other(
    simulator: Simulator, shared_redis: Redis, tmp_path: Path
) -> None:
    """Each sends its mail and revokes its own token, and garbage at the port of a callback ends neither."""
    server = start_server(tmp_path, simulator, REDIS_URL=shared_redis.url)
    doctors = [Doctor(tmp_path / name, server.program.environment, "--json") for name in ("one", "two")]
    addresses = [str(await doctor.address()) for doctor in doctors]
    for address in addresses:
        await disturb(urlsplit(dict(parse_qsl(urlsplit(address).query))["redirect_uri"]).port or 0)
    for address in addresses:
        await come_back(Person(simulator.ready["ca_file"]), address, bool)

    assert [wrong(await doctor.finished()) for doctor in doctors] == [[], []]
    assert ["Unhandled" in doctor.err.read_text() for doctor in doctors] == [False, False]
    assert len(simulator.outbox) == 2


async def disturb(port: int) -> None:
    """Send what no browser sends, and what another page could have a browser send."""
    invented = b"GET /callback?code=x&state=y HTTP/1.1\r\n\r\n"
    for noise in (b"\r\n\r\n", b"GET /" + b"x" * 70_000 + b"\r\n\r\n", b"GET \xff HTTP/1.1\r\n\r\n", invented):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(noise)
        answer = await reader.read()
        assert b"200 OK" not in answer
        writer.close()
