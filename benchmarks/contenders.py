"""The contenders, in the order of the tables. To add one, add a `Contender` to `ALL` (docs/performance.md)."""

from __future__ import annotations

import functools
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

from pydantic import TypeAdapter

from benchmarks.contender import Call, Command, Contender, Place, call_tool
from benchmarks.servers.softeria import SOFTERIA

UNLIMITED = "1000000"  # so that the limits are counted, as they are for everybody, and never reached
KEYS = {
    "JWT_SIGNING_KEY": "a-signing-key-that-is-the-same-on-all-replicas",
    "STORAGE_ENCRYPTION_KEY": "x5zbX0mGxW0Y8l0c0Q5oI8a4Pqk3oYw2mH6m3l7b8dE=",
}
LIMITS = (
    "M365_SEND_HOURLY_LIMIT",
    "M365_SEND_PERSON_HOURLY",
    "M365_SEND_PERSON_DAILY",
    "M365_SEND_PERSON_RECIPIENTS_HOURLY",
    "M365_SEND_PERSON_RECIPIENTS_DAILY",
)
MAIL: dict[str, Any] = {
    "to": ["grace@contoso.example"],
    "subject": "Report {number}",
    "body": "<p>Dear Grace,</p><p>The figures of <b>this week</b> are in. The engine weaves.</p><p>Yours, Ada</p>",
}
PROFILE = call_tool("get_my_profile", expects='"userPrincipalName"')
OWN_PROFILE = call_tool("get_my_profile", expects="{person}")
LIST = Call("tools/list", expects="get_my_profile")


def _ours(place: Place) -> Command:
    variables = {
        "AZURE_AUTHORITY_HOST": place.authority,
        "GRAPH_BASE_URL": place.graph,
        "SSL_CERT_FILE": place.ca_file,
        "AZURE_TENANT_ID": place.tenant_id,
        "AZURE_CLIENT_ID": place.client_id,
        "AZURE_CLIENT_SECRET": place.client_secret,
        "MCP_SERVER_BASE_URL": place.public_url,
        "MCP_HOST": "127.0.0.1",
        "MCP_PORT": str(place.port),
        "MCP_METRICS_PORT": "0",
        "MCP_SHUTDOWN_DELAY_SECONDS": "0",
        "MCP_DATA_DIR": str(place.folder / "data"),
        "REDIS_URL": place.redis_url,
        **KEYS,
        **dict.fromkeys(LIMITS, UNLIMITED),
    }
    workers = [] if place.workers == 1 else ["--workers", str(place.workers)]
    return Command([sys.executable, "-m", "m365_mcp", "serve", *workers], variables)


@functools.cache
def _has_workers() -> bool:
    told = subprocess.run([sys.executable, "-m", "m365_mcp", "serve", "--help"], capture_output=True, check=True)
    return b"--workers" in told.stdout


@functools.cache
def _lacks_azure_identity() -> str:
    if find_spec("azure") and find_spec("azure.identity") and find_spec("aiohttp"):
        return ""
    return "The plain build is left out: azure-identity or aiohttp is not installed (`make bench` installs both)."


def _python(module: str) -> Any:
    def command(place: Place) -> Command:
        text = TypeAdapter(Place).dump_json(place).decode()
        variables = {"SSL_CERT_FILE": place.ca_file, "FASTMCP_STATELESS_HTTP": "true"}
        return Command([sys.executable, "-m", f"benchmarks.servers.{module}", text], variables)

    return command


OURS = Contender(
    "ours",
    "this server",
    _ours,
    {"profile": OWN_PROFILE, "list": LIST, "send": call_tool("send_mail", MAIL, expects='"sent"')},
    sign_in="oauth",
    has_workers=_has_workers,
    compared=True,
)
PLAIN = Contender(
    "plain",
    "plain build of the source",
    _python("plain"),
    {"profile": OWN_PROFILE, "list": LIST, "send": call_tool("send_mail", MAIL, expects="sent")},
    sign_in="oauth",
    obstacle=_lacks_azure_identity,
    compared=True,
)
BARE_REQUEST = Contender(
    "bare-request", "bare FastMCP tool, one pooled request", _python("bare_request"), {"profile": PROFILE, "list": LIST}
)
BARE = Contender("bare", "bare FastMCP tool", _python("bare"), {"profile": PROFILE, "list": LIST})
ENDPOINT = Contender("endpoint", "bare Starlette endpoint", _python("endpoint"), {"profile": PROFILE})
ALL = (OURS, PLAIN, BARE_REQUEST, BARE, ENDPOINT, SOFTERIA)
