"""The image: what is in it, how it is confined, and that its server does the whole job."""

import asyncio
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from m365_mcp.web.serving import DRAIN_SECONDS
from tests.deploy.containers import DEMO_IMAGE, IMAGE, REPOSITORY, Container, Engine, find_tool, run, wait_for
from tests.e2e.person import Assistant, PersonAtBrowser, direct_client, text_of
from tests.e2e.programs import Simulator, free_port
from tests.ids import VARIABLES

MAIL = {"to": ["grace@contoso.example"], "subject": "From a container", "body": "<p>Hi</p>"}
SAMPLE = {**VARIABLES, "REDIS_URL": "memory://"}


def answers(url: str) -> bool:
    try:
        return httpx2.get(url, trust_env=False).status_code == 200
    except httpx2.HTTPError:
        return False


@pytest.fixture(scope="module")
def confined(engine: Engine) -> Iterator[tuple[Container, str]]:
    """A container with every restriction, its port published on loopback, and its address."""
    port = free_port()
    url = f"http://localhost:{port}"
    published = ("--publish", f"127.0.0.1:{port}:8000")
    with engine.running("confined", *published, environment={**SAMPLE, "MCP_SERVER_BASE_URL": url}) as container:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/livez"), "a live server")
        yield container, url.replace("localhost", "127.0.0.1")


@contextmanager
def serving(engine: Engine, simulator: Simulator) -> Iterator[tuple[Container, Assistant]]:
    """Run a confined container beside the simulator of this machine; yield it and Ada's assistant."""
    port = free_port()
    url = f"http://localhost:{port}"
    settings = {**simulator.settings, "MCP_SERVER_BASE_URL": url, "MCP_PORT": str(port), "MCP_METRICS_PORT": "0"}
    settings |= {"REDIS_URL": "memory://", "SSL_CERT_FILE": "/ca.pem"}
    here = ("--network", "host", "--volume", f"{simulator.ready['ca_file']}:/ca.pem:ro")
    with engine.running("serving", *here, environment=settings) as container:
        wait_for(lambda: answers(f"{url}/readyz"), "a ready server")
        yield container, Assistant(url, PersonAtBrowser(simulator.ready["ca_file"]))


def lint(dockerfile: Path) -> subprocess.CompletedProcess[str]:
    hadolint = find_tool("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not installed (requirements/deploy-image.in)")
    return run([hadolint, "--no-color", str(dockerfile)], check=False)


def test_dockerfile_is_clean() -> None:
    """Hadolint has nothing to say about the Dockerfile."""
    ran = lint(REPOSITORY / "Dockerfile")

    assert (ran.returncode, ran.stdout) == (0, "")


@pytest.mark.parametrize(
    ("right", "wrong", "rule"),
    [
        ("USER 10001:10001", "USER root", "DL3002"),
        ('ENTRYPOINT ["m365-mcp"]', "ENTRYPOINT m365-mcp", "DL3025"),
        ("WORKDIR /build", "RUN cd /build", "DL3003"),
    ],
    ids=["root", "shell-form", "cd"],
)
def test_planted_mistake_is_found(tmp_path: Path, right: str, wrong: str, rule: str) -> None:
    """A Dockerfile with a mistake fails, so the clean result means something."""
    text = (REPOSITORY / "Dockerfile").read_text()
    assert right in text
    (tmp_path / "Dockerfile").write_text(text.replace(right, wrong))

    ran = lint(tmp_path / "Dockerfile")

    assert ran.returncode != 0
    assert rule in ran.stdout


def test_scripts_are_clean() -> None:
    """Shellcheck has nothing to say about the scripts in deploy/."""
    shellcheck = find_tool("shellcheck")
    if shellcheck is None:
        pytest.skip("shellcheck is not installed (requirements/deploy-image.in)")

    ran = run([shellcheck, *map(str, (REPOSITORY / "deploy").glob("*.sh"))], check=False)

    assert (ran.returncode, ran.stdout) == (0, "")


