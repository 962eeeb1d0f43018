"""The simulator on real sockets: TLS, the ready file, real resets and stalls, and a calm stop."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path

import httpx2
import pytest

from m365_simulator import Options, serve
from m365_simulator.app import CLIENT_ID, CLIENT_SECRET, TENANT_ID
from m365_simulator.organizations import FABRIKAM
from tests.trust import NO_AUTHORITY, trusting

from .client import Client, mail, until
from .live import opened, running

pytestmark = pytest.mark.full

PROGRAM = """
import asyncio, sys
from pathlib import Path
from m365_simulator import Options, serve
asyncio.run(serve(Options(port=0, control_port=0, ready_file=Path(sys.argv[1]))))
"""


async def test_whole_way_over_tls(live: Client) -> None:
    """Signing in, the exchange and a mail work over real TLS with the authority's certificate alone."""
    response = await live.send(await live.graph_headers())

    assert response.status_code == 202
    assert len(await live.outbox()) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_both_names_of_loopback_work(host: str) -> None:
    """The certificate and the sockets serve 127.0.0.1 and localhost."""
    async with running(Options(port=0, control_port=0)) as ready:
        trust = trusting(ready.ca_file)
        url = f"{ready.authority.replace('localhost', host)}/{TENANT_ID}/discovery/v2.0/keys"
        async with httpx2.AsyncClient(verify=trust, trust_env=False) as client:
            assert len((await client.get(url)).json()["keys"]) == 2


async def test_untrusting_client_is_refused(live: Client) -> None:
    """Without the authority's certificate the connection fails."""
    async with httpx2.AsyncClient(trust_env=False) as client:
        with pytest.raises(httpx2.ConnectError):
            await client.get(live.microsoft.base_url)


@pytest.mark.parametrize(("when", "sent"), [("before", 0), ("after", 1)])
async def test_reset_is_a_real_one(live: Client, when: str, sent: int) -> None:
    """The client sees a broken connection; the outbox tells whether the mail was sent."""
    headers = await live.graph_headers()
    await live.control("POST", "faults", {"where": {"path": "*/sendMail"}, "what": {"reset": True}, "when": when})

    with pytest.raises((httpx2.ReadError, httpx2.RemoteProtocolError)):
        await live.send(headers)

    assert len(await live.outbox()) == sent
    assert (await live.send(headers)).status_code == 202


async def test_stall_stops_in_the_middle_of_the_body(live: Client) -> None:
    """The response begins, half of the body comes, and then nothing until the client gives up."""
    headers = await live.graph_headers()
    await live.control("POST", "faults", {"where": {"path": "/v1.0/me"}, "what": {"stall": True}})

    async with live.microsoft.stream("GET", "/v1.0/me", headers=headers, timeout=2.0) as response:
        chunks = response.aiter_bytes()
        received = await anext(chunks)
        with pytest.raises(httpx2.ReadTimeout):
            await anext(chunks)

    assert response.status_code == 200
    assert len(received) == int(response.headers["content-length"]) // 2


async def test_delay_before_the_headers(live: Client) -> None:
    """A late answer runs into the client's timeout although the mail was sent."""
    headers = await live.graph_headers()
    what = {"delay_seconds": 30.0}
    await live.control("POST", "faults", {"where": {"path": "*/sendMail"}, "what": what, "when": "after"})

    with pytest.raises(httpx2.ReadTimeout):
        await live.microsoft.post("/v1.0/me/sendMail", headers=headers, json=mail(), timeout=3.0)

    assert len(await live.outbox()) == 1


async def test_event_stream_announces_mail_and_does_not_hold_up_the_stop() -> None:
    """An open event stream hears of new mail at once, and ends when the simulator stops."""
    async with contextlib.AsyncExitStack() as stack:
        server = contextlib.AsyncExitStack()
        client = await stack.enter_async_context(
            opened(await server.enter_async_context(running(Options(port=0, control_port=0))))
        )
        headers = await client.graph_headers()
        response = await stack.enter_async_context(client.tester.stream("GET", "/events"))
        lines = response.aiter_lines()
        heard = [line async for line in _until(lines, "data: ")]
        await client.send(headers)
        heard += [line async for line in _until(lines, "data: ")]

        start = time.monotonic()
        await server.aclose()
        assert time.monotonic() - start < 2
        assert len({line for line in heard if line.startswith("data: ")}) == 2


async def _until(lines: AsyncIterator[str], prefix: str) -> AsyncIterator[str]:
    """Pass lines on up to the first with this prefix."""
    async for line in lines:
        yield line
        if line.startswith(prefix):
            return


async def test_ready_file_says_everything_and_appears_whole(tmp_path: Path) -> None:
    """The file holds the same as the callback gets, and no temporary file is left."""
    path = tmp_path / "ready.json"
    options = Options(port=0, control_port=0, ready_file=path, state_dir=tmp_path / "state", scope_name="use-it")

    async with running(options) as ready:
        written = json.loads(path.read_text())

        assert written == asdict(ready)
        assert written["client_id"] == CLIENT_ID
        assert (written["tenant_id"], written["other_tenant_id"]) == (TENANT_ID, FABRIKAM.id)
        assert written["client_secret"] == CLIENT_SECRET
        assert (written["scope_name"], written["pid"]) == ("use-it", os.getpid())
        assert written["authority"].startswith("https://localhost:")
        assert written["upload"].startswith("https://localhost:")
        assert len({written["authority"], written["upload"], written["control"]}) == 3
        assert written["mailbox_page"] == f"{written['control']}/"
        assert written["ca_file"] == str(tmp_path / "state" / "ca.pem")
    assert sorted(os.listdir(tmp_path)) == ["ready.json", "state"]


async def test_taken_port_is_an_error() -> None:
    """A port that somebody else uses is told at the start."""
    async with running(Options(port=0, control_port=0)) as ready:
        with pytest.raises(OSError, match="in use"):
            await serve(Options(port=int(ready.authority.rpartition(":")[2]), control_port=0))


@pytest.mark.e2e
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signal_ends_the_process_with_0(tmp_path: Path, number: signal.Signals) -> None:
    """The process stops at SIGTERM and SIGINT, with an event stream open, and reports success."""
    path = tmp_path / "ready.json"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-c", PROGRAM, str(path), stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(20):
        await until(path.exists)
        url = json.loads(path.read_text())["control"] + "/events"
        async with (
            httpx2.AsyncClient(verify=NO_AUTHORITY, trust_env=False) as client,
            client.stream("GET", url) as response,
        ):
            await anext(response.aiter_lines())
            process.send_signal(number)
            _, errors = await process.communicate()

    assert (process.returncode, errors) == (0, b"")
