"""`m365-mcp doctor`: each planted fault is found, and nothing else; a healthy set-up has none."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
from rich.cells import cell_len

from tests.e2e.front import delayed
from tests.e2e.preloaded import run_preloaded
from tests.e2e.programs import Redis, Server, Simulator, free_port, make_redis, make_server
from tests.e2e.test_commands import environment_with

SECRET = "simulator~secret.for-trying-out"
OTHER_ID = "99999999-7777-4888-9999-aaaaaaaaaaaa"
TEN_DAYS = 10 * 86_400


@dataclass
class Setup:
    """A healthy set-up: the simulator, a Redis and a running server with its settings."""

    folder: Path
    simulator: Simulator
    redis: Redis
    server: Server

    def report(self, *arguments: str, **changes: str) -> dict[str, Any]:
        """Return the report of a doctor with changed settings."""
        settings = {**self.server.program.environment, **changes}
        ran = run_preloaded(
            "doctor", "--json", *arguments, folder=self.folder, environment=environment_with(**settings)
        )
        report: dict[str, Any] = json.loads(ran.stdout)
        assert ran.returncode == (0 if report["ok"] else 1), ran.stderr
        assert SECRET not in ran.stdout + ran.stderr
        assert set(report) == {"version", "time", "target", "ok", "checks"}
        return report

    def wrong(self, *arguments: str, **changes: str) -> list[tuple[str, str, str]]:
        """Return name, status and code of each check that failed or warned."""
        checks = self.report(*arguments, **changes)["checks"]
        found = [check for check in checks if check["status"] in ("fail", "warn")]
        assert all(check["cause"] and check["fix"] for check in found)
        return [(check["name"], check["status"], check["code"]) for check in found]


@pytest.fixture(scope="module")
def running(
    shared_simulator: Simulator, shared_redis: Redis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Setup]:
    """One server for all faults; no test changes it."""
    shared_simulator.control("POST", "reset")
    folder = tmp_path_factory.mktemp("doctor")
    server = make_server(folder, shared_simulator, REDIS_URL=shared_redis.url)
    server.program.shared = True
    server.start()
    yield Setup(folder, shared_simulator, shared_redis, server)
    assert server.program.end() == 0


@pytest.fixture
def setup(running: Setup, simulator: Simulator) -> Setup:
    """The set-up, with the simulator as it is when freshly started."""
    assert running.simulator is simulator
    return running


def test_healthy_setups_have_no_fault(setup: Setup, tmp_path: Path) -> None:
    """A running server; one that does not run yet, with records on disk; and one whose application reads itself."""
    stopped = {"MCP_PORT": str(free_port()), "MCP_SERVER_BASE_URL": setup.server.url, "MCP_DATA_DIR": str(tmp_path)}

    assert setup.wrong() == []
    assert setup.wrong(**stopped, REDIS_URL="memory://") == []
    setup.simulator.control("PATCH", "switches", application_reads_itself=True)
    report = setup.report()
    assert {check["status"] for check in report["checks"] if check["name"] != "consent"} == {"ok"}


def other_authority(folder: Path) -> str:
    """Return a PEM file with an authority that nobody has a certificate of."""
    trustme.CA().cert_pem.write_to_path(str(folder / "other.pem"))
    return str(folder / "other.pem")


CREDENTIAL = "client_credential"


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"AZURE_CLIENT_SECRET": "another~secret.of.this.application"}, (CREDENTIAL, "fail", "client_secret_rejected")),
        ({"AZURE_CLIENT_ID": OTHER_ID}, ("client_id", "fail", "app_registration_mistake")),
        ({"AZURE_TENANT_ID": OTHER_ID}, ("tenant", "fail", "app_registration_mistake")),
        ({"AZURE_TENANT_ID": "contoso.example"}, ("settings", "fail", "settings_mistake")),
        ({"AZURE_AUTHORITY_HOST": "https://nowhere.invalid"}, ("entra_connection", "fail", "name_not_resolved")),
        ({"GRAPH_BASE_URL": "https://nowhere.invalid"}, ("graph_connection", "fail", "name_not_resolved")),
        ({"HTTPS_PROXY": "http://127.0.0.1:1", "NO_PROXY": ""}, ("entra_connection", "fail", "proxy_failed")),
        ({"SSL_CERT_FILE": "OTHER"}, ("entra_connection", "fail", "certificate_not_trusted")),
        ({"REDIS_URL": "redis://127.0.0.1:1/0"}, ("store_connection", "fail", "connection_refused")),
        ({"REDIS_URL": "redis://nowhere.invalid/0"}, ("store_connection", "fail", "name_not_resolved")),
        ({"MCP_SCOPE_NAME": "two words"}, ("settings", "fail", "settings_mistake")),
    ],
)
@pytest.mark.sample(2)
def test_wrong_setting_is_found(
    setup: Setup, tmp_path: Path, changes: dict[str, str], found: tuple[str, str, str]
) -> None:
    """One wrong value is one failure, however much depends on it."""
    if changes.get("SSL_CERT_FILE"):
        changes = {"SSL_CERT_FILE": other_authority(tmp_path)}

    assert setup.wrong(**changes) == [found]


EXPIRED, SOON = [{"value": SECRET, "expires_at": 1.0}], [{"value": SECRET, "expires_at": time.time() + TEN_DAYS}]


@pytest.mark.parametrize(
    ("path", "change", "found"),
    [
        ("app", {"secrets": EXPIRED}, (CREDENTIAL, "fail", "client_secret_expired")),
        ("app", {"secrets": SOON}, ("credential_end", "warn", "credential_ends_soon")),
        ("app", {"scope_name": "another"}, ("scope", "fail", "scope_not_exposed")),
        ("app", {"enabled": False}, ("client_id", "fail", "app_registration_mistake")),
        ("app", {"redirect_uris": ["http://localhost/other"]}, ("redirect_uri", "fail", "redirect_uri_not_registered")),
        ("clock", {"offset_seconds": 3600.0}, ("clock", "fail", "clock_wrong")),
        ("clock", {"offset_seconds": -7200.0}, ("clock", "fail", "clock_wrong")),
    ],
)
@pytest.mark.sample(2)
def test_fault_at_entra_is_found(setup: Setup, path: str, change: dict[str, Any], found: tuple[str, str, str]) -> None:
    """What only Microsoft knows is asked there; its own record is read, as an administrator may allow it."""
    setup.simulator.control("PATCH", "switches", application_reads_itself=True)
    setup.simulator.control("PATCH", path, **change)

    assert setup.wrong() == [found]


@pytest.mark.parametrize("override", [{"error": "unsupported_grant_type"}, {"error": "strange"}])
def test_refused_client_credentials_request_is_no_failure(setup: Setup, override: dict[str, str]) -> None:
    """A tenant may forbid the request itself; that says nothing of the secret."""
    body = {"error": override["error"], "error_codes": [70003 if "grant" in override["error"] else 53003]}
    what = {"status": 400, "body": body}
    setup.simulator.control("POST", "faults", where={"grant_type": "client_credentials"}, what=what)

    report = setup.report()

    assert report["ok"]
    assert {check["name"]: check["status"] for check in report["checks"]}[CREDENTIAL] == "skip"


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (("--appendonly", "no"), ("store_persistence", "warn", "store_not_persistent")),
        (("--maxmemory-policy", "allkeys-lru"), ("store_eviction", "fail", "store_evicts")),
        (("--maxmemory", "1"), ("store_memory", "warn", "store_fills_up")),
    ],
)
@pytest.mark.sample(2)
def test_redis_that_loses_records_is_found(
    setup: Setup, tmp_path: Path, options: tuple[str, ...], found: tuple[str, str, str]
) -> None:
    """A Redis that answers and does not keep what it is given."""
    redis = make_redis(tmp_path, *options)
    redis.start()

    assert setup.wrong(REDIS_URL=redis.url) == [found]
    assert redis.program.end() == 0


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("redis://default:wrong@{}/0", "store_password_rejected"),
        ("redis://{}/0", "store_password_rejected"),
        ("rediss://default:p%40ss%2Fw%3Ard@{}/0", "tls_failed"),
    ],
)
@pytest.mark.sample(2)
def test_refusal_of_redis_is_told_apart(setup: Setup, url: str, code: str) -> None:
    """A wrong password, no password and TLS where there is none."""
    found = setup.wrong(REDIS_URL=url.format(f"127.0.0.1:{setup.redis.port}"))

    assert found == [("store_connection", "fail", code)]


def test_redis_that_hides_its_configuration_is_no_failure(setup: Setup, tmp_path: Path) -> None:
    """A managed Redis without CONFIG is read by INFO, and what INFO does not say is skipped."""
    redis = make_redis(tmp_path, "--rename-command", "CONFIG", "")
    redis.start()

    report = setup.report(REDIS_URL=redis.url)

    assert report["ok"]
    assert redis.program.end() == 0


def test_port_of_another_program_is_found(setup: Setup) -> None:
    """The port of Redis is taken by another program; that of the running server is its own."""
    taken = ("port", "fail", "port_in_use")
    wrong_secret = {"AZURE_CLIENT_SECRET": "another~secret.of.this.application"}

    assert setup.wrong(MCP_PORT=str(setup.redis.port)) == [taken]
    assert setup.wrong(MCP_PORT=str(setup.redis.port), **wrong_secret)[1:] == [taken]


def test_proxy_is_not_asked_for_this_machine(setup: Setup) -> None:
    """The port and a public URL on this machine are reached directly, whatever NO_PROXY says."""
    assert setup.wrong(HTTP_PROXY="http://127.0.0.1:1", NO_PROXY="") == []


def test_url_without_an_answer_is_a_warning_inside_and_a_failure_outside(setup: Setup) -> None:
    """Inside a cluster the public URL may lead nowhere; outside it must not."""
    url = f"http://localhost:{free_port()}"

    inside = setup.wrong(MCP_SERVER_BASE_URL=url)
    outside = setup.wrong("--url", url)

    assert inside == [("public_url", "warn", "public_url_unreachable")]
    assert outside == [("public_url", "fail", "connection_refused")]


def test_settings_that_cannot_be_read_are_a_failure_in_the_same_json(setup: Setup) -> None:
    """Everything else waits for them."""
    report = setup.report(AZURE_CLIENT_ID="my-app")

    first, *rest = report["checks"]
    assert (first["name"], first["status"], first["code"]) == ("settings", "fail", "settings_mistake")
    assert {(check["status"], check["after"]) for check in rest} == {("skip", "settings")}
    assert {check["name"] for check in rest} >= {check["name"] for check in setup.report()["checks"]} - {"settings"}


def test_every_check_is_documented(setup: Setup) -> None:
    """docs/doctor.md has the names of the report, in its order."""
    page = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text()
    documented = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)

    of_sign_in = ("sign_in", "test_mail", "sign_out")
    assert [name for name in documented if name not in of_sign_in] == [
        check["name"] for check in setup.report()["checks"]
    ]


@pytest.mark.parametrize(("seconds", "name"), [(0.11, "store_latency"), (0.4, "store_connection")])
def test_slow_redis_is_found(setup: Setup, seconds: float, name: str) -> None:
    """Every command takes long; or so long that the server gives up before it is connected."""
    with delayed(setup.redis.port, seconds) as port:
        found = setup.wrong(REDIS_URL=setup.redis.url.replace(str(setup.redis.port), str(port)))

    assert found == [(name, "fail", "store_slow")]


def test_report_for_people_explains_what_needs_doing(setup: Setup) -> None:
    """At 80 columns a good check is one line; a failure has its cause, what to do and its code."""
    settings = {**setup.server.program.environment, "AZURE_CLIENT_SECRET": "another~secret.of.this.application"}
    environment = {**environment_with(**settings), "COLUMNS": "80"}

    shown = run_preloaded("doctor", folder=setup.folder, environment=environment).stdout

    assert max(map(len, shown.splitlines())) <= 80
    assert re.search(r"^ok +Entra ID *$", shown, re.MULTILINE)
    assert re.search(r"^fail Client credential *$", shown, re.MULTILINE)
    assert "(client_secret_rejected)" in shown
    assert "Failed: 1." in shown


def test_report_for_people_is_in_the_language_of_the_terminal(setup: Setup) -> None:
    """By LANG or by --lang: no English sentence, but the codes; JSON stays English, an unknown language is refused."""
    settings = {**setup.server.program.environment, "AZURE_CLIENT_SECRET": "another~secret.of.this.application"}
    environment = environment_with(**settings, COLUMNS="80", LANG="zh_TW.UTF-8", PYTHONIOENCODING="utf-8")

    ran = [
        run_preloaded("doctor", *arguments, folder=setup.folder, environment=environment)
        for arguments in ((), ("--lang", "zh-Hant"), ("--json", "--lang", "zh-Hant"), ("--lang", "tlh"))
    ]

    assert [one.returncode for one in ran] == [1, 1, 1, 2]
    assert ran[0].stdout == ran[1].stdout
    assert max(map(cell_len, ran[0].stdout.splitlines())) <= 80
    assert re.search(r"^失敗 用戶端認證 *$", ran[0].stdout, re.MULTILINE)
    assert re.findall(r"(?:[A-Za-z']+,? ){3,}[a-z]+", ran[0].stdout) == []
    assert "密碼" not in ran[2].stdout
    assert (ran[3].stdout, "en, zh-Hant" in ran[3].stderr) == ("", True)