def test_image_says_what_it_is(engine: Engine) -> None:
    """User, ports, command, health check and OCI labels stand in the image."""
    image = engine.image()
    config = image["Config"]
    labels = {name.rpartition(".")[2]: value for name, value in config["Labels"].items() if "opencontainers" in name}

    assert config["User"] == "10001:10001"
    assert set(config["ExposedPorts"]) == {"8000/tcp", "9090/tcp"}
    assert (config["Entrypoint"], config["Cmd"]) == (["m365-mcp"], ["serve"])
    assert image["Healthcheck"]["Test"] == ["CMD", "probe", "/livez"]
    assert labels["title"] == "M365 MCP Server"
    assert labels["licenses"] == "MIT"
    assert {"description", "source"} <= set(labels)
    assert (labels["version"], labels["revision"], labels["created"]) == ("1.2.3", "abc", "2026-11-23T00:00:00Z")


def test_image_holds_only_what_runs(engine: Engine) -> None:
    """No compiler, no pip of ours, no cache, no sources, no tests, no settings of the machine that built it."""
    with engine.mounted() as root:
        names = {
            path.name for folder in ("usr/bin", "usr/local/bin", "opt/venv/bin") for path in (root / folder).iterdir()
        }
        ours = {str(path.relative_to(root / "opt")) for path in (root / "opt").glob("venv/lib/python*/site-packages/*")}
        folders = {path.name for path in root.iterdir()} | {path.name for path in (root / "opt").iterdir()}
        configured = [path for path in ("etc/pip.conf", "root/.config/pip", "root/.pip") if (root / path).exists()]
        caches = [path for path in ("root/.cache", "tmp/.cache", "build", "wheels") if (root / path).exists()]
        addresses = [p for p in (root / "opt/venv").rglob("direct_url.json") if "/build" in p.read_text()]

    assert not names & {"gcc", "cc", "g++", "c++", "clang", "ld", "as", "make", "git", "curl", "pip", "pip3"}
    assert not {path for path in ours if re.search(r"/(pip|hatchling|setuptools|editables|tests)\b", path)}
    assert not folders & {"tools", "build", "wheels", "src", "tests", ".git"}
    assert configured == []
    assert caches == []
    assert addresses == []


def test_production_image_has_no_simulator_and_the_demos_has_one(demo_engine: Engine) -> None:
    """The image that is built when no target is named holds no simulator and nothing that only a simulator needs."""
    only_there = {"m365_simulator", "trustme"}
    with demo_engine.mounted() as root, demo_engine.mounted(DEMO_IMAGE) as demo:
        production = {path.name for path in (root / "opt/venv/lib").glob("python*/site-packages/*")}
        with_simulator = {path.name for path in (demo / "opt/venv/lib").glob("python*/site-packages/*")}

    assert {name for name in production if "simulator" in name} == set()
    assert not only_there & production
    assert only_there <= with_simulator
    assert demo_engine.run_to_end("simulator").returncode == 2


def test_everything_is_compiled(engine: Engine) -> None:
    """Each of our modules has its bytecode in the image, valid whatever the file times."""
    with engine.mounted() as root:
        [packages] = (root / "opt/venv/lib").glob("python*/site-packages")
        modules = [path for name in ("m365_mcp", "fastmcp") for path in (packages / name).rglob("*.py")]
        bytecode = [next((path.parent / "__pycache__").glob(f"{path.stem}.cpython-*.pyc"), None) for path in modules]
        # PEP 552: flags 1 in the second word mean a hash that nobody checks.
        flags = {path.read_bytes()[4] for path in bytecode if path}

    assert len(modules) > 100
    assert None not in bytecode
    assert flags == {1}


def test_build_machine_leaves_no_trace(engine: Engine) -> None:
    """Neither the environment nor the history names a package registry or a folder of the machine."""
    said = str(engine.image()["Config"]["Env"]) + engine.podman("history", "--no-trunc", IMAGE)

    assert str(REPOSITORY) not in said
    assert not re.search(r"index.url|PIP_|pip\.conf|https?://(?!example\.com)", said)


