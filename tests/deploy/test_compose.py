"""The Compose files, read by the real Compose and brought up with it."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from m365_mcp.settings import foreign_environment
from tests.deploy.containers import DEMO_IMAGE, IMAGE, REDIS, REPOSITORY, Engine, find_tool, run, wait_for
from tests.e2e.person import Assistant, PersonAtBrowser, text_of
from tests.e2e.programs import Program, Simulator, free_port

MAIL = {"to": ["grace@contoso.example"], "subject": "From Compose", "body": "<p>Hi</p>"}
DEMO = REPOSITORY / "compose.demo.yaml"


@dataclass
class Compose:
    """The real Compose over one file; `environment` says which engine, and what the file is to be filled with."""

    file: Path
    environment: dict[str, str]

    def __call__(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        program = find_tool("docker-compose")
        if program is None:
            pytest.skip("docker-compose is not installed (requirements/deploy-image.in)")
        command = [program, "--file", str(self.file), *arguments]
        return run(command, env={**foreign_environment(), **self.environment}, cwd=self.file.parent, check=check)

    def read(self) -> dict[str, Any]:
        """Return the services as Compose understands the file."""
        return dict(json.loads(self("config", "--format", "json").stdout)["services"])

    def health(self) -> dict[str, str]:
        shown = self("ps", "--all", "--format", "json").stdout.splitlines()
        return {service["Service"]: service["Health"] for service in map(json.loads, shown)}


@pytest.fixture
def filled_in(tmp_path: Path) -> Path:
    """A folder as the operator has it after filling in .env: compose.yaml and .env, and nothing to build from."""
    shutil.copy(REPOSITORY / "compose.yaml", tmp_path)
    shutil.copy(DEMO, tmp_path)
    sample = (REPOSITORY / ".env.example").read_text()
    guid = "00000000-aaaa-4bbb-8ccc-dddddddddddd"
    for name, value in {"client-id": guid, "client-secret-value": "value-not-id", "tenant-id": guid}.items():
        assert f"=your-{name}" in sample
        sample = sample.replace(f"=your-{name}", f"={value}")
    (tmp_path / ".env").write_text(f"{sample}\nREDIS_PASSWORD=chosen1by2the3operator\n")
    return tmp_path


@pytest.fixture(scope="module")
def docker_host(engine: Engine) -> Iterator[dict[str, str]]:
    """Docker's API over the tests' engine, which also knows Redis; nothing can be pulled."""
    engine.load(REDIS)
    with engine.docker_socket() as address:
        # A home of its own: the settings and plugins of whoever runs the tests are not to matter.
        # And a project name of its own: podman keeps the names of all engines' networks in one place.
        home = {"HOME": str(engine.folder), "COMPOSE_PROJECT_NAME": engine.folder.name}
        yield {**engine.environment, "DOCKER_HOST": address, **home}


@dataclass
class Demo:
    """The demo, brought up."""

    engine: Engine
    compose: Compose
    simulator: Simulator
    url: str

    def up(self, *options: str) -> None:
        self.compose("up", *options, "--detach", "--wait")
        self.engine.pin_bridges()

    def is_healthy(self) -> bool:
        return self.compose.health() == {"mcp-server": "healthy", "redis": "healthy", "simulator": "healthy"}


@pytest.fixture(scope="module")
def demo(engine: Engine, docker_host: dict[str, str]) -> Iterator[Demo]:
    """Everything without a tenant and without .env: built, started, healthy, and taken down at the end."""
    ports = {name: str(free_port()) for name in ("DEMO_PORT", "DEMO_SIGN_IN_PORT", "DEMO_MAILBOX_PORT")}
    url = f"http://localhost:{ports['DEMO_PORT']}"
    simulator = Simulator({"control": f"http://127.0.0.1:{ports['DEMO_MAILBOX_PORT']}"}, Program([], Path()))
    demo = Demo(engine, Compose(DEMO, {**docker_host, **ports}), simulator, url)
    try:
        demo.up("--build")
        yield demo
    finally:
        demo.compose("down", "--volumes", check=False)


@pytest.fixture
def ada(demo: Demo) -> Assistant:
    """Ada's assistant; her browser trusts the authority that the demo's simulator made for itself."""
    demo.simulator.control("POST", "reset")
    volume = f"{demo.engine.folder.name}_simulator"
    folder = demo.engine.podman("volume", "inspect", "--format", "{{.Mountpoint}}", volume).strip()
    return Assistant(demo.url, PersonAtBrowser(f"{folder}/ca.pem"))


def test_both_files_are_accepted(filled_in: Path) -> None:
    """Compose finds nothing wrong, with .env for the real thing and without it for the demo."""
    real = Compose(filled_in / "compose.yaml", {})("config", "--quiet")
    demo = Compose(DEMO, {})("config", "--quiet")

    assert (real.stderr, demo.stderr) == ("", "")


def test_profile_demo_needs_no_env(filled_in: Path) -> None:
    """Without .env the profile brings a server that knows the simulator, and the plain one gets no ids."""
    (filled_in / ".env").unlink()

    shown = Compose(filled_in / "compose.yaml", {})("--profile", "demo", "config", "--format", "json").stdout
    services = json.loads(shown)["services"]

    assert set(services) == {"mcp-server", "redis", "demo", "simulator"}
    assert services["demo"]["environment"]["AZURE_AUTHORITY_HOST"] == "https://localhost:8443"
    assert not [name for name in services["mcp-server"]["environment"] if name.startswith("AZURE_")]


async def test_profile_demo_sends_a_mail(demo_engine: Engine, docker_host: dict[str, str], filled_in: Path) -> None:
    """`docker compose up demo` beside no .env: simulator, Redis and server start, and the whole job works."""
    (filled_in / ".env").unlink()
    engine = demo_engine
    engine.podman("tag", DEMO_IMAGE, "docker.io/library/m365-mcp-server:demo")
    ports = {name: str(free_port()) for name in ("DEMO_PORT", "DEMO_SIGN_IN_PORT", "DEMO_MAILBOX_PORT")}
    project = f"{engine.folder.name}-profile"
    compose = Compose(filled_in / "compose.yaml", {**docker_host, **ports, "COMPOSE_PROJECT_NAME": project})
    try:
        compose("up", "--no-build", "--detach", "--wait", "demo")
        engine.pin_bridges()
        folder = engine.podman("volume", "inspect", "--format", "{{.Mountpoint}}", f"{project}_simulator").strip()
        person = PersonAtBrowser(f"{folder}/ca.pem")
        result = await Assistant(f"http://localhost:{ports['DEMO_PORT']}", person).call("send_mail", MAIL)
        running = set(compose.health())
    finally:
        compose("--profile", "demo", "down", "--volumes", check=False)

    assert not result.is_error, text_of(result)
    assert running == {"demo", "redis", "simulator"}


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("depends_on:", "depends_upon:"),
        ("condition: service_healthy", "condition: healthy"),
        ("- redis:/data", "- other:/data"),
    ],
    ids=["key", "condition", "volume"],
)
def test_planted_mistake_is_refused(filled_in: Path, right: str, wrong: str) -> None:
    """A file with a mistake fails, so the acceptance means something."""
    file = filled_in / "compose.yaml"
    assert right in file.read_text()
    file.write_text(file.read_text().replace(right, wrong))

    assert Compose(file, {})("config", "--quiet", check=False).returncode != 0


def test_settings_of_the_operator_reach_the_server(filled_in: Path) -> None:
    """.env is passed on; store, address and port are the ones inside; the password is the same on both sides."""
    services = Compose(filled_in / "compose.yaml", {}).read()
    server, redis = services["mcp-server"], services["redis"]

    assert set(services) == {"mcp-server", "redis"}
    assert server["environment"]["AZURE_CLIENT_ID"] == "00000000-aaaa-4bbb-8ccc-dddddddddddd"
    assert server["environment"]["REDIS_URL"] == "redis://default:chosen1by2the3operator@redis:6379/0"
    assert redis["environment"] == {"REDISCLI_AUTH": "chosen1by2the3operator"}
    assert [(port["published"], port["target"]) for port in server["ports"]] == [("8000", 8000)]
    assert "ports" not in redis
    assert "chosen1by2the3operator" not in str(redis["command"])
    assert "maxmemory 192mb\nmaxmemory-policy noeviction\n" in str(redis["command"][-1])


def test_every_service_is_confined(filled_in: Path) -> None:
    """No service in either file may write its root file system, have a capability or gain privileges."""
    files = (Compose(filled_in / "compose.yaml", {}), Compose(DEMO, {}))
    services = [service for file in files for service in file.read().values()]

    assert len(services) == 5
    assert all(service["read_only"] for service in services)
    assert all(service["cap_drop"] == ["ALL"] for service in services)
    assert all(service["security_opt"] == ["no-new-privileges:true"] for service in services)
    assert all(service["healthcheck"]["test"] for service in services)


def test_demo_takes_nothing_from_env(filled_in: Path) -> None:
    """Beside a filled-in .env too, the demo's server knows the simulator only, and only loopback reaches the demo."""
    services = Compose(filled_in / DEMO.name, {"AZURE_CLIENT_ID": "real-id"}).read()
    ports = [port for service in services.values() for port in service.get("ports", [])]

    assert "real-id" not in json.dumps(services)
    assert "00000000-aaaa" not in json.dumps(services)
    assert services["mcp-server"]["environment"]["AZURE_AUTHORITY_HOST"] == "https://localhost:8443"
    assert {port["host_ip"] for port in ports} == {"127.0.0.1"}
    assert {port["published"] for port in ports} == {"8000", "8443", "8444"}


