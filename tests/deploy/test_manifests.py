"""The manifests build, fit the schemas of a current Kubernetes, and pass the policy checks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.deploy.gateway import mistakes_of_route
from tests.deploy.tools import BUILDS, K8S, ROOT, build, documents, parse, program, run

pytestmark = pytest.mark.deploy

SINGLE_FILES = tuple(sorted(path.name for path in (K8S / "base").glob("*.yaml") if path.name != "kustomization.yaml"))
APPLY_ORDER = ("namespace", "configmap", "redis", "deployment", "service", "ingress")
OTHERWISE_VALIDATED = {("gateway.networking.k8s.io/v1", "HTTPRoute")}


def schema_mistakes(text: str, folder: Path) -> list[str]:
    """Return the lines with which kubernetes-validate objects; it only warns of kinds it does not know."""
    kept = [d for d in parse(text) if (d["apiVersion"], d["kind"]) not in OTHERWISE_VALIDATED]
    file = folder / "documents.json"
    file.write_text("\n---\n".join(json.dumps(document) for document in kept))
    done = run(program("kubernetes-validate"), "--strict", "--quiet", file)
    assert done.returncode == 0 or done.stdout, done.stderr
    return [line for line in done.stdout.splitlines() if line.strip()]


@pytest.mark.parametrize("folder", BUILDS)
def test_kustomize_builds_objects_that_fit_the_schemas(folder: str, tmp_path: Path) -> None:
    """Base and overlays build, and every object has only fields that a current Kubernetes knows, of the right type."""
    assert schema_mistakes(build(folder), tmp_path) == []


@pytest.mark.parametrize("name", SINGLE_FILES)
def test_each_file_can_be_applied_alone(name: str, tmp_path: Path) -> None:
    """The file beside the README is the one of the base, and says its namespace itself."""
    file = K8S / name

    assert file.resolve() == (K8S / "base" / name).resolve()
    assert schema_mistakes(file.read_text(), tmp_path) == []
    for document in parse(file.read_text()):
        assert document["kind"] == "Namespace" or document["metadata"]["namespace"] == "mcp"


def test_base_holds_every_file() -> None:
    """Nothing that lies in the base folder is forgotten by kustomize."""
    assert sorted(parse((K8S / "base/kustomization.yaml").read_text())[0]["resources"]) == list(SINGLE_FILES)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("readOnlyRootFilesystem: true", "readOnlyRootFileSystem: true", id="unknown field"),
        pytest.param("periodSeconds: 10", "periodSeconds: ten", id="wrong type"),
        pytest.param('MCP_PORT: "8000"', "MCP_PORT: 8000", id="number in a ConfigMap"),
        pytest.param("apiVersion: policy/v1\n", "apiVersion: policy/v1beta1\n", id="removed API, only a warning"),
    ],
)
def test_schema_check_finds_a_planted_mistake(before: str, after: str, tmp_path: Path) -> None:
    """What the schemas can see fails, warnings included."""
    text = build("k8s")
    assert before in text

    assert len(schema_mistakes(text.replace(before, after), tmp_path)) >= 1


ROUTES = ("httproute.yaml", "httproute-sub-path.yaml")


@pytest.mark.parametrize("name", ROUTES)
def test_routes_fit_the_gateway_api(name: str) -> None:
    """kubernetes-validate does not know HTTPRoute, so its fields are checked here."""
    (route,) = parse((K8S / "overlays/gateway-api" / name).read_text())

    assert mistakes_of_route(route) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("backendRefs", "backends", id="unknown field"),
        pytest.param("PathPrefix", "Prefix", id="path type of an Ingress"),
        pytest.param("request: 90s", "request: 90", id="duration without unit"),
        pytest.param("port: 8000", "port: http", id="named port"),
        pytest.param("value: /\n", "value: mcp\n", id="path without slash"),
        pytest.param("[mcp.example.com]", "[https://mcp.example.com]", id="URL as host name"),
        pytest.param("name: public", "kind: Gateway", id="missing name"),
    ],
)
def test_route_check_finds_a_planted_mistake(before: str, after: str) -> None:
    """What the Gateway's own schema would refuse fails here too."""
    text = (K8S / "overlays/gateway-api/httproute.yaml").read_text()
    assert before in text

    assert mistakes_of_route(parse(text.replace(before, after))[0])


def failed_policies(folder: Path) -> dict[str, list[str]]:
    """Return the checkov checks that failed, with the objects that failed them."""
    options = ("--framework", "kubernetes", "--skip-download", "--compact", "--quiet", "--output", "json")
    done = run(program("checkov"), "--directory", folder, *options, cwd=folder)
    report = json.loads(done.stdout)
    assert report["summary"]["parsing_errors"] == 0
    assert report["summary"]["resource_count"] > 0
    failed: dict[str, list[str]] = {}
    for check in report["results"]["failed_checks"]:
        failed.setdefault(check["check_id"], []).append(check["resource"])
    return failed


def test_policy_checks_pass(tmp_path: Path) -> None:
    """checkov finds nothing in any build; each exception stands in an annotation with its reason."""
    for folder in BUILDS:
        (tmp_path / f"{Path(folder).name}.yaml").write_text(build(folder))

    assert failed_policies(tmp_path) == {}


@pytest.mark.parametrize(
    ("before", "after", "check"),
    [
        pytest.param("readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "CKV_K8S_22", id="writable root"),
        pytest.param("runAsUser: 10001", "runAsUser: 1", "CKV_K8S_40", id="low user id"),
        pytest.param("allowPrivilegeEscalation: false", "privileged: true", "CKV_K8S_16", id="privileged"),
        pytest.param("livenessProbe:", "notAProbe:", "CKV_K8S_8", id="no liveness probe"),
        pytest.param("CKV_K8S_43=", "CKV_K8S_4=", "CKV_K8S_43", id="exception taken away"),
    ],
)
def test_policy_check_finds_a_planted_mistake(before: str, after: str, check: str, tmp_path: Path) -> None:
    """checkov really looks at these objects."""
    text = build("k8s")
    assert before in text
    (tmp_path / "planted.yaml").write_text(text.replace(before, after))

    assert check in failed_policies(tmp_path)


@pytest.mark.parametrize("folder", BUILDS)
def test_every_exception_says_why(folder: str) -> None:
    """An annotation that switches a policy check off gives its reason."""
    for document in documents(folder):
        for key, value in document["metadata"].get("annotations", {}).items():
            if key.startswith("checkov.io/skip"):
                check, _, reason = value.partition("=")
                assert check.startswith("CKV_"), value
                assert len(reason.split()) >= 6, value


def test_kubectl_builds_the_same() -> None:
    """`kubectl apply -k` sees what the tests see, where a kubectl of today is installed."""
    kubectl = shutil.which("kubectl")
    if kubectl is None or not run(kubectl, "kustomize", ROOT / "k8s").stdout:
        pytest.skip("no kubectl that knows this kustomization")

    for folder in BUILDS:
        assert parse(run(kubectl, "kustomize", ROOT / folder).stdout) == documents(folder)


def test_files_of_the_first_commands_need_nothing_else() -> None:
    """Namespace, settings, Redis, server, Service and Ingress start without the files that came later."""
    from tests.deploy.references import mistakes

    found = [document for name in APPLY_ORDER for document in parse((K8S / f"{name}.yaml").read_text())]

    assert mistakes(found) == []


def test_namespace_refuses_pods_that_are_not_restricted() -> None:
    """Every build enforces the restricted pod security standard on its namespace."""
    for folder in BUILDS:
        (namespace,) = (d for d in documents(folder) if d["kind"] == "Namespace")
        assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
