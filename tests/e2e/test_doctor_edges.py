"""`m365-mcp doctor` where only a part of a set-up is wrong, or answers oddly: what it says, and what it does not say.

The server does not run here, so the public URL is a warning everywhere.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.e2e.preloaded import run_preloaded
from tests.e2e.programs import Redis, Simulator, free_port, make_server
from tests.e2e.test_commands import environment_with
from tests.e2e.test_doctor import Setup

MISTAKE = ("settings", "fail", "settings_mistake")


@pytest.fixture
def setup(simulator: Simulator, shared_redis: Redis, tmp_path: Path) -> Setup:
    """A set-up whose server does not run."""
    return Setup(tmp_path, simulator, shared_redis, make_server(tmp_path, simulator, REDIS_URL=shared_redis.url))


def told(setup: Setup, *arguments: str, **changes: str) -> dict[str, dict[str, Any]]:
    """Return each check by its name."""
    return {check["name"]: check for check in setup.report(*arguments, **changes)["checks"]}


def failures(setup: Setup, *arguments: str, **changes: str) -> list[tuple[str, str]]:
    """Return name and code of each check that failed."""
    found = told(setup, *arguments, **changes).values()
    return [(check["name"], check["code"]) for check in found if check["status"] == "fail"]


def answer_tokens(setup: Setup, status: int, body: dict[str, Any]) -> None:
    """Have Entra answer every client credentials request in this way."""
    what = {"status": status, "body": body}
    setup.simulator.control("POST", "faults", where={"grant_type": "client_credentials"}, what=what, times=None)


def test_unreadable_federated_token_is_a_failure_of_the_credential(setup: Setup) -> None:
    """Entra was not asked, so nothing is known of the application; what has to be mended is the file."""
    del setup.server.program.environment["AZURE_CLIENT_SECRET"]
    settings = {"AZURE_FEDERATED_TOKEN_FILE": str(setup.folder / "missing"), "JWT_SIGNING_KEY": "k" * 32}

    found = told(setup, **settings)

    assert found["client_id"]["status"] == "skip"
    assert (found["client_credential"]["status"], found["client_credential"]["code"]) == (
        "fail",
        "app_registration_mistake",
    )
    assert "AZURE_FEDERATED_TOKEN_FILE" in found["client_credential"]["fix"]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (503, {"error": "temporarily_unavailable"}),
        (400, {"error": "unsupported_grant_type", "error_codes": [70003]}),
        (400, {"error": "invalid_scope"}),
    ],
)
def test_refusal_that_says_nothing_of_the_application_proves_nothing(
    setup: Setup, status: int, body: dict[str, Any]
) -> None:
    """The application and the credential are not checked then; the redirect URI is asked for at another endpoint."""
    answer_tokens(setup, status, body)

    found = told(setup)

    assert [found[name]["status"] for name in ("client_id", "client_credential")] == ["skip", "skip"]
    assert found["redirect_uri"]["status"] == "ok"


@pytest.mark.parametrize("number", [700016, 7000229])
def test_application_of_another_tenant_may_lack_consent(setup: Setup, number: int) -> None:
    """Of many tenants the first need not be the application's own; an administrator there consents by a link."""
    answer_tokens(setup, 400, {"error": "unauthorized_client", "error_codes": [number]})
    tenant = setup.server.program.environment["AZURE_TENANT_ID"]

    alone = told(setup)["client_id"]
    one_of_many = told(setup, AZURE_TENANT_ID="organizations", AZURE_ALLOWED_TENANTS=tenant)["client_id"]

    assert (alone["status"], one_of_many["status"]) == ("fail", "skip")
    assert f"/{tenant}/adminconsent?client_id=" in one_of_many["fix"]


@pytest.mark.parametrize("number", [500112, 900971])
def test_every_refusal_of_a_redirect_uri_is_found(setup: Setup, number: int) -> None:
    """Entra has several numbers for it; the report has the one that was shown."""
    what = {"status": 200, "body": f"<p>AADSTS{number}: the reply address</p>", "html": True}
    setup.simulator.control("POST", "faults", where={"path": "*/authorize"}, what=what)

    found = told(setup)["redirect_uri"]

    assert (found["status"], found["code"]) == ("fail", "redirect_uri_not_registered")
    assert f"AADSTS{number}" in found["cause"]


