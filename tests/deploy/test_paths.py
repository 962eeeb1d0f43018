"""Under a sub-path, each request reaches the server with the path that the server expects."""

from __future__ import annotations

import re

import pytest

from tests.deploy.objects import of_kind
from tests.deploy.tools import K8S, Document, documents, parse

pytestmark = pytest.mark.deploy

NGINX = "nginx.ingress.kubernetes.io"
REWRITTEN = {
    "/.well-known/oauth-protected-resource/mcp-o365/mcp": "/.well-known/oauth-protected-resource/mcp-o365/mcp",
    "/.well-known/oauth-protected-resource/mcp-o365": "/.well-known/oauth-protected-resource/mcp-o365",
    "/.well-known/oauth-authorization-server/mcp-o365": "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration/mcp-o365": "/.well-known/openid-configuration",
    "/mcp-o365": "/",
    "/mcp-o365/mcp": "/mcp",
    "/mcp-o365/authorize": "/authorize",
    "/mcp-o365/token": "/token",
    "/mcp-o365/register": "/register",
    "/mcp-o365/consent": "/consent",
    "/mcp-o365/auth/callback": "/auth/callback",
}
OTHERS = (
    "/",
    "/mcp",
    "/register",
    "/mcp-o365-test/mcp",
    "/x/mcp-o365/mcp",
    "/.well-known/oauth-protected-resource/mcp",
    "/.well-known/oauth-protected-resource/mcp-o365-test/mcp",
    "/.well-known/oauth-authorization-server",
    "/.well-known/oauth-authorization-server/mcp-o365-test",
)


def through_nginx(found: list[Document], asked: str) -> str | None:
    """Return the path that reaches the server, or None: the way ingress-nginx does it.

    With a rewrite on the host all its paths are regular expressions, anchored at the beginning, without regard to case,
    and the longest is tried first; the rewrite replaces the whole path.
    """
    locations = [
        (path["path"], ingress["metadata"].get("annotations", {}).get(f"{NGINX}/rewrite-target"))
        for ingress in of_kind(found, "Ingress")
        for path in ingress["spec"]["rules"][0]["http"]["paths"]
    ]
    for pattern, target in sorted(locations, key=lambda location: -len(location[0])):
        match = re.match(f"(?i){pattern}", asked)
        if match:
            return asked if target is None else match.expand(target.replace("$", "\\"))
    return None


def through_gateway(route: Document, asked: str) -> str | None:
    """Return the path that reaches the server, or None: prefixes are whole segments, and nothing is rewritten."""
    prefixes = [match["path"]["value"].rstrip("/") for rule in route["spec"]["rules"] for match in rule["matches"]]
    return asked if any(asked == prefix or asked.startswith(f"{prefix}/") for prefix in prefixes) else None


@pytest.mark.parametrize("asked", REWRITTEN)
def test_three_ingresses_rewrite_what_has_to_be_rewritten(asked: str) -> None:
    """One metadata document passes as it is, the others lose the path, and everything else loses the prefix."""
    assert through_nginx(documents("k8s/overlays/sub-path"), asked) == REWRITTEN[asked]


@pytest.mark.parametrize("asked", OTHERS)
def test_other_paths_of_the_host_are_left_to_others(asked: str) -> None:
    """Neither the three Ingresses nor the HTTPRoute take what belongs to somebody else on the host."""
    (route,) = parse((K8S / "overlays/gateway-api/httproute-sub-path.yaml").read_text())

    assert through_nginx(documents("k8s/overlays/sub-path"), asked) is None
    assert through_gateway(route, asked) is None


@pytest.mark.parametrize("asked", REWRITTEN)
def test_gateway_passes_everything_on_unrewritten(asked: str) -> None:
    """One HTTPRoute with plain prefixes covers all paths of the server."""
    (route,) = parse((K8S / "overlays/gateway-api/httproute-sub-path.yaml").read_text())

    assert through_gateway(route, asked) == asked


def test_rewriting_the_protected_resource_is_noticed() -> None:
    """The common mistake, one rewrite for both metadata documents, does not pass."""
    found = documents("k8s/overlays/sub-path")
    for ingress in of_kind(found, "Ingress"):
        if ingress["metadata"]["name"] == "mcp-server-protected-resource":
            ingress["metadata"]["annotations"][f"{NGINX}/rewrite-target"] = "/.well-known/oauth-protected-resource"

    path = "/.well-known/oauth-protected-resource/mcp-o365/mcp"

    assert through_nginx(found, path) != REWRITTEN[path]


@pytest.mark.parametrize("folder", ["k8s", "k8s/overlays/sub-path"])
def test_ingresses_wait_long_enough_and_repeat_nothing(folder: str) -> None:
    """Every Ingress takes bodies as large as the server does, outwaits the longest call and never repeats a POST."""
    for ingress in of_kind(documents(folder), "Ingress"):
        annotations = ingress["metadata"]["annotations"]
        assert annotations[f"{NGINX}/proxy-body-size"] == "16m"
        assert int(annotations[f"{NGINX}/proxy-read-timeout"]) > 40
        assert annotations[f"{NGINX}/proxy-next-upstream"] == "error timeout"
        assert ingress["spec"]["tls"][0]["hosts"] == [ingress["spec"]["rules"][0]["host"]]