def test_server_is_confined(confined: tuple[Container, str]) -> None:
    """PID 1 is the server itself, as user 10001, without capabilities or new privileges, within 384 MB."""
    container, _ = confined
    process = Path("/proc", container.inspect(".State.Pid"))
    status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines())
    command = (process / "cmdline").read_text().split("\0")

    assert command[1:3] == ["/opt/venv/bin/m365-mcp", "serve"]
    assert status["NSpid"].split()[-1] == "1"
    assert set(status["Uid"].split()) == set(status["Gid"].split()) == {"10001"}
    assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert status["NoNewPrivs"] == "1"
    assert container.inspect(".HostConfig.Memory") == str(384 * 1024 * 1024)
    assert int(status["VmHWM"].split()[0]) < 256 * 1024


def test_root_file_system_is_read_only(confined: tuple[Container, str]) -> None:
    """Only /tmp can be written."""
    container, _ = confined

    refused = container.execute("touch", "/opt/venv/x", "/var/lib/m365-mcp/x", "/x")
    allowed = container.execute("touch", "/tmp/x")  # noqa: S108

    assert refused.stderr.count("Read-only file system") == 3
    assert allowed.returncode == 0


def test_surface_answers(confined: tuple[Container, str]) -> None:
    """Probe, protected resource metadata and the 401 challenge are there."""
    _, url = confined
    with httpx2.Client(base_url=url, trust_env=False) as http:
        live = http.get("/livez")
        metadata = http.get("/.well-known/oauth-protected-resource/mcp")
        challenge = http.post("/mcp", json={})

    assert live.json()["status"] == "ok"
    assert metadata.json()["resource"].endswith("/mcp")
    assert challenge.status_code == 401
    assert "resource_metadata=" in challenge.headers["WWW-Authenticate"]


def test_health_check_tells_a_live_server_from_a_dead_one(confined: tuple[Container, str]) -> None:
    """The image's own check passes; the same program says so when nothing listens, or the answer is not 200."""
    container, _ = confined

    assert container.check_health() == "healthy"
    nobody = container.execute("probe", "/livez", "8001")
    unready = container.execute("probe", "/readyz")
    assert (nobody.returncode, unready.returncode) == (1, 1)
    assert "Connection refused" in nobody.stderr
    assert "503" in unready.stderr


def test_bad_settings_end_the_container_with_2(engine: Engine) -> None:
    """A container without settings says which are missing, and ends."""
    ran = engine.run_to_end()

    assert ran.returncode == 2
    assert "AZURE_CLIENT_ID" in ran.stderr


async def test_person_signs_in_and_sends_a_mail(engine: Engine, simulator: Simulator) -> None:
    """The whole flow goes through the confined container, and its health check stays good on another port."""
    with serving(engine, simulator) as (container, ada):
        result = await ada.call("send_mail", MAIL)
        health = container.check_health()

    assert not result.is_error, text_of(result)
    assert [mail["subject"] for mail in simulator.outbox] == ["From a container"]
    assert health == "healthy"


async def test_stop_answers_the_call_in_flight(engine: Engine, simulator: Simulator) -> None:
    """After SIGTERM the call that waits for Graph is still answered, and the server ends with 0, in time."""
    with serving(engine, simulator) as (container, ada):
        assert not (await ada.call("get_my_profile")).is_error
        slow = {"where": {"path": "/v1.0/me/sendMail"}, "what": {"delay_seconds": 3.0}, "when": "after"}
        simulator.control("POST", "faults", **slow)
        call = asyncio.create_task(send_by_hand(ada))
        await asyncio.to_thread(wait_for, lambda: simulator.outbox, "the mail at Graph")

        start = time.monotonic()
        code = await asyncio.to_thread(container.stop)
        took = time.monotonic() - start
        reply = await call

    assert (code, reply.status_code) == (0, 200)
    assert reply.json()["result"]["structuredContent"]["status"] == "sent"
    assert took < DRAIN_SECONDS


async def send_by_hand(assistant: Assistant) -> httpx2.Response:
    """Send the mail with one request; a whole client would speak to the stopped server afterwards."""
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "send_mail", "arguments": MAIL}}
    headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
    async with direct_client(headers={"Authorization": f"Bearer {await assistant.token()}"}) as http:
        return await http.post(assistant.endpoint, json=body, headers=headers)
