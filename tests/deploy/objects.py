"""Finds objects of a build, and the pods among them."""

from __future__ import annotations

from dataclasses import dataclass

from tests.deploy.tools import Document

WORKLOADS = ("Deployment", "StatefulSet")


@dataclass(frozen=True)
class Pod:
    """The pod template of a workload."""

    owner: Document

    @property
    def name(self) -> str:
        return f"{self.owner['kind']} {self.owner['metadata']['name']}"

    @property
    def template(self) -> Document:
        template: Document = self.owner["spec"]["template"]
        return template

    @property
    def spec(self) -> Document:
        spec: Document = self.template["spec"]
        return spec

    @property
    def labels(self) -> dict[str, str]:
        labels: dict[str, str] = self.template["metadata"]["labels"]
        return labels

    @property
    def containers(self) -> list[Document]:
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]

    @property
    def ports(self) -> set[str | int]:
        found = [port for container in self.containers for port in container.get("ports", [])]
        return {port["name"] for port in found} | {port["containerPort"] for port in found}

    @property
    def is_server(self) -> bool:
        return self.labels["app.kubernetes.io/name"] == "mcp-server"


def of_kind(documents: list[Document], *kinds: str) -> list[Document]:
    return [document for document in documents if document["kind"] in kinds]


def names(documents: list[Document], kind: str) -> set[str]:
    return {document["metadata"]["name"] for document in of_kind(documents, kind)}


def pods(documents: list[Document]) -> list[Pod]:
    return [Pod(document) for document in of_kind(documents, *WORKLOADS)]


def selected(documents: list[Document], selector: dict[str, str]) -> list[Pod]:
    return [pod for pod in pods(documents) if selector.items() <= pod.labels.items()]
