"""A real nginx with the locations that an Ingress or an HTTPRoute of ours renders to, in front of real servers.

How ingress-nginx renders: a rewrite or a regular expression on a host makes all its paths regular expressions,
anchored at the beginning and without regard to case, tried longest first; HTTP/1.1 upstream, no buffering, the
client's own Host.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.programs import Program, free_port, listens

K8S = Path(__file__).parents[2] / "k8s"
ANNOTATION = "nginx.ingress.kubernetes.io/"
NGINX = shutil.which("nginx") or ("/usr/sbin/nginx" if Path("/usr/sbin/nginx").exists() else None)


@dataclass(frozen=True)
class Location:
    """One location: what it matches, and what the path becomes (None: it stays)."""

    match: str
    rewrite: str | None = None
    body_size: str = "1m"

    def render(self) -> str:
        """Return it as nginx writes it."""
        pattern = self.match.partition(" ")[2].strip('"')
        rewrite = f'rewrite "(?i){pattern}" {self.rewrite} break;' if self.rewrite else ""
        return f"""
    location {self.match} {{
      {rewrite}
      client_max_body_size {self.body_size};
      proxy_pass http://servers;
    }}"""


def from_ingresses(name: str) -> list[Location]:
    """Return the locations of the Ingresses in a file below k8s/."""
    ingresses = [document for document in _documents(name) if document["kind"] == "Ingress"]
    with_regex = any(f"{ANNOTATION}rewrite-target" in _annotations(ingress) for ingress in ingresses)
    found = []
    for ingress in ingresses:
        notes = _annotations(ingress)
        for path in ingress["spec"]["rules"][0]["http"]["paths"]:
            match = f'~* "^{path["path"]}"' if with_regex else path["path"]
            found.append(
                Location(match, notes.get(f"{ANNOTATION}rewrite-target"), notes[f"{ANNOTATION}proxy-body-size"])
            )
    return sorted(found, key=lambda location: -len(location.match))


def from_route(name: str) -> list[Location]:
    """Return the locations of the HTTPRoute in a file below k8s/: whole segments, nothing rewritten."""
    [route] = [document for document in _documents(name) if document["kind"] == "HTTPRoute"]
    prefixes = [match["path"]["value"] for rule in route["spec"]["rules"] for match in rule["matches"]]
    return [Location(f'~ "^{prefix.rstrip("/")}(/|$)"', body_size="16m") for prefix in prefixes]


def _documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((K8S / name).read_text()))


def _annotations(ingress: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = ingress["metadata"].get("annotations", {})
    return found


@dataclass
class Proxy:
    """A running nginx with TLS."""

    port: int
    folder: Path
    program: Program

    def start(self, locations: list[Location], upstream_ports: list[int], certificate: Path, key: Path) -> None:
        """Start with the given locations in front of servers on this machine."""
        servers = "\n".join(f"    server 127.0.0.1:{port} max_fails=0;" for port in upstream_ports)
        text = _CONFIGURATION.format(
            folder=self.folder,
            port=self.port,
            servers=servers,
            certificate=certificate,
            key=key,
            locations="".join(location.render() for location in locations),
        )
        (self.folder / "nginx.conf").write_text(text)
        self.program.start()
        self.program.wait_until(lambda: listens(self.port))


def make_proxy(folder: Path) -> Proxy:
    """Return an nginx that has not been started; its port is part of the servers' public URL."""
    assert NGINX is not None
    configuration = folder / "nginx.conf"
    arguments = [
        NGINX,
        "-p",
        str(folder),
        "-c",
        str(configuration),
        "-e",
        str(folder / "error.log"),
        "-g",
        "daemon off;",
    ]
    return Proxy(free_port(), folder, Program(arguments, folder / "nginx.log"))


_CONFIGURATION = """
worker_processes 1;
pid {folder}/nginx.pid;
events {{ worker_connections 512; }}
http {{
  access_log {folder}/access.log;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  upstream servers {{
{servers}
    keepalive 32;
  }}
  server {{
    listen 127.0.0.1:{port} ssl;
    listen [::1]:{port} ssl;
    server_name localhost;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-Proto https;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_buffering off;
    proxy_read_timeout 90s;
    proxy_next_upstream error timeout;
    {locations}
  }}
}}
"""
