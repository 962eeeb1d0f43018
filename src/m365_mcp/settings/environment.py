"""What the environment and `.env` may have wrong before any single setting is read, as rows for the operator."""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path
from urllib.request import getproxies

from pydantic_settings import BaseSettings, DotEnvSettingsSource, EnvSettingsSource

from m365_mcp.errors import SettingsMistake
from m365_mcp.settings.addresses import check_host
from m365_mcp.urls import MAX_PORT

DOTENV = ".env"
_PREFIXES = ("AZURE_", "GRAPH_", "JWT_", "M365_", "MCP_", "REDIS_", "STORAGE_")
_NEAR = 0.85  # of 1, the same name: a letter more, less or exchanged; not what Kubernetes names after a service
ENCODING = "utf-8-sig"  # UTF-8, with or without a byte order mark
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")

Mistakes = list[tuple[str, str]]


def check_dotenv(path: str | None) -> None:
    """Return when `.env` is missing or is a text in UTF-8. Raises SettingsMistake."""
    problem = None if path is None else _problem_of(Path(path))
    if problem:
        raise SettingsMistake(((DOTENV, problem),))


def _problem_of(path: Path) -> str | None:
    if path.is_dir():
        return "is a folder; a container engine makes one when the file to mount is missing"
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError:
        return "cannot be read; check the permissions of the file"
    if content.startswith(_UTF_16) or b"\x00" in content:
        return "is in UTF-16, as Windows PowerShell writes files, or no text at all; save it as UTF-8"
    try:
        content.decode(ENCODING)
    except UnicodeDecodeError:
        return "is not in UTF-8 but probably in Latin-1 or Windows-1252; save it as UTF-8"
    return None


def locale_of_messages() -> str:
    """Return the locale of messages, by the first variable that is set (POSIX, Base Definitions section 8.2)."""
    return next(filter(None, map(os.environ.get, ("LC_ALL", "LC_MESSAGES", "LANG"))), "")  # noqa: TID251


def ignore_dotenv() -> None:
    """Let FastMCP, which reads `.env` while it is imported, pass over it; for a command that needs no settings."""
    os.environ["FASTMCP_ENV_FILE"] = os.devnull  # noqa: TID251


def wants_colour() -> bool:
    """Return whether a terminal may have colours. Sources: no-color.org (`NO_COLOR`, not empty); `TERM=dumb`."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"  # noqa: TID251


def wants_traces() -> bool:
    """Return whether spans are to be exported. All other `OTEL_` variables belong to OpenTelemetry's SDK alone."""
    names = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    is_disabled = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"  # noqa: TID251
    return not is_disabled and any(os.environ.get(name) for name in names)  # noqa: TID251


def share_metrics(folder: Path) -> None:
    """Let the workers of this process share their metrics in `folder`; before prometheus_client is imported."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)  # noqa: TID251


def skip_type_checks() -> None:
    """Have py-key-value 0.4.6 not check the types of arguments at run time; to be called before it is imported.

    It checks with beartype and only warns. mypy checks our calls, and beartype compiles a check for each method.
    """
    os.environ["PY_KEY_VALUE_DISABLE_BEARTYPE"] = "true"  # noqa: TID251


def set_but_empty(settings: type[BaseSettings], path: str | None) -> set[str]:
    """Return the names of the fields whose variable is set to nothing; to pydantic-settings they count as unset."""
    dotenv = DotEnvSettingsSource(settings, env_file=path, env_ignore_empty=False).env_vars
    environment = EnvSettingsSource(settings, env_ignore_empty=False).env_vars
    found = {**dotenv, **{name: value for name, value in environment.items() if value}}
    named = {*dotenv, *environment} & settings.model_fields.keys()
    return {name for name in named if not found.get(name)}


def unusable_proxies() -> Mistakes:
    """Return the proxy variables that the HTTP client cannot use."""
    proxies = getproxies()  # as httpx2 reads them
    if "*" in [entry.strip() for entry in proxies.get("no", "").split(",")]:
        return []
    named = [(name, proxies[name]) for name in ("http", "https", "all") if proxies.get(name)]
    return [(f"{name.upper()}_PROXY", _NO_PROXY) for name, value in named if not _is_http_proxy(value)]


_NO_PROXY = "must be the URL of an HTTP proxy, such as http://proxy.example.com:3128; this server cannot use SOCKS"


def _is_http_proxy(value: str) -> bool:
    import httpx2  # takes a third of a second to import, and is needed only where there is a proxy

    try:
        url = httpx2.Proxy(value if "://" in value else f"http://{value}").url
        has_port = url.port is None or 0 < url.port <= MAX_PORT
        return url.scheme in ("http", "https") and has_port and bool(check_host(url.host))
    except (ValueError, httpx2.InvalidURL):
        return False


def foreign_environment(settings: type[BaseSettings]) -> dict[str, str]:
    """Return this process's environment without our settings, for child processes that get settings of their own."""
    ours = {name.upper() for name in settings.model_fields}
    return {name: value for name, value in os.environ.items() if name.upper() not in ours}  # noqa: TID251


def mail_variables(settings: type[BaseSettings]) -> dict[str, str]:
    """Return the variables about mail (`M365_`) of the environment, empty ones too; a file's path becomes absolute."""
    ours = {name.upper() for name in settings.model_fields if name.startswith("m365_")}
    found = {name.upper(): value for name, value in os.environ.items() if name.upper() in ours}  # noqa: TID251
    if found.get("M365_POLICY_FILE"):
        found["M365_POLICY_FILE"] = str(Path(found["M365_POLICY_FILE"]).absolute())
    return found


def sources(settings: type[BaseSettings], path: str | None) -> dict[str, str]:
    """Return where the value of each field that is set comes from: `environment` or `.env`."""
    dotenv = DotEnvSettingsSource(settings, env_file=path, env_file_encoding=ENCODING).env_vars
    environment = EnvSettingsSource(settings).env_vars
    found = dict.fromkeys((name for name, value in dotenv.items() if (value or "").strip()), DOTENV)
    found |= dict.fromkeys((name for name, value in environment.items() if (value or "").strip()), "environment")
    return {name: source for name, source in found.items() if name in settings.model_fields}


def misspelt(settings: type[BaseSettings], path: str | None) -> dict[str, str]:
    """Return the variables that are nearly the name of a setting and so have no effect, with that name."""
    dotenv = DotEnvSettingsSource(settings, env_file=path, env_file_encoding=ENCODING).env_vars
    ours = [name.upper() for name in settings.model_fields]
    names = {name.upper() for name in (*dotenv, *os.environ) if name.upper().startswith(_PREFIXES)}  # noqa: TID251
    near = {name: get_close_matches(name, ours, n=1, cutoff=_NEAR) for name in sorted(names - set(ours))}
    return {name: found[0] for name, found in near.items() if found}
