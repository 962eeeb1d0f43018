"""The objects of every build fit each other and the server; a planted mistake of each kind is found."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from m365_mcp import settings
from m365_simulator import app as simulator
from m365_simulator.certificate import write_certificates
from tests.deploy.objects import Pod, of_kind
from tests.deploy.references import documented_secret_keys, mistakes
from tests.deploy.tools import BUILDS, K8S, Document, documents, parse

pytestmark = pytest.mark.deploy

SAMPLES = {
    "AZURE_TENANT_ID": "11111111-2222-4333-8444-555555555555",
    "AZURE_CLIENT_ID": "66666666-7777-4888-9999-aaaaaaaaaaaa",
    "AZURE_CLIENT_SECRET": "sample~secret",
    "JWT_SIGNING_KEY": "0123456789abcdef" * 4,
    "STORAGE_ENCRYPTION_KEY": base64.urlsafe_b64encode(bytes(32)).decode(),
    "REDIS_PASSWORD": "0123456789abcdef",
    "REDIS_URL": "rediss://:access%2Fkey@name.region.redis.example.net:10000/0",
}


def one(found: list[Document], kind: str, name: str = "mcp-server") -> Document:
    (document,) = (d for d in of_kind(found, kind) if d["metadata"]["name"] == name)
    return document


def server(found: list[Document]) -> Document:
    """Return the server's container."""
    container: Document
    (container,) = Pod(one(found, "Deployment")).spec["containers"]
    return container


@pytest.mark.parametrize("folder", BUILDS)
def test_objects_fit_each_other(folder: str) -> None:
    """Selectors, ports, settings, secret keys, backends, volumes, quantities and words are right in every build."""
    assert mistakes(documents(folder)) == []


Plant = Callable[[list[Document]], Any]


def policy(found: list[Document], name: str = "mcp-server-in") -> Document:
    spec: Document = one(found, "NetworkPolicy", name)["spec"]
    return spec


def config(found: list[Document]) -> Document:
    data: Document = one(found, "ConfigMap", "mcp-server-config")["data"]
    return data


def pod(found: list[Document]) -> Document:
    spec: Document = one(found, "Deployment")["spec"]["template"]["spec"]
    return spec


