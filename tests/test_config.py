"""Settings: every variable of the source with its default, and mistakes told all at once."""

import re
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from m365_mcp import settings
from m365_mcp.clients import CLIENTS
from m365_mcp.errors import SettingsMistake
from m365_mcp.settings import Settings
from m365_mcp.settings.clouds import graph_scopes

IDS = {
    "AZURE_CLIENT_ID": "66666666-7777-4888-9999-aaaaaaaaaaaa",
    "AZURE_CLIENT_SECRET": "a~secret.of-an-app",
    "AZURE_TENANT_ID": "11111111-2222-4333-8444-555555555555",
}


@pytest.fixture(autouse=True)
def only_the_ids(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Give every test an environment with the three ids and no .env."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in IDS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)


def mistakes() -> dict[str, str]:
    with pytest.raises(SettingsMistake) as caught:
        settings.load()
    return dict(caught.value.mistakes)


def test_three_ids_are_enough_and_the_rest_has_the_documented_defaults() -> None:
    """The source's defaults hold when only the ids are set."""
    chosen = settings.load()

    assert chosen.azure_client_id == IDS["AZURE_CLIENT_ID"]
    assert chosen.azure_client_secret is not None
    assert chosen.azure_client_secret.get_secret_value() == IDS["AZURE_CLIENT_SECRET"]
    assert chosen.azure_tenant_id == IDS["AZURE_TENANT_ID"]
    assert chosen.mcp_server_base_url == "http://localhost:8000"
    assert chosen.mcp_scope_name == "mcp-access"
    assert (chosen.mcp_host, chosen.mcp_port) == ("0.0.0.0", 8000)
    assert settings.DEFAULT_REDIS_URL == "redis://localhost:6379/0"
    assert chosen.redis_url is None
    assert chosen.fastmcp_stateless_http is True
    assert chosen.authority == "https://login.microsoftonline.com"
    assert chosen.graph == "https://graph.microsoft.com"
    assert chosen.mcp_session_hours == 168
    assert set(CLIENTS["claude"].redirect_uris) < set(chosen.redirect_uris)


@pytest.mark.parametrize("name", IDS)
def test_missing_id_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Each of the three ids is required, and its variable is named."""
    monkeypatch.delenv(name)

    assert mistakes() == {name: "is required and not set"}


def test_every_mistake_is_reported_at_once_and_no_value_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """All wrong variables are named together; what they hold is not repeated."""
    wrong = {
        "AZURE_CLIENT_SECRET": "your-client-secret-value",
        "AZURE_TENANT_ID": "contoso.onmicrosoft.com",
        "MCP_SERVER_BASE_URL": "no-scheme-here",
        "MCP_PORT": "eighty-eighty",
        "REDIS_URL": "http://secret-host.example.com",
        "STORAGE_ENCRYPTION_KEY": "not-a-key-at-all",
        "JWT_SIGNING_KEY": "short-one",
        "AZURE_AUTHORITY_HOST": "http://login.example.com",
        "GRAPH_BASE_URL": "http://graph.example.com",
        "AZURE_CLOUD": "moon",
        "MCP_SESSION_HOURS": "0",
    }
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)

    found = mistakes()

    assert set(found) == set(wrong)
    told = " ".join(found.values())
    assert not [value for value in wrong.values() if len(value) > 5 and value in told]


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://mcp.example.com", "https://"),
        ("https://mcp.example.com/?a=b", "query"),
        ("https://user@mcp.example.com", "user name"),
        ("ftp://mcp.example.com", "https://"),
        ("https://mcp.example.com:port", "full URL"),
        ("mcp.example.com", "full URL"),
    ],
)
def test_unusable_public_url_is_refused(monkeypatch: pytest.MonkeyPatch, url: str, problem: str) -> None:
    """A public URL that OAuth clients would not accept is refused with the reason."""
    monkeypatch.setenv("MCP_SERVER_BASE_URL", url)

    assert problem in mistakes()["MCP_SERVER_BASE_URL"]


def test_trailing_slashes_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Addresses are the same with and without a trailing slash, as AKS injects them."""
    monkeypatch.setenv("MCP_SERVER_BASE_URL", "https://mcp.example.com/")
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.com/")
    monkeypatch.setenv("GRAPH_BASE_URL", "https://graph.microsoft.com/v1.0/")

    chosen = settings.load()

    assert chosen.mcp_server_base_url == "https://mcp.example.com"
    assert chosen.authority == "https://login.microsoftonline.com"
    assert chosen.graph == "https://graph.microsoft.com"


@pytest.mark.parametrize(
    ("cloud", "authority", "graph"),
    [
        ("usgov", "https://login.microsoftonline.us", "https://graph.microsoft.us"),
        ("usgov-dod", "https://login.microsoftonline.us", "https://dod-graph.microsoft.us"),
        ("China", "https://login.partner.microsoftonline.cn", "https://microsoftgraph.chinacloudapi.cn"),
    ],
)
def test_cloud_sets_both_hosts_and_the_scopes(
    monkeypatch: pytest.MonkeyPatch, cloud: str, authority: str, graph: str
) -> None:
    """A national cloud has its own Entra ID, its own Graph, and scopes with Graph's own prefix."""
    monkeypatch.setenv("AZURE_CLOUD", cloud)

    chosen = settings.load()

    assert (chosen.authority, chosen.graph) == (authority, graph)
    assert graph_scopes(chosen.cloud, chosen.graph) == (f"{graph}/Mail.Send", f"{graph}/User.Read")


def test_scopes_keep_microsofts_prefix_in_front_of_a_stand_in() -> None:
    """A stand-in's address is where Graph is called, never the prefix of a scope."""
    scopes = graph_scopes(settings.load().cloud, "https://localhost:9443")

    assert scopes == ("https://graph.microsoft.com/Mail.Send", "https://graph.microsoft.com/User.Read")


def test_public_url_follows_the_port_when_it_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server on another port of this machine needs no second setting to be reachable there."""
    monkeypatch.setenv("MCP_PORT", "8123")

    assert settings.load().mcp_server_base_url == "http://localhost:8123"


def test_lists_are_comma_separated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several keys or addresses stand in one variable, separated by commas."""
    keys = [Fernet.generate_key().decode() for _ in range(2)]
    monkeypatch.setenv("STORAGE_ENCRYPTION_KEY", " , ".join(keys))
    monkeypatch.setenv("MCP_ALLOWED_REDIRECT_URIS", "https://a.example.com/cb, https://b.example.com/cb")

    chosen = settings.load()

    assert [key.get_secret_value() for key in chosen.storage_encryption_key] == keys
    assert chosen.mcp_allowed_redirect_uris == ("https://a.example.com/cb", "https://b.example.com/cb")


def test_dotenv_file_is_read_and_the_environment_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`.env` in the working directory counts, and a variable of the environment counts more."""
    (tmp_path / ".env").write_text("MCP_PORT=8100\nMCP_SCOPE_NAME=from-file\n")
    monkeypatch.setenv("MCP_PORT", "8200")

    chosen = settings.load()

    assert (chosen.mcp_port, chosen.mcp_scope_name) == (8200, "from-file")


def test_there_is_one_way_to_prove_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate or a federated token replaces the secret, and then JWT_SIGNING_KEY has to be set."""
    monkeypatch.setenv("AZURE_CLIENT_CERTIFICATE_PATH", "app.pem")
    assert "choose one" in mistakes()["AZURE_CLIENT_SECRET"]
    monkeypatch.delenv("AZURE_CLIENT_SECRET")
    assert set(mistakes()) == {"JWT_SIGNING_KEY"}
    monkeypatch.setenv("JWT_SIGNING_KEY", "k" * 32)

    assert settings.load().signing_secrets == ("k" * 32,)


def test_ca_file_must_be_readable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A private CA that cannot be read stops the start, instead of every later connection."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))

    assert "PEM" in mistakes()["SSL_CERT_FILE"]


def test_child_processes_inherit_none_of_our_settings() -> None:
    """The demo's children get their settings from the demo, not from the reader's shell."""
    inherited = settings.foreign_environment()

    assert not set(IDS) & set(inherited)
    assert "PATH" in inherited


# Of these `.env.example` shows a form behind a `#`, because they have no default or none that fits one line.
FORMS = {
    "AZURE_CLIENT_CERTIFICATE_PATH",
    "AZURE_FEDERATED_TOKEN_FILE",
    "M365_AUDIT_AUTHORIZATION",
    "M365_AUDIT_KEY_FILE",
    "M365_AUDIT_SPOOL",
    "M365_INTERNAL_DOMAINS",
    "M365_POLICY_FILE",
    "M365_SEND_ALLOWED_DOMAINS",
    "M365_SEND_BLOCKED_EXTENSIONS",
    "MCP_DATA_DIR",
    "MCP_HELP_URL",
    "MCP_HSTS_SECONDS",
    "MCP_PRODUCT_ICON",
    "MCP_TRUSTED_PROXIES",
    "SSL_CERT_FILE",
}


def test_example_file_names_every_setting_with_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """`.env.example` has every setting; setting what it shows, forms apart, changes nothing."""
    example = Path(__file__).parents[1].joinpath(".env.example").read_text()
    lines = re.findall(r"^(# )?([A-Z][A-Z0-9_]+)=(.*)$", example, re.MULTILINE)
    shown = {name: value for _, name, value in lines}
    by_default = settings.load()
    for name in shown.keys() - IDS.keys() - FORMS:
        monkeypatch.setenv(name, shown[name])
    as_shown = settings.load()

    assert {name.upper() for name in Settings.model_fields} == set(shown)
    assert {name for hidden, name, _ in lines if hidden} >= FORMS
    assert shown["REDIS_URL"] == settings.DEFAULT_REDIS_URL
    assert (as_shown.authority, as_shown.graph) == (by_default.authority, by_default.graph)
    left_to_the_code = {"redis_url", "azure_authority_host", "graph_base_url"}
    assert as_shown.model_dump(exclude=left_to_the_code) == by_default.model_dump(exclude=left_to_the_code)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_URL", "redis://host:port/0"),
        ("REDIS_URL", "redis://host/zero"),
        ("GRAPH_BASE_URL", "https://user:password@graph.example.com"),
        ("MCP_PRODUCT_NAME", "x" * 61),
        ("MCP_PRODUCT_NAME", "Con\u202etoso"),
        ("MCP_PRODUCT_ICON", "/nonexistent.svg"),
        ("MCP_PRODUCT_ICON", __file__),
        ("MCP_HELP_URL", "javascript:alert(1)"),
        ("MCP_HELP_URL", "http://help.example"),
        ("MCP_HSTS_SECONDS", "-1"),
        ("GRAPH_BASE_URL", "https://graph.example.com?x=1"),
        ("AZURE_AUTHORITY_HOST", "https://login.example.com:port"),
        ("AZURE_AUTHORITY_HOST", "https://user@login.example.com"),
        ("AZURE_CLIENT_ID", " "),
        ("AZURE_TENANT_ID", "Common"),
        ("MCP_ALLOWED_ORIGINS", "inspector.example.com"),
        ("MCP_ALLOWED_HOSTS", "inner.example.com:8443"),
        ("MCP_TRUSTED_PROXIES", "ingress.example.com"),
        ("MCP_CLIENTS", "claude,netscape"),
        ("MCP_ALLOWED_REDIRECT_URIS", "https://app.example.com:*/cb"),
        ("MCP_ALLOWED_REDIRECT_URIS", "https://*.example.com/cb"),
        ("MCP_ALLOWED_REDIRECT_URIS", "https://app.example.com/*/cb"),
    ],
)
def test_value_that_cannot_work_is_refused_at_start(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """What would fail at the first request is told before there is one."""
    monkeypatch.setenv(name, value)

    assert set(mistakes()) == {name}


def test_ids_are_taken_as_tokens_carry_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Upper case and white space, as portals and secret files give them, make no difference."""
    monkeypatch.setenv("AZURE_CLIENT_ID", f" {IDS['AZURE_CLIENT_ID'].upper()}\n")
    monkeypatch.setenv("AZURE_TENANT_ID", f"{IDS['AZURE_TENANT_ID'].upper()} ")
    monkeypatch.setenv("AZURE_CLIENT_SECRET", f"{IDS['AZURE_CLIENT_SECRET']}\n")

    chosen = settings.load()

    assert (chosen.azure_client_id, chosen.azure_tenant_id) == (IDS["AZURE_CLIENT_ID"], IDS["AZURE_TENANT_ID"])
    assert chosen.azure_client_secret is not None
    assert chosen.azure_client_secret.get_secret_value() == IDS["AZURE_CLIENT_SECRET"]


@pytest.mark.parametrize(
    ("value", "extensions"),
    [
        ("exe,js", ("exe", "js")),
        (" .EXE , *.Js ,", ("exe", "js")),
        ("library-ms", ("library-ms",)),
        ("none", ()),
        (" NONE ", ()),
        ("", None),
        ("  ", None),
        (",", None),
        (" , ,", None),
    ],
)
def test_h17_list_of_blocked_extensions_is_read_as_people_write_it(
    value: str, extensions: tuple[str, ...] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dots, stars, case and blanks do not matter; empty means the built-in list, and only none blocks nothing."""
    monkeypatch.setenv("M365_SEND_BLOCKED_EXTENSIONS", value)

    assert settings.load().m365_send_blocked_extensions == extensions


@pytest.mark.parametrize("value", ["tar.gz", "exe;js", "exe js", "none,exe", "a/b", ".", "*"])
def test_h17_extension_that_no_file_can_have_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that would block something else than the operator means stops the start."""
    monkeypatch.setenv("M365_SEND_BLOCKED_EXTENSIONS", value)

    assert "every entry must be a file extension" in mistakes()["M365_SEND_BLOCKED_EXTENSIONS"]


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("Clients.Corp.Example", ("clients.corp.example",)),
        ("localhost:8443, [0:0::1]:9443", ("localhost:8443", "[::1]:9443")),
        ("bücher.example.", ("xn--bcher-kva.example",)),
        ("", ()),
    ],
)
def test_hosts_of_metadata_documents_are_read_in_one_form(
    monkeypatch: pytest.MonkeyPatch, value: str, read: tuple[str, ...]
) -> None:
    """A host of MCP_CIMD_ALLOWED_HOSTS is spelled as DNS spells it, with its port if there is one."""
    monkeypatch.setenv("MCP_CIMD_ALLOWED_HOSTS", value)

    assert settings.load().mcp_cimd_allowed_hosts == read


@pytest.mark.parametrize(
    "value",
    ["https://a.example", "a.example/x", "a.example:0", "a.example:99999", "u@a.example", "a b", ":443", "[::g]"],
)
def test_what_is_no_host_of_metadata_documents_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """A URL, a path, a user name or an impossible port is a mistake that is told at the start."""
    monkeypatch.setenv("MCP_CIMD_ALLOWED_HOSTS", value)

    assert "such as clients.example.com:8443" in mistakes()["MCP_CIMD_ALLOWED_HOSTS"]


def test_metadata_documents_are_on_or_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """MCP_CIMD is on or off, in any case; anything else is refused."""
    monkeypatch.setenv("MCP_CIMD", "OFF")
    assert settings.load().mcp_cimd == "off"

    monkeypatch.setenv("MCP_CIMD", "maybe")
    assert "'on' or 'off'" in mistakes()["MCP_CIMD"]