def test_plain_file_starts_server_and_redis(engine: Engine, docker_host: dict[str, str], filled_in: Path) -> None:
    """`docker compose up` with a filled-in .env: both run, and the server reaches Redis with its password."""
    engine.podman("tag", IMAGE, "docker.io/library/m365-mcp-server:local")
    port = str(free_port())
    compose = Compose(filled_in / "compose.yaml", {**docker_host, "MCP_PORT": port})
    try:
        compose("up", "--no-build", "--detach")
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: storage_check(url) == "ok", "a server that reaches Redis")
        with httpx2.Client(base_url=url, trust_env=False) as http:
            metadata = http.get("/.well-known/oauth-protected-resource/mcp")
            challenge = http.post("/mcp", json={})
        health = compose.health()
    finally:
        compose("down", "--volumes", check=False)

    assert metadata.json()["resource"] == "http://localhost:8000/mcp"
    assert challenge.status_code == 401
    assert health["redis"] == "healthy"


def storage_check(url: str) -> str:
    """Return what the server says of its store; this tenant does not exist, so the server as a whole is not ready."""
    try:
        return str(httpx2.get(f"{url}/readyz", trust_env=False).json()["checks"]["storage"])
    except httpx2.HTTPError:
        return "no answer"


async def test_demo_signs_in_and_sends_a_mail(demo: Demo, ada: Assistant) -> None:
    """The whole flow works: the browser and the server reach the simulator by the same name."""
    result = await ada.call("send_mail", MAIL)

    assert not result.is_error, text_of(result)
    assert [mail["subject"] for mail in demo.simulator.outbox] == ["From Compose"]
    assert demo.is_healthy()