WRONG = {"app.kubernetes.io/name": "mcp"}
PLANTED: dict[str, tuple[Plant, str]] = {
    "service selector": (lambda d: one(d, "Service")["spec"]["selector"].update(WRONG), "selects no pod"),
    "deployment selector": (
        lambda d: one(d, "Deployment")["spec"]["selector"]["matchLabels"].update(WRONG),
        "selects other pods",
    ),
    "spread selector": (
        lambda d: pod(d)["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"].update(WRONG),
        "spreads other pods",
    ),
    "budget selector": (
        lambda d: one(d, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"].update(WRONG),
        "PodDisruptionBudget mcp-server selects no pod",
    ),
    "policy selector": (
        lambda d: policy(d)["podSelector"]["matchLabels"].update(WRONG),
        "mcp-server-in selects no pod",
    ),
    "policy port": (lambda d: policy(d)["ingress"][0]["ports"][0].update(port=8080), "names port 8080"),
    "policy peer": (
        lambda d: policy(d, "mcp-server-out-redis")["egress"][0]["to"][0]["podSelector"]["matchLabels"].update(WRONG),
        "lets out to no pod",
    ),
    "policy of redis": (
        lambda d: policy(d, "redis")["ingress"][0]["from"][0]["podSelector"]["matchLabels"].update(WRONG),
        "lets no pod in",
    ),
    "service port": (lambda d: one(d, "Service")["spec"]["ports"][0].update(targetPort="web"), "targets port web"),
    "probe port": (lambda d: server(d)["readinessProbe"]["httpGet"].update(port="web"), "asks port web"),
    "probe path": (lambda d: server(d)["readinessProbe"]["httpGet"].update(path="/healthz"), "instead of /readyz"),
    "probe missing": (lambda d: server(d).pop("startupProbe"), "has no startupProbe"),
    "port setting": (lambda d: config(d).update(MCP_PORT="8080"), "MCP_PORT is 8080"),
    "scraped port": (
        lambda d: one(d, "Deployment")["spec"]["template"]["metadata"]["annotations"].update(
            {"prometheus.io/port": "9091"}
        ),
        "scraped at port 9091",
    ),
    "config key": (lambda d: config(d).update(MCP_BASE_URL="x"), "sets MCP_BASE_URL"),
    "variable": (lambda d: server(d).update(env=[{"name": "LOG_LEVEL", "value": "info"}]), "sets LOG_LEVEL"),
    "secret key": (
        lambda d: server(d).update(
            env=[{"name": "REDIS_URL", "valueFrom": {"secretKeyRef": {"name": "mcp-server-secret", "key": "REDIS"}}}]
        ),
        "reads key REDIS,",
    ),
    "secret name": (lambda d: server(d)["envFrom"][1]["secretRef"].update(name="mcp-secret"), "Secret mcp-secret"),
    "config name": (lambda d: server(d)["envFrom"][0]["configMapRef"].update(name="mcp"), "reads ConfigMap mcp,"),
    "ingress backend": (
        lambda d: one(d, "Ingress")["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"].update(name="mcp"),
        "of Service mcp, which does not exist",
    ),
    "scale target": (
        lambda d: one(d, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"].update(name="mcp"),
        "scales Deployment mcp,",
    ),
    "service account": (lambda d: pod(d).update(serviceAccountName="mcp"), "ServiceAccount mcp,"),
    "governing service": (
        lambda d: one(d, "StatefulSet", "redis")["spec"].update(serviceName="cache"),
        "governed by Service cache",
    ),
    "mount without volume": (lambda d: pod(d)["volumes"].clear(), "mounts volume tmp"),
    "grace period": (lambda d: pod(d).update(terminationGracePeriodSeconds=39), "killed before"),
    "pause": (lambda d: server(d)["lifecycle"]["preStop"]["sleep"].update(seconds=1), "stops before"),
    "token mount": (lambda d: pod(d).update(automountServiceAccountToken=True), "automountServiceAccountToken"),
    "root": (lambda d: pod(d)["securityContext"].update(runAsNonRoot=False), "may run as root"),
    "service links": (lambda d: pod(d).pop("enableServiceLinks"), "enableServiceLinks"),
    "latest": (lambda d: server(d).update(image="registry.example.com/m365-mcp-server:latest"), "may change"),
    "no tag": (lambda d: server(d).update(image="registry.example.com:5000/m365-mcp-server"), "may change"),
    "old version": (lambda d: server(d).update(image="registry.example.com/m365-mcp-server:0.0.9"), "version 0.0.9"),
    "demo's image": (lambda d: server(d).update(image=f"{server(d)['image']}-demo"), "-demo, and this is"),
    "namespace": (lambda d: one(d, "Service")["metadata"].update(namespace="default"), "outside of namespace"),
    "quantity": (lambda d: server(d)["resources"]["limits"].update(memory="384MB"), "384MB is no quantity"),
    "request": (lambda d: server(d)["resources"]["requests"].update(memory="1Gi"), "asks for more memory"),
    "size": (lambda d: pod(d)["volumes"][0]["emptyDir"].update(sizeLimit="64MiB"), "64MiB is no quantity"),
    "word": (lambda d: server(d).update(imagePullPolicy="Sometimes"), "Sometimes is not one of"),
    "word in a list": (lambda d: policy(d).update(policyTypes=["Inbound"]), "Inbound is not one of"),
    "type": (lambda d: pod(d)["securityContext"]["seccompProfile"].update(type="Default"), "Default is not one of"),
    "name": (lambda d: one(d, "Service")["metadata"].update(name="MCP_Server"), "no name for an object"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_mistake_is_found(name: str) -> None:
    """Each rule finds the mistake that it is there for."""
    plant, sentence = PLANTED[name]
    found = documents("k8s")

    plant(found)

    assert [line for line in mistakes(found) if sentence in line]


def test_gateway_that_is_not_let_in_is_found() -> None:
    """An HTTPRoute on a Gateway in a namespace that no NetworkPolicy knows is a mistake."""
    found = documents("k8s/overlays/gateway-api")

    one(found, "HTTPRoute")["spec"]["parentRefs"][0]["namespace"] = "edge"

    assert mistakes(found) == ["No NetworkPolicy lets namespace edge of the Gateway in."]


@pytest.mark.parametrize("folder", BUILDS)
def test_server_accepts_its_settings(folder: str, tmp_path: Path) -> None:
    """The server's own settings class reads ConfigMap and Secret, the Secret winning, and finds no mistake."""
    found = documents(folder)
    values = dict(config(found))
    for secret in of_kind(found, "Secret"):
        values |= {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}
    if not of_kind(found, "Secret"):
        values |= SAMPLES
    if "SSL_CERT_FILE" in values:
        assert values["SSL_CERT_FILE"] == "/simulator/ca.pem"
        values["SSL_CERT_FILE"] = str(write_certificates(tmp_path).ca)

    chosen = settings.load(**{key.lower(): value for key, value in values.items()}, _env_file=None)

    assert chosen.mcp_server_base_url == values["MCP_SERVER_BASE_URL"]
    assert chosen.redis_url == values["REDIS_URL"]


def test_secret_of_the_first_commands_is_enough() -> None:
    """Three keys make a working Secret; the ConfigMap's Redis URL then has no password, as Redis has none."""
    values = {**config(documents("k8s")), **{key: SAMPLES[key] for key in SAMPLES if key.startswith("AZURE_")}}

    chosen = settings.load(**{key.lower(): value for key, value in values.items()}, _env_file=None)

    assert chosen.redis_url == "redis://redis:6379/0"
    (variable,) = Pod(one(documents("k8s"), "StatefulSet", "redis")).spec["containers"][0]["env"]
    assert variable["valueFrom"]["secretKeyRef"]["optional"] is True


def test_readme_documents_every_key() -> None:
    """The command in the README makes exactly the keys that the samples here have."""
    assert documented_secret_keys() == set(SAMPLES)


def test_hosts_are_samples() -> None:
    """Every address is a sample that nobody can own, or on loopback; and no Secret is committed."""
    for file in (path for path in K8S.rglob("*") if path.is_file()):
        text = file.read_text()
        for host in re.findall(r"https?://([^/:\s>`)]+)", text):
            assert host in ("mcp.example.com", "mcp.example.net", "localhost"), file
        for image in re.findall(r"image: (\S+)", text):
            assert image.startswith(("registry.example.com/", "redis:")), file
        assert "kind: Secret\n" not in text, file


def test_external_redis_leaves_no_redis_behind() -> None:
    """The overlay has no Redis, cannot start without a URL, and may reach port 10000 and the nodes of a cluster."""
    found = documents("k8s/overlays/external-redis")

    assert "REDIS_URL" not in config(found)
    assert "redis" not in {document["metadata"]["name"] for document in found}
    (variable,) = server(found)["env"]
    assert variable == {
        "name": "REDIS_URL",
        "valueFrom": {"secretKeyRef": {"name": "mcp-server-secret", "key": "REDIS_URL"}},
    }
    assert policy(found, "mcp-server-out-redis")["egress"][0]["ports"] == [
        {"protocol": "TCP", "port": 10000},
        {"protocol": "TCP", "port": 8500, "endPort": 8599},
    ]


def test_workload_identity_is_switched_on() -> None:
    """Annotation and label are where the webhook looks for them, and no client secret is asked for."""
    found = documents("k8s/overlays/workload-identity")

    assert one(found, "ServiceAccount")["metadata"]["annotations"].keys() == {"azure.workload.identity/client-id"}
    assert Pod(one(found, "Deployment")).labels["azure.workload.identity/use"] == "true"
    assert [variable["name"] for variable in server(found)["env"]] == ["JWT_SIGNING_KEY"]


def test_https_goes_out_but_not_to_the_platform() -> None:
    """Instance metadata and Azure's platform address are out of reach in every build that lets HTTPS out."""
    for folder in BUILDS:
        for document in of_kind(documents(folder), "NetworkPolicy"):
            for rule in document["spec"].get("egress", []):
                for peer in rule["to"]:
                    if "ipBlock" in peer:
                        assert set(peer["ipBlock"]["except"]) == {"169.254.169.254/32", "168.63.129.16/32"}


def test_everything_is_denied_first() -> None:
    """Every build has a policy for all pods that lets nothing in and nothing out."""
    for folder in BUILDS:
        assert policy(documents(folder), "default-deny") == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_two_pods_at_least() -> None:
    """Both ways to apply give two pods or more, and an update takes none away."""
    (plain,) = (d for d in parse((K8S / "deployment.yaml").read_text()) if d["kind"] == "Deployment")
    found = documents("k8s")

    assert plain["spec"]["replicas"] >= 2
    assert "replicas" not in one(found, "Deployment")["spec"]
    assert one(found, "HorizontalPodAutoscaler")["spec"]["minReplicas"] >= 2
    assert plain["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_simulator_overlay_uses_the_simulators_samples() -> None:
    """Secret, addresses and files of the overlay are those of the simulator, and nobody comes in from outside."""
    found = documents("k8s/overlays/simulator")
    secret = {key: base64.b64decode(v).decode() for key, v in one(found, "Secret", "mcp-server-secret")["data"].items()}
    (sidecar,) = pod(found)["initContainers"]

    assert secret == {
        "AZURE_TENANT_ID": simulator.TENANT_ID,
        "AZURE_CLIENT_ID": simulator.CLIENT_ID,
        "AZURE_CLIENT_SECRET": simulator.CLIENT_SECRET,
    }
    assert f"{config(found)['MCP_SERVER_BASE_URL']}/auth/callback" in simulator.REDIRECT_URIS
    assert sidecar["restartPolicy"] == "Always"
    assert sidecar["image"] == server(found)["image"]
    assert one(found, "Deployment")["spec"]["replicas"] == 1
    assert not of_kind(found, "Ingress", "HTTPRoute", "HorizontalPodAutoscaler")
    assert {d["metadata"]["namespace"] for d in found if d["kind"] != "Namespace"} == {"mcp-tryout"}