def test_workers_without_redis_are_a_mistake_as_for_serve(setup: Setup) -> None:
    """Several workers share a Redis and nothing else."""
    assert setup.wrong(MCP_WORKERS="2", REDIS_URL="memory://") == [MISTAKE]


def test_end_of_a_certificate_is_told_without_entra(setup: Setup) -> None:
    """The file has it; another failure does not hide it."""
    path, end = setup.folder / "certificate.pem", datetime.now(UTC) + timedelta(days=10)
    certificate = trustme.CA().issue_cert("app.example.com", key_type=trustme.KeyType.RSA, not_after=end)
    certificate.private_key_and_cert_chain_pem.write_to_path(str(path))
    del setup.server.program.environment["AZURE_CLIENT_SECRET"]
    settings = {"AZURE_CLIENT_CERTIFICATE_PATH": str(path), "JWT_SIGNING_KEY": "k" * 32}

    found = told(setup, **settings, AZURE_AUTHORITY_HOST="https://nowhere.invalid")

    assert found["entra_connection"]["status"] == "fail"
    assert (found["credential_end"]["status"], found["credential_end"]["code"]) == ("warn", "credential_ends_soon")


@pytest.mark.parametrize("url", ["mcp.example.com", "ftp://mcp.example.com", "https://mcp example.com", "https://[::"])
def test_url_that_is_none_is_wrong_usage(tmp_path: Path, url: str) -> None:
    """One sentence and exit code 2."""
    ran = run_preloaded("doctor", "--url", url, folder=tmp_path, environment=environment_with())

    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("--url must be an http or https URL")
    assert len(ran.stderr.splitlines()) == 1


def test_url_is_examined_in_its_normal_form_and_printed_as_it_is(setup: Setup) -> None:
    """Upper case and a trailing slash do not count; `:warning:` is no emoji."""
    port = free_port()

    report = setup.report("--url", f"HTTP://LOCALHOST:{port}/:warning:/")

    assert report["target"] == f"http://localhost:{port}/:warning:"


@pytest.mark.parametrize(
    "wrong", [{"HTTPS_PROXY": "socks5://127.0.0.1:1"}, {"SSL_CERT_FILE": "/nowhere/authorities.pem"}]
)
def test_environment_of_an_examination_from_outside_is_checked(setup: Setup, wrong: dict[str, str]) -> None:
    """What the client cannot use is named; there is no traceback."""
    report = setup.report("--url", "https://mcp.example.com", **wrong)

    first, *rest = report["checks"]
    assert (first["name"], first["status"], first["code"]) == MISTAKE
    assert next(iter(wrong)) in first["cause"]
    assert {(check["status"], check["after"]) for check in rest} == {("skip", "settings")}


def test_json_has_only_characters_of_ascii(setup: Setup) -> None:
    """So any encoding of the output can have them."""
    ran = run_preloaded("doctor", "--json", folder=setup.folder, environment=environment_with(AZURE_CLIENT_ID="ä"))

    assert ran.stdout.isascii()
    assert not json.loads(ran.stdout)["ok"]


def test_scope_that_entra_refuses_at_its_page_is_found(setup: Setup) -> None:
    """Without a right to read its record, the application learns it from the page that people would see."""
    found = setup.report(MCP_SCOPE_NAME="another")["checks"]

    told = {check["name"]: check for check in found}
    assert [name for name, check in told.items() if check["status"] == "fail"] == ["scope"]
    assert "AADSTS650053" in told["scope"]["cause"]
    assert told["redirect_uri"]["after"] == "scope"


def test_disabled_application_is_not_an_unknown_one(setup: Setup) -> None:
    """Another AZURE_CLIENT_ID would not help."""
    setup.simulator.control("PATCH", "app", enabled=False)

    found = told(setup)["client_id"]

    assert (found["status"], found["code"]) == ("fail", "app_registration_mistake")
    assert "Enable" in found["fix"]


def test_end_of_a_secret_that_entra_does_not_tell_is_to_be_looked_up(setup: Setup) -> None:
    """No sign-in tells it."""
    (found,) = [check for check in setup.report()["checks"] if check["name"] == "credential_end"]

    assert found["status"] == "skip"
    assert "portal" in found["fix"]