async def test_redis_keeps_sign_ins_over_a_restart(demo: Demo, ada: Assistant) -> None:
    """After a restart of server and Redis, and with a new Redis container on the old volume, nobody signs in again."""
    assert not (await ada.call("get_my_profile")).is_error

    demo.compose("restart", "redis", "mcp-server")
    await asyncio.to_thread(wait_for, demo.is_healthy, "health after the restart")
    after_restart = await ada.call("get_my_profile")
    demo.compose("up", "--detach", "--no-deps", "--force-recreate", "redis")
    await asyncio.to_thread(wait_for, demo.is_healthy, "health with the new Redis")
    after_new_container = await ada.call("send_mail", MAIL)

    assert not after_restart.is_error, text_of(after_restart)
    assert not after_new_container.is_error, text_of(after_new_container)
    assert ada.sign_ins == 1


def test_redis_refuses_who_has_no_password(demo: Demo) -> None:
    """Redis wants its password, and writes every change to its append-only file."""
    anonymous = demo.compose("exec", "-T", "-e", "REDISCLI_AUTH=", "redis", "redis-cli", "ping", check=False)
    known = demo.compose("exec", "-T", "redis", "redis-cli", "config", "get", "appendonly")

    assert "NOAUTH" in anonymous.stdout + anonymous.stderr
    assert known.stdout.split() == ["appendonly", "yes"]


def test_taking_down_leaves_nothing(engine: Engine, demo: Demo) -> None:
    """`down --volumes` removes containers, networks and volumes, and `up` works again from nothing."""
    demo.compose("down", "--volumes")
    left = [engine.podman(kind, "ls", "-q", "--filter", f"name={engine.folder.name}") for kind in ("network", "volume")]
    left.append(engine.podman("ps", "-aq", "--filter", f"name={engine.folder.name}"))
    demo.up()

    assert left == ["", "", ""]
