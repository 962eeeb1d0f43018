"""The chart renders the objects of the kustomize builds, and refuses values that are wrong."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from m365_mcp.settings import Settings
from tests.deploy.chart import CHART, files_of, lint_messages, objects_of, refusal_of
from tests.deploy.gateway import mistakes_of_route
from tests.deploy.objects import of_kind
from tests.deploy.references import mistakes
from tests.deploy.test_manifests import failed_policies, schema_mistakes
from tests.deploy.tools import ROOT, Document, documents

pytestmark = pytest.mark.deploy

CLIENT_ID = "00000000-0000-0000-0000-000000000000"
SUB_PATH = "https://mcp.example.com/mcp-o365"
BUILDS: dict[str, tuple[dict[str, Any], str]] = {
    "base": ({}, "k8s"),
    "sub-path": ({"publicUrl": SUB_PATH}, "k8s/overlays/sub-path"),
    "gateway-api": ({"exposure": "gateway"}, "k8s/overlays/gateway-api"),
    "external-redis": ({"redis": {"enabled": False}}, "k8s/overlays/external-redis"),
    "workload-identity": ({"workloadIdentity": {"clientId": CLIENT_ID}}, "k8s/overlays/workload-identity"),
}
OF_HELM = {"app.kubernetes.io/managed-by", "helm.sh/chart"}


def key(document: Document) -> str:
    return f"{document['kind']} {document['metadata']['name']}"


def without_differences(found: list[Document]) -> dict[str, Document]:
    """Take away what the chart's README lists under "Differences", and return the objects by kind and name."""
    for document in found:
        metadata = document["metadata"]
        metadata["labels"] = {k: v for k, v in metadata["labels"].items() if k not in OF_HELM}
        notes = metadata.get("annotations", {})
        notes.update({k: v.partition("=")[0] for k, v in notes.items() if k.startswith("checkov.io/")})
        if document["kind"] == "Deployment":
            document["spec"]["template"]["metadata"]["annotations"].pop("checksum/config", None)
    return {key(document): document for document in found if document["kind"] != "Namespace"}


@pytest.mark.parametrize("name", BUILDS)
def test_chart_renders_the_objects_of_the_kustomize_build(name: str) -> None:
    """Base and overlays are the same in both ways to install, but for what the README lists."""
    values, folder = BUILDS[name]

    assert without_differences(objects_of(values)) == without_differences(documents(folder))


def test_route_for_a_sub_path_is_that_of_the_overlay() -> None:
    """A path on a shared host behind a Gateway has the HTTPRoute of the overlay's second file."""
    text = (ROOT / "k8s/overlays/gateway-api/httproute-sub-path.yaml").read_text()
    (route,) = of_kind(objects_of({"exposure": "gateway", "publicUrl": SUB_PATH}), "HTTPRoute")

    assert mistakes_of_route(route) == []
    assert without_differences([route]) == without_differences([yaml.safe_load(text)])


@pytest.mark.parametrize("name", BUILDS)
def test_objects_pass_the_checks_of_the_manifests(name: str, tmp_path: Path) -> None:
    """Schemas, policies and references are right; the namespace is the release's and no object of the chart."""
    found = objects_of(BUILDS[name][0])
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "mcp", "labels": {}}}
    text = yaml.safe_dump_all(found)
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "chart.yaml").write_text(text)

    assert mistakes([namespace, *found]) == []
    assert schema_mistakes(text, tmp_path) == []
    assert failed_policies(tmp_path / "policies") == {}


@pytest.mark.parametrize("digest", ["", f"sha256:{'0' * 64}"])
def test_image_has_a_tag_or_a_digest(digest: str) -> None:
    """A digest takes the place of the tag, and Secrets for the registry are named."""
    found = objects_of({"image": {"digest": digest, "pullSecrets": ["registry"]}})
    pod = of_kind(found, "Deployment")[0]["spec"]["template"]["spec"]

    assert pod["containers"][0]["image"].endswith(f"@{digest}" if digest else ":0.1.0")
    assert pod["imagePullSecrets"] == [{"name": "registry"}]


def test_values_choose_who_reaches_the_server() -> None:
    """Subnets and namespaces of the values are let in, and nobody without a way in."""
    values = {"clientBlocks": ["10.1.0.0/16"], "clientNamespaces": ["edge"]}
    (chosen,) = (d for d in objects_of({"networkPolicies": values}) if key(d) == "NetworkPolicy mcp-server-in")
    closed = objects_of({"exposure": "none"})

    assert chosen["spec"]["ingress"][0]["from"][0] == {"ipBlock": {"cidr": "10.1.0.0/16"}}
    assert "edge" in str(chosen["spec"]["ingress"][0]["from"][1])
    assert not of_kind(closed, "Ingress", "HTTPRoute")
    assert [d for d in closed if "8000" in str(d.get("spec", {}).get("ingress"))] == []
    assert of_kind(objects_of({"networkPolicies": {"enabled": False}}), "NetworkPolicy") == []


