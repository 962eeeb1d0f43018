"""Parts of `m365-mcp doctor`: what errors of a connection mean, how checks end, and what is printed."""

from __future__ import annotations

import asyncio
import io
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest
import trustme
from rich.console import Console

from m365_mcp.commands.doctor import reaching
from m365_mcp.commands.doctor.examination import Check, Depends, Examination
from m365_mcp.commands.doctor.port import PortCheck
from m365_mcp.commands.doctor.printing import print_report
from m365_mcp.commands.doctor.public_url import PublicUrlChecks
from m365_mcp.commands.doctor.reaching import patient_client, why_unreachable
from m365_mcp.commands.doctor.report import Finding, Report
from m365_mcp.commands.doctor.store import StoreChecks
from m365_mcp.errors import M365Error, PortInUse
from m365_mcp.trust import trust_of

CREDENTIAL = "client_credential"


@pytest.mark.parametrize("proxy", ["bob:hunter2@127.0.0.1:1", "http://bob:hunter2@127.0.0.1:1"])
def test_password_of_a_proxy_is_not_told(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    """The host is, with or without a scheme."""
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    monkeypatch.setenv("NO_PROXY", "")

    why = why_unreachable(httpx2.ConnectError("no"), "https://login.example.com")

    assert why.code == "proxy_failed"
    assert "The proxy 127.0.0.1 does" in why.sentence


def test_redis_uses_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused connection to Redis is not the fault of a proxy for all schemes."""
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "")

    assert why_unreachable(ConnectionRefusedError(), "tcp://redis.example.com:6379").code == "connection_refused"


async def test_program_that_accepts_and_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the port it is another program; at the public URL it is silence, from outside with its own code."""
    monkeypatch.setattr(reaching, "REQUEST_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        async with patient_client(trust_of(None), uses_proxy=False) as http:
            held = PortCheck("127.0.0.1", port, "instance", http).check()
            inside, *_ = PublicUrlChecks(f"http://127.0.0.1:{port}", http).checks()
            outside, *_ = PublicUrlChecks(f"http://127.0.0.1:{port}", http, is_outside=True).checks()
            found = [(await Examination().run([check]))[0] for check in (held, inside, outside)]

    assert [(one.status, one.code) for one in found] == [
        ("fail", "port_in_use"),
        ("warn", "public_url_unreachable"),
        ("fail", "connection_timed_out"),
    ]


async def test_server_on_this_machine_that_does_not_run_is_to_be_started() -> None:
    """Nobody outside could tell more about it."""
    async with patient_client(trust_of(None), uses_proxy=False) as http:
        check, *_ = PublicUrlChecks("http://localhost:1", http).checks()
        (found,) = await Examination().run([check])

    assert (found.status, found.code) == ("warn", "public_url_unreachable")
    assert found.fix == "Start the server, then run the doctor again."


async def nothing() -> None:
    """A check that passes."""


async def surprise() -> None:
    raise KeyError("hunter2")


async def test_surprise_fails_one_check_and_tells_no_secret() -> None:
    """The others run; the text of the error may be anything."""
    found = await Examination().run([Check("clock", surprise), Check("port", nothing)])

    assert [(one.status, one.code) for one in found] == [("fail", "internal_error"), ("ok", None)]
    assert "KeyError" in str(found[0].cause)
    assert "hunter2" not in str(found)


async def mistake() -> None:
    raise Depends(PortInUse(), CREDENTIAL)


@pytest.mark.parametrize(("credential", "expected"), [(nothing, ("fail", None)), (surprise, ("skip", CREDENTIAL))])
async def test_failure_counts_only_if_the_other_check_has_passed(credential: object, expected: object) -> None:
    """A server with these settings looks like another one while its credential is wrong."""
    found = await Examination().run([Check(CREDENTIAL, credential), Check("port", mistake)])  # type: ignore[arg-type]

    assert (found[1].status, found[1].after) == expected


@pytest.mark.parametrize(("encoding", "arrow"), [("latin-1", b"-> "), ("ascii", b"-> "), ("utf-8", "→ ".encode())])
def test_report_fits_the_encoding_of_the_output(encoding: str, arrow: bytes) -> None:
    """Windows and a bare POSIX locale have no arrow."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)

    print_report(Report(None, [Finding("clock", "fail", "clock_wrong", "Wrong.", "Set it.")]), Console(file=stream))
    stream.flush()

    assert arrow + b"Set it." in raw.getvalue()


def test_checks_that_wait_for_the_same_one_are_told_together() -> None:
    """A wrong setting leaves twenty others waiting, and the failure stays in sight."""
    waiting = [Finding(name, "skip", after="settings") for name in ("clock", "tenant", "port")]
    failed = Finding("settings", "fail", "settings_mistake", "Wrong.", "Set it.")
    console = Console(file=io.StringIO(), width=80)

    print_report(Report(None, [failed, *waiting, Finding("scope", "ok")]), console)

    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert lines[-4:] == [
        "skip Clock of this machine, Tenant in Entra ID, Port to listen on",
        "     waits for: Settings",
        "ok   Scope of the application",
        "Failed: 1.",
    ]


@asynccontextmanager
async def tls_server() -> AsyncIterator[int]:
    """Listen with a certificate of an authority that nobody trusts here; yield the port."""
    trust = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(trust)
    async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=trust) as server:
        yield server.sockets[0].getsockname()[1]


async def test_certificate_of_redis_is_trusted_by_its_url() -> None:
    """Redis has an option of its own for the authority; SSL_CERT_FILE does not count for it."""
    async with tls_server() as port:
        store = StoreChecks(f"rediss://127.0.0.1:{port}", nothing)
        with pytest.raises(M365Error) as caught:
            await store.connect()
        await store.close()

    assert caught.value.code == "certificate_not_trusted"
    assert "ssl_ca_certs=" in caught.value.advice
