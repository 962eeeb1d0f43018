"""The simulator overlay, run as processes: the sidecar's own command, then the server with the ConfigMap's settings."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

import httpx2
import pytest

from tests.deploy.objects import Pod, of_kind
from tests.deploy.tools import documents
from tests.e2e.programs import Program, Simulator, free_port, make_server

pytestmark = pytest.mark.deploy


@pytest.fixture
def tryout(tmp_path: Path) -> tuple[list[str], dict[str, str]]:
    """Return the sidecar's command and the server's settings, with /simulator moved to a folder of the test."""
    found = documents("k8s/overlays/simulator")
    (pod,) = (Pod(document) for document in of_kind(found, "Deployment"))
    (sidecar,) = pod.spec["initContainers"]
    (config,) = (d for d in of_kind(found, "ConfigMap") if d["metadata"]["name"] == "mcp-server-config")
    (secret,) = of_kind(found, "Secret")
    values = config["data"] | {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}
    command = [word.replace("/simulator", str(tmp_path)) for word in sidecar["command"]]
    return command, {key: value.replace("/simulator", str(tmp_path)) for key, value in values.items()}


def test_server_starts_beside_the_sidecar(tryout: tuple[list[str], dict[str, str]], tmp_path: Path) -> None:
    """The file that the startup probe waits for appears, the CA is trusted, and the server becomes ready."""
    command, values = tryout
    port, control_port = free_port(), free_port()
    assert command[0] == "m365-mcp"
    arguments = [
        sys.executable,
        "-m",
        "m365_mcp",
        *command[1:],
        "--port",
        str(port),
        "--control-port",
        str(control_port),
    ]
    sidecar = Program(arguments, tmp_path / "simulator.log")
    sidecar.start()
    try:
        sidecar.wait_until((tmp_path / "ready.json").exists)
        ready = json.loads((tmp_path / "ready.json").read_text())
        assert ready["client_id"] == values["AZURE_CLIENT_ID"]
        assert ready["ca_file"] == values["SSL_CERT_FILE"]
        moved = {name: value.replace("https://localhost:8443", ready["authority"]) for name, value in values.items()}
        moved |= {"MCP_PORT": str(free_port()), "MCP_METRICS_PORT": "0", "REDIS_URL": "memory://"}
        moved["MCP_SERVER_BASE_URL"] = f"http://localhost:{moved['MCP_PORT']}"
        server = make_server(tmp_path, Simulator(ready, sidecar), **moved)
        server.url = moved["MCP_SERVER_BASE_URL"]
        try:
            server.start()
            report = httpx2.get(f"{server.url}/readyz", trust_env=False).json()
        finally:
            server.program.end()
    finally:
        sidecar.end()

    assert report["status"] == "ok"
