"""Settings that cannot work are rows of the settings table: a name and a sentence, never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from m365_mcp import settings
from m365_mcp.errors import SettingsMistake
from m365_mcp.settings import Settings
from m365_mcp.storage import redis_client
from tests.ids import IDS, VARIABLES

GUID = IDS["azure_tenant_id"]
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def only_the_ids(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Give every test an environment with the three ids, no proxy and no .env."""
    for name in (*(field.upper() for field in Settings.model_fields), *PROXIES, *map(str.lower, PROXIES)):
        monkeypatch.delenv(name, raising=False)
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)


def rows() -> dict[str, str]:
    with pytest.raises(SettingsMistake) as caught:
        settings.load()
    return dict(caught.value.mistakes)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("MCP_WORKERS", "0", "greater than or equal to 1"),
        ("MCP_WORKERS", "65", "less than or equal to 64"),
        ("AZURE_CLIENT_ID", f'"{GUID}"', "is in quotes"),
        ("AZURE_CLIENT_ID", f"{{{GUID}}}", "without quotes, braces and api://"),
        ("AZURE_CLIENT_ID", f"api://{GUID}", "without quotes, braces and api://"),
        ("AZURE_CLIENT_ID", "my-app", "Application (client) ID"),
        ("AZURE_CLIENT_ID", f"{GUID}\u200b", "invisible character"),
        ("AZURE_CLIENT_ID", f"\ufeff{GUID}", "invisible character"),
        ("AZURE_CLIENT_ID", GUID.replace("-", "\u2011"), "Application (client) ID"),
        ("AZURE_TENANT_ID", f"'{GUID}'", "is in quotes"),
        ("AZURE_TENANT_ID", f"{{{GUID}}}", "Directory (tenant) ID"),
        ("AZURE_TENANT_ID", GUID.replace("-", ""), "Directory (tenant) ID"),
        ("AZURE_CLIENT_SECRET", '"a~secret"', "is in quotes"),
        ("AZURE_CLIENT_SECRET", "“a~secret”", "no client secret has"),
        ("AZURE_CLIENT_SECRET", "a~sec\u200bret", "invisible character"),
        ("AZURE_CLIENT_SECRET", "a~sec\u00adret", "invisible character"),
        ("AZURE_CLIENT_SECRET", "a~sec ret", "a blank"),
        ("AZURE_CLIENT_SECRET", GUID, "Secret ID"),
        ("AZURE_CLIENT_SECRET", GUID.upper(), "Secret ID"),
        ("M365_SEND_LEVEL", "drafts", "'send', 'draft' or 'off'"),
        ("M365_APPROVAL_PROOF", "fido", "'browser', 'sign-in' or 'passkey'"),
        ("MCP_ALLOWED_REDIRECT_URIS", "https://a.example/cb;https://b.example/cb", "commas"),
        ("MCP_ALLOWED_REDIRECT_URIS", "https://a.example/cb\nhttps://b.example/cb", "line break"),
        ("MCP_ALLOWED_REDIRECT_URIS", "https://a.example/../cb", "dot segments"),
        ("MCP_ALLOWED_REDIRECT_URIS", "http://a.example/cb", "only a loopback address"),
        ("MCP_ALLOWED_REDIRECT_URIS", "urn:ietf:wg:oauth:2.0:oob", "domain name in reverse"),
        ("MCP_ALLOWED_HOSTS", "a.example;b.example", "host name"),
        ("MCP_ALLOWED_HOSTS", "a.example\r\nb.example", "line break"),
        ("MCP_ALLOWED_ORIGINS", "https://a.example;https://b.example", "origin"),
        ("MCP_ALLOWED_ORIGINS", "*", "origin"),
        ("MCP_ALLOWED_ORIGINS", "app://", "origin"),
        ("MCP_ALLOWED_ORIGINS", "https://a.example,vscode-webview://*.a", "origin"),
        ("MCP_SCOPE_NAME", "api://x/mcp-access", "only the name of the scope, such as mcp-access"),
        ("MCP_SCOPE_NAME", f"{GUID}/mcp-access", "only the name of the scope, such as mcp-access"),
        ("MCP_SCOPE_NAME", "mcp access", "only the name of the scope, such as mcp-access"),
        ("MCP_SCOPE_NAME", 'mcp"access', "only the name of the scope, such as mcp-access"),
        ("MCP_TRUSTED_PROXIES", "10.0.0.0/33", "such as 10.244.0.0/16"),
        ("MCP_TRUSTED_PROXIES", "10.244.1.5/16", "such as 10.244.0.0/16"),
        ("MCP_TRUSTED_PROXIES", "10.0.0.0/8;192.168.0.0/16", "such as 10.244.0.0/16"),
        ("MCP_TRUSTED_PROXIES", "10.0.0.1:8080", "such as 10.244.0.0/16"),
        ("MCP_TRUSTED_PROXIES", "[fd00::1]", "such as 10.244.0.0/16"),
        ("MCP_TRUSTED_PROXIES", "fe80::1%eth0", "such as 10.244.0.0/16"),
        ("MCP_TRUSTED_PROXIES", "*", "such as 10.244.0.0/16"),
        ("MCP_TRUSTED_PROXIES", "10.0.0.1,0.0.0.0/0", "your proxies only"),
        ("MCP_TRUSTED_PROXIES", "::/0", "your proxies only"),
        ("M365_TOOLSETS", "drafts;people", "toolsets"),
        ("M365_SEND_ALLOWED_DOMAINS", "a.example;b.example", "domain"),
        ("M365_SEND_ALLOWED_DOMAINS", "", "set but empty"),
        ("M365_INTERNAL_DOMAINS", "contoso", "domain such as contoso.example"),
        ("M365_INTERNAL_DOMAINS", "*.*.contoso.example", "domain such as contoso.example"),
        ("M365_POLICY_TIMEZONE", "Mars/Olympus", "IANA name of a time zone"),
        ("M365_POLICY_TIMEZONE", "../../etc/passwd", "IANA name of a time zone"),
        ("M365_POLICY_CONTACT_DAYS", "0", "greater than or equal to 1"),
        ("M365_POLICY_CONTACT_DAYS", "a year", "integer"),
        ("M365_SEND_ALLOWED_DOMAINS", "  ", "set but empty"),
        ("M365_SEND_PERSON_HOURLY", "-1", "greater than or equal to 0"),
        ("M365_SEND_PERSON_DAILY", "many", "integer"),
        ("M365_SEND_PERSON_RECIPIENTS_HOURLY", "1,000", "integer"),
        ("M365_SEND_TOTAL_DAILY", "none", "integer"),
        ("M365_SEND_TOTAL_RECIPIENTS_DAILY", "1e3", "integer"),
        ("M365_SEND_ALLOWED_DOMAINS", " , ", "set but empty"),
        ("MCP_HOST", "not a host", "address or a host name"),
        ("MCP_HOST", "*", "address or a host name"),
        ("MCP_HOST", "999.1.1.1", "address or a host name"),
        ("MCP_HOST", "127.1", "address or a host name"),
        ("MCP_HOST", "0.0.0.0:8000", "address or a host name"),
        ("MCP_HOST", "http://localhost", "address or a host name"),
        ("MCP_SERVER_BASE_URL", "https://127.1", "full URL"),
        ("MCP_SERVER_BASE_URL", "https://mcp.example.com/a%2Fb", "full URL"),
        ("MCP_SERVER_BASE_URL", "https://mcp..example.com", "full URL"),
        ("MCP_SHUTDOWN_DELAY_SECONDS", "nan", "finite number"),
        ("MCP_PORT", "²", "integer"),
        ("REDIS_URL", "rediss://h/0?ssl_cert_reqs=CERT_NONE", "none, optional or required"),
        ("REDIS_URL", "rediss://h/0?ssl_cert_reqs=None", "none, optional or required"),
        ("REDIS_URL", "rediss://h/0?ssl_ca_certs=/missing.pem", "files must be readable"),
        ("REDIS_URL", "rediss://h/0?ssl_min_version=5", "refuses"),
        ("REDIS_URL", "redis://h/0?ssl_cert_reqs=none", "without rediss://"),
        ("REDIS_URL", "redis://h/0?socket_timeout=abc", "socket_timeout"),
        ("REDIS_URL", "redis://h/0?socket_timeout=-1", "socket_timeout"),
        ("REDIS_URL", "redis://h/0?socket_timeout=nan", "socket_timeout"),
        ("REDIS_URL", "redis://h/0?max_connections=1.5", "max_connections, which must be a whole number above 0"),
        ("REDIS_URL", "redis://h/0?socket_read_size=1e3", "socket_read_size, which must be a whole number above 0"),
        ("REDIS_URL", "redis://h/0?health_check_interval=-1", "health_check_interval, which must be a whole number"),
        ("REDIS_URL", "redis://h/0?client_name=a%20b", "client_name, which must be a name without blanks"),
        ("REDIS_URL", "redis://h/0?db=x", "database"),
        ("REDIS_URL", "redis://h/0?db=99", "database"),
        ("REDIS_URL", "redis://h/99", "from 0 to 15; a Redis has others only if it is configured to"),
        ("REDIS_URL", "redis://h/²", "must look like"),
        ("REDIS_URL", "redis://h,h2", "must look like"),
        ("REDIS_URL", "redis://h%20x", "must look like"),
        ("REDIS_URL", "redis://999.1.1.1/0", "must look like"),
        ("REDIS_URL", "redis://h/0?protocol=9", "protocol, which must be 2 or 3"),
        ("REDIS_URL", "redis://h/0?connection_class=x", "does not know"),
        ("REDIS_URL", "redis://[/0", "must look like"),
        ("REDIS_URL", "redis://:p ss@h/0", "percent-encoded"),
        ("SSL_CERT_FILE", "/", "PEM"),
        ("M365_AUDIT", "on", "off, stdout, file:/path"),
        ("M365_AUDIT", "file:audit", "off, stdout, file:/path"),
        ("M365_AUDIT", "file:/", "off, stdout, file:/path"),
        ("M365_AUDIT", "file:/missing/audit", "off, stdout, file:/path"),
        ("M365_AUDIT", "https://user:password@collector.example", "off, stdout, file:/path"),
        ("M365_AUDIT", "https://collector.example:x", "off, stdout, file:/path"),
        ("M365_AUDIT", "https://[collector", "off, stdout, file:/path"),
        ("M365_AUDIT", "ftp://collector.example", "off, stdout, file:/path"),
        ("M365_AUDIT_SPOOL", "/dev/null/spool", "folder that can be written to"),
        ("M365_AUDIT_SPOOL_MB", "0", "greater than or equal to 1"),
        ("M365_AUDIT_REQUIRED", "true", "M365_AUDIT is off"),
        ("M365_AUDIT_KEY_FILE", "/", "Ed25519"),
        ("M365_AUDIT_CONTENT", "recipients,attachments", "recipients, subject, body"),
    ],
)
def test_f8_value_that_fails_later_is_a_row(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str
) -> None:
    """The table names the variable and says in a sentence what to change, without the value."""
    monkeypatch.setenv(name, value)

    found = rows()

    assert set(found) == {name}
    assert sentence in found[name]
    assert len(value) < 8 or value not in found[name]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALL_PROXY", "socks5://proxy.example.com:1080"),
        ("all_proxy", "socks5h://proxy.example.com:1080"),
        ("HTTPS_PROXY", "http://proxy.example.com:port"),
        ("HTTP_PROXY", "ftp://proxy.example.com"),
        ("HTTPS_PROXY", "http://"),
        ("HTTPS_PROXY", "http://proxy.example.com:99999"),
        ("HTTPS_PROXY", "http://proxy.example.com:0"),
        ("HTTP_PROXY", "http://proxy example"),
        ("HTTP_PROXY", "http://a.example,b.example:3128"),
        ("ALL_PROXY", "http://10.0.0.999:3128"),
    ],
)
def test_f8_proxy_that_the_client_cannot_use_is_a_row(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """A proxy variable is no setting of ours, and yet a wrong one is said in the same table."""
    monkeypatch.setenv(name, value)

    assert "must be the URL of an HTTP proxy" in rows()[name.upper()]


@pytest.mark.parametrize(
    "value",
    ["http://user:p%40ss@proxy.example.com:3128", "proxy.example.com:3128", "https://[::1]:1", "http://my_proxy", "p:"],
)
def test_f8_usable_proxy_is_no_mistake(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """A proxy may have credentials, may lack the scheme, and may be an address."""
    monkeypatch.setenv("HTTPS_PROXY", value)

    assert settings.load()


def test_f8_proxy_that_nothing_uses_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """With NO_PROXY=* the client asks no proxy."""
    monkeypatch.setenv("ALL_PROXY", "socks5://proxy.example.com:1080")
    monkeypatch.setenv("NO_PROXY", "localhost, *")

    assert settings.load()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("MCP_PORT=8100\r\n".encode("utf-16"), "UTF-16"),
        ("MCP_PORT=8100\r\n".encode("utf-16-le"), "UTF-16"),
        ("MCP_PORT=8100\r\n".encode("utf-16-be"), "UTF-16"),
        ("# Größe\nMCP_PORT=8100\n".encode("latin-1"), "Latin-1"),
    ],
)
def test_f8_dotenv_in_another_encoding_is_named_as_such(tmp_path: Path, content: bytes, sentence: str) -> None:
    """What Windows PowerShell or an old editor writes is one row that says so."""
    (tmp_path / ".env").write_bytes(content)

    found = rows()

    assert set(found) == {".env"}
    assert sentence in found[".env"]


