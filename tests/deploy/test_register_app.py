"""deploy/register-app.sh makes the app registration that the server needs, driven against a stand-in for az."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from m365_mcp import settings
from tests.deploy import fake_az_constants as az
from tests.deploy.azure import SCRIPT, Azure, open_azure
from tests.deploy.tools import program, run

pytestmark = pytest.mark.deploy

ROOT_URL = "https://mcp.example.com"
ISSUER = "https://oidc.example.com/cluster/"
SUBJECT = "system:serviceaccount:mcp:mcp-server"


@pytest.fixture
def azure(tmp_path: Path) -> Azure:
    """Return the script with an empty directory."""
    return open_azure(tmp_path)


def test_registration_is_what_the_server_needs(azure: Azure) -> None:
    """One tenant, version 2 tokens, scope, redirect URI, both permissions, consent and one secret."""
    azure.register("--base-url", f"{ROOT_URL}/mcp-o365/", "--show-secret")

    app = azure.app
    (scope,) = app["api"]["oauth2PermissionScopes"]
    assert app["displayName"] == "M365 MCP Server"
    assert app["signInAudience"] == "AzureADMyOrg"
    assert app["identifierUris"] == [f"api://{app['appId']}"]
    assert app["web"]["redirectUris"] == [f"{ROOT_URL}/mcp-o365/auth/callback"]
    assert app["api"]["requestedAccessTokenVersion"] == 2
    assert (scope["value"], scope["type"], scope["isEnabled"]) == ("mcp-access", "User", True)
    assert app["requiredResourceAccess"] == [{"resourceAppId": az.GRAPH_APP, "resourceAccess": az.WANTED}]
    assert azure.state["principals"] == [app["appId"]]
    assert azure.state["grants"] == {app["appId"]: "Mail.Send User.Read"}
    assert [secret["years"] for secret in app["passwordCredentials"]] == ["1"]


def test_printed_settings_are_accepted_by_the_server(azure: Azure) -> None:
    """The lines can be put into `.env` as they are."""
    printed, _ = azure.register("--base-url", ROOT_URL, "--show-secret")
    (azure.folder / "printed.env").write_text(printed)

    chosen = settings.load(_env_file=azure.folder / "printed.env")

    assert chosen.azure_client_id == azure.app["appId"]
    assert chosen.azure_tenant_id == az.TENANT
    assert chosen.mcp_server_base_url == ROOT_URL


def test_secret_goes_into_the_file_only(azure: Azure) -> None:
    """With --env-file neither output nor log has the secret, and nobody else may read the file."""
    printed, logged = azure.register("--base-url", ROOT_URL, "--env-file", "made.env")

    made = azure.folder / "made.env"
    assert "AZURE_CLIENT_SECRET=fake~secret.1" in made.read_text().splitlines()
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert "fake~secret" not in printed + logged
    assert f"AZURE_CLIENT_ID={azure.app['appId']}" in printed


def test_secret_is_shown_when_asked_for_but_not_logged(azure: Azure) -> None:
    """With --show-secret the secret is on standard output alone."""
    printed, logged = azure.register("--base-url", ROOT_URL, "--show-secret")

    assert "AZURE_CLIENT_SECRET=fake~secret.1" in printed.splitlines()
    assert "fake~secret" not in logged


def test_second_run_changes_nothing_but_adds_a_secret(azure: Azure) -> None:
    """The registration of that name is found again; the old secret stays valid."""
    azure.register("--base-url", ROOT_URL, "--show-secret")
    before = azure.app
    printed, _ = azure.register("--base-url", ROOT_URL, "--show-secret")

    assert len(azure.app.pop("passwordCredentials")) == 2
    assert {**azure.app, "passwordCredentials": 0} == {**before, "passwordCredentials": 0}
    assert "AZURE_CLIENT_SECRET=fake~secret.2" in printed


def test_cluster_is_trusted_once_and_no_secret_is_made(azure: Azure) -> None:
    """--federated adds the credential of a cluster, another for another cluster, and none twice."""
    way = ("--federated", ISSUER, SUBJECT)
    printed, _ = azure.register("--base-url", ROOT_URL, *way)
    azure.register("--base-url", ROOT_URL, *way)
    azure.register("--base-url", ROOT_URL, "--federated", "https://oidc.example.com/other/", SUBJECT)

    first, second = azure.app["federatedIdentityCredentials"]
    assert (first["issuer"], first["subject"]) == (ISSUER, SUBJECT)
    assert first["audiences"] == ["api://AzureADTokenExchange"]
    assert second["issuer"] == "https://oidc.example.com/other/"
    assert azure.app["passwordCredentials"] == []
    assert "AZURE_CLIENT_SECRET" not in printed


def test_what_was_there_before_is_kept(azure: Azure) -> None:
    """Redirect URIs, scopes and permissions that somebody else added survive."""
    azure.register("--base-url", "http://localhost:8000", "--show-secret")
    other_scope = {"id": "99999999-0000-4000-8000-000000000001", "value": "other", "type": "Admin", "isEnabled": True}
    other_api = {
        "resourceAppId": "99999999-0000-4000-8000-000000000002",
        "resourceAccess": [{"id": "x", "type": "Role"}],
    }
    openid = {"id": "37f7f235-527c-4136-accd-4a02d197296e", "type": "Scope"}

    def add(state: dict[str, Any]) -> None:
        (app,) = state["apps"]
        app["identifierUris"].append("api://other")
        app["api"]["oauth2PermissionScopes"].append(other_scope)
        app["requiredResourceAccess"][0]["resourceAccess"].insert(0, openid)
        app["requiredResourceAccess"].append(other_api)

    azure.change(add)
    scope_id = azure.app["api"]["oauth2PermissionScopes"][0]["id"]
    azure.register("--base-url", ROOT_URL, "--show-secret")

    app = azure.app
    assert app["web"]["redirectUris"] == ["http://localhost:8000/auth/callback", f"{ROOT_URL}/auth/callback"]
    assert set(app["identifierUris"]) == {"api://other", f"api://{app['appId']}"}
    assert [scope["id"] for scope in app["api"]["oauth2PermissionScopes"]] == [scope_id, other_scope["id"]]
    assert app["requiredResourceAccess"] == [
        other_api,
        {"resourceAppId": az.GRAPH_APP, "resourceAccess": [openid, *az.WANTED]},
    ]


def test_disabled_scope_is_enabled_again(azure: Azure) -> None:
    """A scope of that name that was switched off keeps its id."""
    azure.register("--base-url", ROOT_URL, "--show-secret")
    before = azure.app["api"]["oauth2PermissionScopes"]
    azure.change(lambda state: state["apps"][0]["api"]["oauth2PermissionScopes"][0].update(isEnabled=False))

    azure.register("--base-url", ROOT_URL, "--show-secret")

    assert azure.app["api"]["oauth2PermissionScopes"] == before


def test_slow_directory_is_waited_for(azure: Azure) -> None:
    """A new registration that does not show up at once is asked for again."""
    azure.change(lambda state: state.update(lag=3))

    azure.register("--base-url", ROOT_URL, "--show-secret")

    assert azure.app["api"]["requestedAccessTokenVersion"] == 2


@pytest.mark.parametrize("after", range(1, 8))
def test_failed_read_writes_nothing(azure: Azure, after: int) -> None:
    """When one of the reads fails, the lists are not written back without what could not be read."""
    azure.register("--base-url", ROOT_URL, "--show-secret")
    before = azure.app
    counter = azure.folder / "count"
    executable = azure.folder / "bin/az"
    lines = executable.read_text().splitlines()
    # The first `ad app show` only waits; let it and `after - 1` more succeed.
    fault = (
        f'case "$*" in "ad app show"*) echo >> "{counter}"; [ $(wc -l < "{counter}") -ne {after + 1} ] || exit 1;; esac'
    )
    executable.write_text("\n".join([lines[0], fault, *lines[1:]]) + "\n")

    azure.register("--base-url", "https://other.example.com", "--show-secret", code=1)

    assert azure.app == before


def test_missing_consent_says_what_to_do(azure: Azure) -> None:
    """Who may not grant consent learns the command for somebody who may."""
    azure.change(lambda state: state["faults"].update({"ad app permission admin-consent": 99}))

    _, logged = azure.register("--base-url", ROOT_URL, "--show-secret", code=1)

    assert logged.splitlines()[-1].endswith(f"az ad app permission admin-consent --id {azure.app['appId']}")


def test_consent_can_be_left_to_an_administrator(azure: Azure) -> None:
    """--no-admin-consent grants nothing and prints the command."""
    _, logged = azure.register("--base-url", ROOT_URL, "--show-secret", "--no-admin-consent")

    assert azure.state["grants"] == {}
    assert f"az ad app permission admin-consent --id {azure.app['appId']}" in logged


def test_several_registrations_of_the_name_are_refused(azure: Azure) -> None:
    """Nobody can know which one is meant."""
    azure.register("--base-url", ROOT_URL, "--show-secret")
    azure.change(lambda state: state["apps"].append({**state["apps"][0], "appId": "another"}))

    _, logged = azure.register("--base-url", ROOT_URL, "--show-secret", code=1)

    assert "several app registrations" in logged


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "--base-url is missing"),
        (("--base-url",), "--base-url needs a value."),
        (("--base-url", "mcp.example.com", "--show-secret"), "must begin with https://"),
        (("--base-url", "http://mcp.example.com", "--show-secret"), "http:// only for localhost"),
        (("--base-url", "https://mcp.example.com?x=1", "--show-secret"), "have no query"),
        (("--base-url", "https://mcp.example.com/'\"", "--show-secret"), "--base-url must"),
        (("--base-url", ROOT_URL), "choose one of"),
        (("--base-url", ROOT_URL, "--show-secret", "--env-file", "x"), "choose one of"),
        (("--base-url", ROOT_URL, "--federated", ISSUER), "needs an issuer and a subject"),
        (("--base-url", ROOT_URL, "--federated", "oidc", SUBJECT), "issuer of --federated must"),
        (("--base-url", ROOT_URL, "--federated", ISSUER, "mcp"), "subject of --federated must"),
        (("--base-url", ROOT_URL, "--federated", "", ""), "choose one of"),
        (("--base-url", ROOT_URL, "--show-secret", "--name", "a'b"), "--name may have"),
        (("--base-url", ROOT_URL, "--show-secret", "--scope", "a/b"), "--scope may have"),
        (("--base-url", ROOT_URL, "--show-secret", "--secret-years", "9"), "--secret-years must be"),
        (("--base-url", ROOT_URL, "--env-file", "bin/az"), "is not overwritten"),
        (("--base-url", ROOT_URL, "--env-file", "missing/x"), "cannot be written"),
        (("--purge",), "--purge is not known"),
    ],
)
def test_wrong_arguments_are_one_clear_sentence(azure: Azure, arguments: tuple[str, ...], sentence: str) -> None:
    """Exit code 2, one line, and Azure is not asked."""
    printed, logged = azure.register(*arguments, code=2)

    assert printed == ""
    assert sentence in logged
    assert len(logged.splitlines()) == 1
    assert not azure.file.exists()


def test_without_sign_in_it_says_so(azure: Azure) -> None:
    """az that is not signed in leads to one piece of advice."""
    azure.change(lambda state: state["faults"].update({"account show": 1}))

    _, logged = azure.register("--base-url", ROOT_URL, "--show-secret", code=1)

    assert logged.splitlines()[-1] == "register-app.sh: az is not signed in; run: az login"


def test_help_shows_every_option(azure: Azure) -> None:
    """--help needs no Azure and names what the script understands."""
    printed, _ = azure.register("--help")

    for option in (
        "--base-url",
        "--env-file",
        "--show-secret",
        "--federated",
        "--name",
        "--scope",
        "--no-admin-consent",
    ):
        assert option in printed


def test_script_is_clean() -> None:
    """shellcheck finds nothing, style included."""
    done = run(program("shellcheck"), "--severity=style", SCRIPT)

    assert done.stdout == ""
    assert done.returncode == 0
