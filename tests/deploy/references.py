"""What schemas do not see: whether the objects of a build fit each other and the server.

Each rule takes all objects and yields sentences about what is wrong. `mistakes` runs them all.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from typing import Any

from m365_mcp.settings import Settings
from m365_mcp.web.serving import DRAIN_SECONDS
from tests.deploy.objects import WORKLOADS, Pod, names, of_kind, pods, selected
from tests.deploy.tools import K8S, ROOT, Document

SETTINGS = {name.upper() for name in Settings.model_fields}
NOT_SETTINGS = {"REDIS_PASSWORD", "REDISCLI_AUTH"}  # of Redis itself
SECRET = "mcp-server-secret"


def selectors_match_pods(documents: list[Document]) -> Iterator[str]:
    for workload in of_kind(documents, *WORKLOADS):
        if not workload["spec"]["selector"]["matchLabels"].items() <= Pod(workload).labels.items():
            yield f"{Pod(workload).name} selects other pods than its own."
        for spread in Pod(workload).spec.get("topologySpreadConstraints", []):
            if not spread["labelSelector"]["matchLabels"].items() <= Pod(workload).labels.items():
                yield f"{Pod(workload).name} spreads other pods than its own."
    for service in of_kind(documents, "Service"):
        if not selected(documents, service["spec"]["selector"]):
            yield f"Service {service['metadata']['name']} selects no pod."
    for budget in of_kind(documents, "PodDisruptionBudget"):
        if not selected(documents, budget["spec"]["selector"]["matchLabels"]):
            yield f"PodDisruptionBudget {budget['metadata']['name']} selects no pod."


def policies_match_pods(documents: list[Document]) -> Iterator[str]:
    for policy in of_kind(documents, "NetworkPolicy"):
        spec, name = policy["spec"], f"NetworkPolicy {policy['metadata']['name']}"
        mine = selected(documents, spec["podSelector"].get("matchLabels", {}))
        if not mine:
            yield f"{name} selects no pod."
        for rule in spec.get("ingress", []):
            yield from _unknown_ports(name, rule, mine)
        for rule in spec.get("egress", []):
            for peer in rule.get("to", []):
                if "podSelector" in peer and "namespaceSelector" not in peer:
                    theirs = selected(documents, peer["podSelector"]["matchLabels"])
                    if not theirs:
                        yield f"{name} lets out to no pod."
                    yield from _unknown_ports(name, rule, theirs)
        for rule in spec.get("ingress", []):
            for peer in rule.get("from", []):
                if "podSelector" in peer and not selected(documents, peer["podSelector"]["matchLabels"]):
                    yield f"{name} lets no pod in."


def _unknown_ports(name: str, rule: Document, targets: list[Pod]) -> Iterator[str]:
    known = {port for pod in targets for port in pod.ports}
    for port in rule.get("ports", []):
        if targets and port["port"] not in known:
            yield f"{name} names port {port['port']}, which no container has."


def ports_exist(documents: list[Document]) -> Iterator[str]:
    for service in of_kind(documents, "Service"):
        known = {port for pod in selected(documents, service["spec"]["selector"]) for port in pod.ports}
        for port in service["spec"]["ports"]:
            if port["targetPort"] not in known:
                name = service["metadata"]["name"]
                yield f"Service {name} targets port {port['targetPort']}, which no container has."
    for pod in pods(documents):
        scraped = pod.template["metadata"].get("annotations", {}).get("prometheus.io/port")
        if scraped is not None and int(scraped) not in pod.ports:
            yield f"{pod.name} is scraped at port {scraped}, which no container has."
        for container in pod.containers:
            known = {port[key] for port in container.get("ports", []) for key in ("name", "containerPort")}
            for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
                probe = container.get(kind, {})
                port = (probe.get("httpGet") or probe.get("tcpSocket") or {}).get("port")
                if port is not None and port not in known:
                    yield f"{kind} of {pod.name} asks port {port}, which the container has not."


def server_ports_are_the_settings(documents: list[Document]) -> Iterator[str]:
    for config in of_kind(documents, "ConfigMap"):
        for pod in pods(documents):
            if config["metadata"]["name"] == "mcp-server-config" and pod.is_server:
                for key in ("MCP_PORT", "MCP_METRICS_PORT"):
                    if int(config["data"][key]) not in pod.ports:
                        yield f"{key} is {config['data'][key]}, which no container of {pod.name} has."


def probes_are_the_servers(documents: list[Document]) -> Iterator[str]:
    wanted = {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}
    for pod in pods(documents):
        for container in pod.spec["containers"]:
            for kind, path in wanted.items():
                probe = container.get(kind)
                if probe is None:
                    yield f"{pod.name} has no {kind}."
                elif pod.is_server and probe["httpGet"]["path"] != path:
                    yield f"{kind} of {pod.name} asks {probe['httpGet']['path']} instead of {path}."


def configured_names_are_settings(documents: list[Document]) -> Iterator[str]:
    for kind in ("ConfigMap", "Secret"):
        for document in of_kind(documents, kind):
            if document["metadata"]["name"].startswith("mcp-server"):
                for key in (document.get("data") or {}).keys() - SETTINGS - NOT_SETTINGS:
                    yield f"{kind} {document['metadata']['name']} sets {key}, which is no setting."
    for pod in pods(documents):
        for container in pod.containers:
            for variable in container.get("env", []):
                if variable["name"] not in SETTINGS | NOT_SETTINGS:
                    yield f"{pod.name} sets {variable['name']}, which is no setting."


def documented_secret_keys() -> set[str]:
    """Return the keys that the commands in the README create."""
    return set(re.findall(r"--from-literal=([A-Z_]+)=", (K8S / "README.md").read_text()))


def secret_keys_exist(documents: list[Document]) -> Iterator[str]:
    for key in documented_secret_keys() - SETTINGS - NOT_SETTINGS:
        yield f"The README puts {key} into the Secret, which is no setting."
    for pod in pods(documents):
        for container in pod.containers:
            references = [v["valueFrom"]["secretKeyRef"] for v in container.get("env", []) if "valueFrom" in v]
            references += [source["secretRef"] for source in container.get("envFrom", []) if "secretRef" in source]
            for reference in references:
                if reference["name"] != SECRET:
                    yield f"{pod.name} reads Secret {reference['name']}, which nobody creates."
                if reference.get("key", "AZURE_CLIENT_ID") not in documented_secret_keys():
                    yield f"{pod.name} reads key {reference['key']}, which the README does not create."


def targets_exist(documents: list[Document]) -> Iterator[str]:
    services = {document["metadata"]["name"]: document for document in of_kind(documents, "Service")}
    for kind, name, port in _backends(documents):
        known = services.get(name, {}).get("spec", {}).get("ports", [])
        if not any(port in (entry["name"], entry["port"]) for entry in known):
            yield f"{kind} sends to port {port} of Service {name}, which does not exist."
    for scaler in of_kind(documents, "HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]
        if target["name"] not in names(documents, target["kind"]):
            yield f"HorizontalPodAutoscaler scales {target['kind']} {target['name']}, which does not exist."
    for pod in pods(documents):
        account = pod.spec.get("serviceAccountName")
        if account is not None and account not in names(documents, "ServiceAccount"):
            yield f"{pod.name} runs as ServiceAccount {account}, which does not exist."
        governing = pod.owner["spec"].get("serviceName")
        if governing is not None and governing not in services:
            yield f"{pod.name} is governed by Service {governing}, which does not exist."
        for name in _config_maps(pod):
            if name not in names(documents, "ConfigMap"):
                yield f"{pod.name} reads ConfigMap {name}, which does not exist."


def _backends(documents: list[Document]) -> Iterator[tuple[str, str, Any]]:
    for ingress in of_kind(documents, "Ingress"):
        for rule in ingress["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                service = path["backend"]["service"]
                yield "Ingress", service["name"], service["port"].get("name", service["port"].get("number"))
    for route in of_kind(documents, "HTTPRoute"):
        for rule in route["spec"]["rules"]:
            for backend in rule["backendRefs"]:
                yield "HTTPRoute", backend["name"], backend["port"]


def _config_maps(pod: Pod) -> Iterator[str]:
    for container in pod.containers:
        for source in container.get("envFrom", []):
            if "configMapRef" in source:
                yield source["configMapRef"]["name"]
    for volume in pod.spec.get("volumes", []):
        if "configMap" in volume:
            yield volume["configMap"]["name"]


def ways_in_are_let_in(documents: list[Document]) -> Iterator[str]:
    policies = {policy["metadata"]["name"]: policy for policy in of_kind(documents, "NetworkPolicy")}
    for route in of_kind(documents, "HTTPRoute"):
        admitted = str(policies["mcp-server-in"]["spec"]["ingress"])
        for parent in route["spec"]["parentRefs"]:
            if parent["namespace"] not in admitted:
                yield f"No NetworkPolicy lets namespace {parent['namespace']} of the Gateway in."


def volumes_are_mounted(documents: list[Document]) -> Iterator[str]:
    for pod in pods(documents):
        known = {volume["name"] for volume in pod.spec.get("volumes", [])}
        known |= {claim["metadata"]["name"] for claim in pod.owner["spec"].get("volumeClaimTemplates", [])}
        used = set()
        for container in pod.containers:
            mounts = container.get("volumeMounts", [])
            used |= {mount["name"] for mount in mounts}
            if len({mount["mountPath"] for mount in mounts}) < len(mounts):
                yield f"{pod.name} mounts two volumes at one path."
        for name in used ^ known:
            yield f"{pod.name} mounts volume {name} without having it, or has it without mounting it."


def pods_may_drain(documents: list[Document]) -> Iterator[str]:
    for pod in pods(documents):
        for container in pod.spec["containers"]:
            if pod.is_server:
                pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
                if pod.spec["terminationGracePeriodSeconds"] < pause + DRAIN_SECONDS:
                    yield f"{pod.name} is killed before it has drained."
                if pause < container["readinessProbe"]["periodSeconds"]:
                    yield f"{pod.name} stops before anybody can have noticed."


def pods_are_closed(documents: list[Document]) -> Iterator[str]:
    for pod in pods(documents):
        for name in ("automountServiceAccountToken", "enableServiceLinks"):
            if pod.spec.get(name) is not False:
                yield f"{pod.name} does not switch {name} off."
        if pod.spec["securityContext"].get("runAsNonRoot") is not True or not pod.spec["securityContext"]["runAsUser"]:
            yield f"{pod.name} may run as root."


def images_are_fixed(documents: list[Document]) -> Iterator[str]:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for pod in pods(documents):
        tries_out = any(container["name"] == "simulator" for container in pod.containers)
        wanted = f"{version}-demo" if tries_out else version  # only the demo's image holds a simulator
        for container in pod.containers:
            tag = container["image"].rpartition("/")[2].partition(":")[2]
            if tag in ("", "latest"):
                yield f"{pod.name} runs an image that may change: {container['image']}."
            elif pod.is_server and tag != wanted:
                yield f"{pod.name} runs version {tag}, and this is {wanted}."


def one_namespace(documents: list[Document]) -> Iterator[str]:
    (namespace,) = names(documents, "Namespace")
    for document in documents:
        if document["kind"] != "Namespace" and document["metadata"]["namespace"] != namespace:
            yield f"{document['kind']} {document['metadata']['name']} is outside of namespace {namespace}."


Rule = Callable[[list[Document]], Iterator[str]]
RULES: tuple[Rule, ...] = (
    selectors_match_pods,
    policies_match_pods,
    ports_exist,
    server_ports_are_the_settings,
    probes_are_the_servers,
    configured_names_are_settings,
    secret_keys_exist,
    targets_exist,
    ways_in_are_let_in,
    volumes_are_mounted,
    pods_may_drain,
    pods_are_closed,
    images_are_fixed,
    one_namespace,
)


def mistakes(documents: list[Document]) -> list[str]:
    """Return everything that is wrong with the objects, by rules and by values."""
    from tests.deploy.values import VALUE_RULES

    return [sentence for rule in (*RULES, *VALUE_RULES) for sentence in rule(documents)]
