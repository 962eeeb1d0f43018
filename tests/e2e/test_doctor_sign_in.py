"""`m365-mcp doctor --sign-in`: a person signs in through the server; each planted fault is found, and nothing else."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from m365_mcp.commands.doctor.sign_in import SUBJECT
from tests.e2e.doctors import Doctor, Person, come_back, examined, refused_at_entra, wrong
from tests.e2e.grants import KEYS
from tests.e2e.programs import Redis, Server, Simulator, make_server
from tests.e2e.test_refusals import OBO, SEND, entra_error


@pytest.fixture(scope="module")
def running(
    shared_simulator: Simulator, shared_redis: Redis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    shared_simulator.control("POST", "reset")
    folder = tmp_path_factory.mktemp("doctor-sign-in")
    server = make_server(folder, shared_simulator, REDIS_URL=shared_redis.url, M365_TOOLSETS="people", **KEYS)
    server.program.shared = True
    server.start()
    yield server
    assert server.program.end() == 0


@pytest.mark.usefixtures("no_session_left")
async def test_healthy_walk_sends_one_mail_and_leaves_no_session(
    running: Server, simulator: Simulator, shared_redis: Redis, tmp_path: Path
) -> None:
    """At 80 columns it says who signed in; the mail is in the mailbox, and the session is gone."""
    doctor = Doctor(tmp_path, {**running.program.environment, "COLUMNS": "80"})
    address = await doctor.address()
    assert address
    await come_back(Person(simulator.ready["ca_file"]), address, bool)
    shown = await doctor.finished()

    assert doctor.process.poll() == 0, shown
    assert "Signed in as Ada Lovelace <ada@contoso.example>.\nThe test mail is in your Inbox" in doctor.err.read_text()
    assert [mail["subject"] for mail in simulator.outbox] == [SUBJECT]
    assert [one["address"] for one in simulator.outbox[0]["to"]] == ["ada@contoso.example"]
    assert re.search(r"^ok +Test mail *$", shown, re.MULTILINE)
    assert re.search(r"^ok +Scope of the application *$", shown, re.MULTILINE)
    assert max(map(len, shown.splitlines())) <= 80


async def test_walk_in_chinese_has_no_english_sentence(running: Server, simulator: Simulator, tmp_path: Path) -> None:
    """What stands on the terminal, in the browser and in the test mail is in the language of `--lang`."""
    doctor = Doctor(tmp_path, {**running.program.environment, "PYTHONUTF8": "1"}, "--lang", "zh-Hant")
    address = await doctor.address()
    assert address
    person = Person(simulator.ready["ca_file"])
    target = await person.sign_in(address)
    async with person.open() as browser:
        page = await browser.get(target)
    shown = doctor.err.read_text().replace(address, "") + page.text + await doctor.finished()

    assert doctor.process.poll() == 0, shown
    assert "已登入為 Ada Lovelace <ada@contoso.example>。\n測試郵件在您的「收件匣」中：" in doctor.err.read_text()
    assert ("告訴應用程式登入沒有成功" in shown, "請回到終端機" in page.text) == (True, True)
    assert re.findall(r"[a-z]+ [a-z]+ [a-z]+", shown + simulator.outbox[0]["subject"]) == []


def fault(where: dict[str, Any], what: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    return "POST", "faults", {"where": where, "what": what, "times": None}


def graph(status: int, code: str) -> dict[str, Any]:
    return {"status": status, "body": {"error": {"code": code, "message": "x"}}}


REDIRECT = "redirect_uri_not_registered"
EXCHANGE = [(53003, "person_not_allowed"), (50076, "step_up_needed"), (50079, "step_up_needed")]


@pytest.mark.usefixtures("no_session_left")
@pytest.mark.parametrize(
    ("planted", "found"),
    [
        (("PATCH", "app", {"token_version": 1}), ("sign_in", "fail", "token_version_mistake")),
        (("PATCH", "switches", {"user_consent_allowed": False}), ("sign_in", "fail", "person_declined")),
        (("PATCH", "app", {"redirect_uris": ["http://localhost/other"]}), ("redirect_uri", "fail", REDIRECT)),
        *(
            (
                fault(OBO, {"status": 400, "body": entra_error(number, "interaction_required")}),
                ("consent", "fail", code),
            )
            for number, code in EXCHANGE
        ),
        (fault(SEND, graph(403, "ErrorAccessDenied")), ("test_mail", "fail", "permission_missing")),
        (fault(SEND, graph(400, "ErrorInvalidRecipients")), ("test_mail", "fail", "message_refused")),
        (fault(SEND, graph(404, "MailboxNotEnabledForRESTAPI")), ("test_mail", "fail", "mailbox_missing")),
    ],
)
async def test_fault_of_a_sign_in_is_found_alone(
    running: Server,
    simulator: Simulator,
    shared_redis: Redis,
    tmp_path: Path,
    planted: tuple[str, str, dict[str, Any]],
    found: tuple[str, str, str],
) -> None:
    """One cause is one failure; what follows is skipped and names it, and no session is left."""
    method, path, change = planted
    simulator.control(method, path, **change)

    out = await examined(running, simulator, tmp_path, "--json")

    assert wrong(out) == [found]
    assert {one["after"] for one in json.loads(out)["checks"] if one["status"] == "skip"} <= {found[0], None, "sign_in"}
    assert simulator.outbox == []


async def test_toolset_without_consent_is_named(running: Server, simulator: Simulator, tmp_path: Path) -> None:
    """The report names the permissions, their toolset and the page where an administrator consents."""

    def withdraw() -> None:
        simulator.control("DELETE", "consents", scopes=PEOPLE, person="ada@contoso.example")

    out = await examined(running, simulator, tmp_path, "--json", before=withdraw)

    assert wrong(out) == [("consent", "fail", "consent_missing")]
    found = next(one for one in json.loads(out)["checks"] if one["name"] == "consent")
    assert "People.Read (toolset people), User.ReadBasic.All (toolset people)" in found["cause"]
    assert "/adminconsent?client_id=" in found["fix"]


async def test_deployed_server_names_the_page_where_an_administrator_consents(
    running: Server, simulator: Simulator, tmp_path: Path
) -> None:
    """Without settings the server's own words have the link: from the exchange, and from Entra's page."""
    doctors = [Doctor(tmp_path / name, {}, "--url", running.url, "--json") for name in ("exchange", "page")]
    addresses = [await doctor.address() for doctor in doctors]
    assert all(addresses)
    person = Person(simulator.ready["ca_file"])

    def withdraw() -> None:
        simulator.control("DELETE", "consents", scopes=PEOPLE, person="ada@contoso.example")

    await come_back(person, str(addresses[0]), withdraw)
    await refused_at_entra(person, str(addresses[1]), 90094)

    for doctor, name in zip(doctors, ("consent", "sign_in"), strict=True):
        out = await doctor.finished()
        found = next(one for one in json.loads(out)["checks"] if one["name"] == name)
        assert wrong(out) == [(name, "fail", "consent_missing")]
        assert found["fix"].endswith(
            f"/{simulator.settings['AZURE_TENANT_ID']}/adminconsent?client_id={simulator.settings['AZURE_CLIENT_ID']}"
        )


PEOPLE = ["https://graph.microsoft.com/People.Read", "https://graph.microsoft.com/User.ReadBasic.All"]


async def test_deployed_server_is_walked_without_settings(
    running: Server, simulator: Simulator, tmp_path: Path
) -> None:
    """With --url nothing of the settings is known; without the test mail nothing is sent."""
    doctor = Doctor(tmp_path, {}, "--url", running.url, "--no-test-mail", "--json")
    address = await doctor.address()
    assert address
    await come_back(Person(simulator.ready["ca_file"]), address, bool)
    checks = json.loads(await doctor.finished())["checks"]

    assert {one["status"] for one in checks} == {"ok"}
    assert [one["name"] for one in checks][-3:] == ["sign_in", "consent", "sign_out"]
    assert simulator.outbox == []


async def test_person_of_another_tenant_is_found(running: Server, simulator: Simulator, tmp_path: Path) -> None:
    """Somebody else's organisation signs in: the report says that the account may not use this server."""
    for number, code in ((50020, "person_not_allowed"), (90094, "consent_missing")):
        doctor = Doctor(tmp_path, running.program.environment, "--json")
        address = await doctor.address()
        assert address
        await refused_at_entra(Person(simulator.ready["ca_file"]), address, number)

        out = await doctor.finished()

        assert wrong(out) == [("sign_in", "fail", code)]
        assert (f"AADSTS{number}" in out, "/adminconsent?client_id=" in out) == (True, code == "consent_missing")


async def test_server_that_does_not_run_is_run_for_the_walk(
    simulator: Simulator, shared_redis: Redis, tmp_path: Path
) -> None:
    """Nobody listens at the port: the doctor starts the server, and ends it."""
    server = make_server(tmp_path, simulator, REDIS_URL=shared_redis.url)

    out = await examined(server, simulator, tmp_path, "--json")

    assert wrong(out) == []
    assert [mail["subject"] for mail in simulator.outbox] == [SUBJECT]
    assert not server._answers("/livez")


async def test_ctrl_c_ends_the_wait_with_a_report(running: Server, tmp_path: Path) -> None:
    """The report says that the sign-in was ended, without a traceback."""
    doctor = Doctor(tmp_path, running.program.environment, "--json")
    assert await doctor.address(), await doctor.finished()
    await asyncio.to_thread(doctor.wait_for, "press 'Tell the app")
    doctor.process.send_signal(signal.SIGINT)

    assert wrong(await doctor.finished()) == [("sign_in", "fail", "person_declined")]