def test_f8_dotenv_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    """Notepad's mark before the first name does not hide that name."""
    (tmp_path / ".env").write_bytes("\ufeffMCP_PORT=8100\r\n".encode())

    assert settings.load().mcp_port == 8100


def test_f8_dotenv_that_is_a_folder_is_a_row(tmp_path: Path) -> None:
    """A container engine makes a folder of a file that it cannot find."""
    (tmp_path / ".env").mkdir()

    assert "folder" in rows()[".env"]


def test_f8_white_space_around_a_value_means_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blanks and line ends of files and portals are taken off every value; a blank value counts as unset."""
    spelled = {
        "MCP_SERVER_BASE_URL": " https://mcp.example.com\r\n",
        "REDIS_URL": "memory://\n",
        "MCP_PORT": " 8100 ",
        "MCP_HOST": "\t127.0.0.1 ",
        "AZURE_CLOUD": " China ",
        "M365_SEND_BCC": "true\r",
        "GRAPH_BASE_URL": "  ",
    }
    for name, value in spelled.items():
        monkeypatch.setenv(name, value)

    chosen = settings.load()

    assert (chosen.mcp_server_base_url, chosen.redis_url) == ("https://mcp.example.com", "memory://")
    assert (chosen.mcp_port, chosen.mcp_host, chosen.azure_cloud) == (8100, "127.0.0.1", "china")
    assert (chosen.m365_send_bcc, chosen.graph_base_url) == (True, None)


@pytest.mark.parametrize(
    ("value", "host"),
    [("::", "::"), ("[::1]", "::1"), ("[::]", "::"), ("LocalHost", "localhost"), ("fe80::1%lo", "fe80::1%lo")],
)
def test_f9_address_to_listen_on_is_taken_with_and_without_brackets(
    monkeypatch: pytest.MonkeyPatch, value: str, host: str
) -> None:
    """An IPv6 address may have the brackets that it has in a URL, and a name may stand for an address."""
    monkeypatch.setenv("MCP_HOST", value)

    assert settings.load().mcp_host == host


@pytest.mark.parametrize(
    ("written", "in_file", "domains"),
    [("", "contoso.example", ("contoso.example",)), ("none", "", ()), ("contoso.example", "", ("contoso.example",))],
)
def test_h5_empty_list_of_domains_beside_a_filled_one_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, written: str, in_file: str, domains: tuple[str, ...]
) -> None:
    """An empty variable gives way to the other source, as every empty variable does."""
    monkeypatch.setenv("M365_SEND_ALLOWED_DOMAINS", written)
    (tmp_path / ".env").write_text(f"M365_SEND_ALLOWED_DOMAINS={in_file}\n")

    assert settings.load().m365_send_allowed_domains == domains


def test_h5_empty_list_of_domains_in_dotenv_is_a_row(tmp_path: Path) -> None:
    """A template whose variable is empty does not open the server to every domain."""
    (tmp_path / ".env").write_text("m365_send_allowed_domains=\n")

    assert "set but empty" in rows()["M365_SEND_ALLOWED_DOMAINS"]


@pytest.mark.parametrize(
    "url",
    [
        "redis://default:p%40ss%2Fw%3Ard@h:6379/0",
        "redis://h",
        "redis://[::1]:6379/15",
        "redis://[fe80::1%25eth0]:6379/0",
        "redis://my_redis.example.:6379/0?client_name=m365-mcp",
        "rediss://h/0?ssl_cert_reqs=none",
        "rediss://h/0?ssl_cert_reqs=required&ssl_check_hostname=false",
        "redis://h/0?socket_timeout=2.5&max_connections=10&health_check_interval=0&protocol=2",
        "memory://",
    ],
)
def test_f8_usual_forms_of_the_redis_url_are_accepted(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """What the settings accept, redis-py accepts as well."""
    monkeypatch.setenv("REDIS_URL", url)

    chosen = settings.load().redis_url

    assert chosen == url
    assert url == "memory://" or redis_client.connect(url)


NAMES = [*(field.upper() for field in Settings.model_fields), *PROXIES]
AWKWARD = [
    "[",
    "://",
    "@",
    "%",
    "\\",
    ";",
    ",",
    '"',
    "\u200b",
    "\udce4",
    "²",
    "nan",
    "1e999",
    "redis://h/0?db=",
    "https://",
]
PART = st.sampled_from(AWKWARD) | st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)
VALUE = st.lists(PART, max_size=5).map("".join)


def names_of_rows() -> set[str]:
    """Load the settings and return what the table names; anything but the settings error fails the test."""
    try:
        settings.load()
    except SettingsMistake as mistake:
        return {name for name, problem in mistake.mistakes if problem}
    return set()


@given(values=st.dictionaries(st.sampled_from(NAMES), VALUE, max_size=12))
@example(values=dict.fromkeys(NAMES, ""))
@example(values=dict.fromkeys(NAMES, "\udce4"))
@example(values=dict.fromkeys(NAMES, "[::1"))
def test_f8_no_value_of_any_variable_makes_loading_fail_otherwise(values: dict[str, str]) -> None:
    """Whatever the variables hold, loading returns settings or raises the settings error with their names."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setenv(name, value)
        assert names_of_rows() <= {*NAMES}


@given(content=st.binary(max_size=200))
def test_f8_no_dotenv_makes_loading_fail_otherwise(content: bytes) -> None:
    """Whatever bytes `.env` holds, loading returns settings or raises the settings error."""
    Path(".env").write_bytes(content)

    assert names_of_rows() <= {*NAMES, ".env"}
