"""The audit trail is the one that the settings choose."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from m365_mcp import settings
from m365_mcp.errors import SettingsMistake
from tests.ids import IDS
from tests.inprocess import running


class Collector(BaseHTTPRequestHandler):
    """Takes records over a real connection."""

    taken: list[tuple[str, str, bytes]]

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.taken.append((self.path, self.headers["Authorization"], content))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


async def test_collector_and_spool_are_those_of_the_settings(tmp_path: Path) -> None:
    """Records go to M365_AUDIT with M365_AUDIT_AUTHORIZATION, and M365_AUDIT_SPOOL is empty afterwards."""
    taken: list[tuple[str, str, bytes]] = []
    server = HTTPServer(("127.0.0.1", 0), type("OneCollector", (Collector,), {"taken": taken}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    chosen = {
        "m365_audit": f"http://127.0.0.1:{server.server_port}/in?channel=1",
        "m365_audit_authorization": "Splunk a-token",
        "m365_audit_spool": tmp_path / "spool",
    }
    try:
        async with running(**chosen) as world:
            assert (tmp_path / "spool").is_dir()
            await world.sign_in()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

    assert {(path, authorization) for path, authorization, _ in taken} == {("/in?channel=1", "Splunk a-token")}
    assert b"".join(content for _, _, content in taken).count(b'"class_uid":3002') == 2
    assert list((tmp_path / "spool").iterdir()) == []


def test_collector_needs_a_spool() -> None:
    """The address of a collector without a folder for what it does not have yet stops the start."""
    with pytest.raises(SettingsMistake) as caught:
        settings.load(**IDS, m365_audit="https://collector.example/in")

    assert [name for name, _ in caught.value.mistakes] == ["M365_AUDIT_SPOOL"]