def test_changed_settings_replace_the_pods() -> None:
    """The pods carry a checksum of the settings, so an upgrade that changes one starts new pods."""
    before, after = (
        of_kind(objects_of({"settings": {"MCP_LOG_LEVEL": level}}), "Deployment")[0] for level in ("info", "debug")
    )

    assert before["spec"]["template"] != after["spec"]["template"]


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "unknown value": ({"replicas": 3}, "additional properties 'replicas' not allowed"),
    "unknown inner value": ({"image": {"name": "x"}}, "additional properties 'name' not allowed"),
    "secret": ({"settings": {"AZURE_CLIENT_SECRET": "x"}}, "invalid propertyName 'AZURE_CLIENT_SECRET'"),
    "setting of the chart": ({"settings": {"MCP_PORT": "9000"}}, "invalid propertyName 'MCP_PORT'"),
    "number as setting": ({"settings": {"MCP_SESSION_HOURS": 24}}, "got number, want string"),
    "plain http": ({"publicUrl": "http://mcp.example.com"}, "/publicUrl"),
    "endpoint as URL": ({"publicUrl": "https://mcp.example.com/mcp"}, "/publicUrl"),
    "moving tag": ({"image": {"tag": "latest"}}, "/image/tag"),
    "way in": ({"exposure": "loadbalancer"}, "value must be one of 'ingress', 'gateway', 'none'"),
    "quantity": ({"resources": {"limits": {"memory": "384MB"}}}, "/resources/limits/memory"),
    "client id": ({"workloadIdentity": {"clientId": "me"}}, "/workloadIdentity/clientId"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_values_are_refused(name: str) -> None:
    """Helm installs nothing with a value that is unknown or of the wrong form, and names it."""
    values, words = WRONG[name]

    assert words in refusal_of(values)


def schema() -> dict[str, Any]:
    return dict(json.loads((CHART / "values.schema.json").read_text()))


def test_secrets_and_the_charts_own_settings_are_no_values() -> None:
    """The schema refuses every setting that is a secret, and each that the chart sets itself."""
    secret = {name.upper() for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
    (config,) = (d for d in objects_of({}) if key(d) == "ConfigMap mcp-server-config")
    own = config["data"].keys() - yaml.safe_load((CHART / "values.yaml").read_text())["settings"].keys()

    assert set(schema()["properties"]["settings"]["propertyNames"]["not"]["enum"]) == secret | own | {"REDIS_PASSWORD"}


def described(part: dict[str, Any], path: str = "") -> dict[str, str]:
    """Return the descriptions of all values by their paths; a reference to a definition is followed."""
    part = {**schema()["definitions"].get(part.get("$ref", "").rpartition("/")[2], {}), **part}
    found = {path: part["description"]} if path else {}
    for name, inner in part.get("properties", {}).items():
        found |= described(inner, f"{path}.{name}".strip("."))
    return found


def test_readme_lists_every_value_with_its_default() -> None:
    """The table of the chart's README is the schema and values.yaml, and schema and values have the same names."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    rows = re.findall(r"^\| `([A-Za-z.]+)` \| `(.*)` \| (.*) \|$", (CHART / "README.md").read_text(), re.MULTILINE)
    leaves = {}
    for path, words in described(schema()).items():
        value: Any = values
        for name in path.split("."):
            value = value[name] if path != "global" else None
        if path != "global" and (path == "settings" or not isinstance(value, dict)):
            leaves[path] = (json.dumps(value, ensure_ascii=False) if path != "settings" else "{…}", words)

    assert {name: (default, words) for name, default, words in rows} == leaves


def test_versions_are_those_of_the_project() -> None:
    """Chart and image have the version of pyproject.toml."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())

    assert (chart["version"], chart["appVersion"]) == (version, version)


def test_notes_name_the_next_commands() -> None:
    """After the installation Helm prints how to examine it, and what to register at Entra."""
    notes = files_of({"publicUrl": SUB_PATH})["NOTES.txt"]

    assert "-- m365-mcp doctor" in notes
    assert f"m365-mcp doctor --url {SUB_PATH}" in notes
    assert f"{SUB_PATH}/auth/callback" in notes


def test_helm_lint_finds_nothing() -> None:
    """`helm lint --strict` has no warning."""
    assert lint_messages() == []
