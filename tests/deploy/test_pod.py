"""The pod of the Deployment really starts: its security context, limits and settings are enforced by podman."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from tests.deploy.containers import IMAGE, Container, Engine, wait_for
from tests.deploy.objects import of_kind
from tests.deploy.tools import Document, documents
from tests.e2e.programs import free_port

SECRET = {
    "AZURE_CLIENT_ID": "66666666-7777-4888-9999-aaaaaaaaaaaa",
    "AZURE_CLIENT_SECRET": "a~secret",
    "AZURE_TENANT_ID": "11111111-2222-4333-8444-555555555555",
    "JWT_SIGNING_KEY": "k" * 64,
    "REDIS_URL": "memory://",  # instead of the cluster's Redis, which is a pod of its own
}


def playable(port: int) -> list[Document]:
    """Return the server's objects as podman plays them: one replica, no preStop, the local image.

    The container's port is published on loopback.
    """
    found = documents("k8s")
    [config] = [one for one in of_kind(found, "ConfigMap") if one["metadata"]["name"] == "mcp-server-config"]
    [deployment] = of_kind(found, "Deployment")
    deployment["spec"]["replicas"] = 1
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    container.pop("lifecycle")
    container.update(image=IMAGE, imagePullPolicy="Never")
    container["ports"][0].update(hostPort=port, hostIP="127.0.0.1")
    return [config, deployment]


@pytest.fixture(scope="module")
def pod(engine: Engine) -> Iterator[tuple[Container, str]]:
    """The running container of the pod, and its address on this machine."""
    port = free_port()
    manifest = engine.folder / "pod.yaml"
    secret = engine.folder / "secret.json"
    secret.write_text(json.dumps({name: base64.b64encode(value.encode()).decode() for name, value in SECRET.items()}))
    engine.podman("secret", "create", "mcp-server-secret", str(secret))
    manifest.write_text(yaml.safe_dump_all(playable(port)))
    engine.podman("play", "kube", str(manifest))
    names = engine.podman("ps", "--format", "{{.Names}}").split()
    container = Container(engine, next(name for name in names if name.endswith("-mcp-server")))
    yield container, f"http://127.0.0.1:{port}"
    engine.podman("play", "kube", "--down", str(manifest))


def get(url: str, **options: Any) -> int:
    try:
        return httpx2.get(url, trust_env=False, **options).status_code
    except httpx2.HTTPError:
        return 0


def test_pod_starts_with_the_settings_of_its_manifests(pod: tuple[Container, str]) -> None:
    """The server of the pod answers its probes by address and announces the public URL of the ConfigMap."""
    container, url = pod

    wait_for(lambda: get(f"{url}/livez") == 200 or None, f"a live pod\n{container.log}")
    document = httpx2.get(f"{url}/.well-known/oauth-protected-resource/mcp", trust_env=False).json()

    assert document["resource"] == "https://mcp.example.com/mcp"
    assert get(f"{url}/mcp", headers={"Host": "10.1.2.3"}) == 421


def test_k7_pod_is_confined_as_written(pod: tuple[Container, str]) -> None:
    """Its user is not root, its root file system is read-only, it has no capability, and only /tmp takes files."""
    container, url = pod
    wait_for(lambda: get(f"{url}/livez") == 200 or None, "a live pod")

    status = container.execute("cat", "/proc/1/status").stdout

    assert container.execute("id", "-u").stdout.strip() == "10001"
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    assert container.execute("touch", "/opt/x").returncode != 0
    assert container.execute("touch", "/tmp/x").returncode == 0  # noqa: S108 - inside the container
    assert int(container.inspect(".HostConfig.Memory")) == 384 * 1024 * 1024


def test_secret_of_the_tests_is_the_documented_one() -> None:
    """What is put into the Secret here are keys that k8s/README.md names."""
    readme = (Path(__file__).parents[2] / "k8s" / "README.md").read_text()

    assert [name for name in SECRET if f"--from-literal={name}=" not in readme] == []
