"""An engine of its own for the tests: podman and buildah with their own storage, images made without a registry.

What it needs is installed by `deploy/install-test-tools.sh`. Everything it starts lives in one temporary folder and
ends with it; only the base images are kept, in `~/.cache/m365-mcp-deploy`, because making them takes a minute.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from m365_mcp.settings import foreign_environment

REPOSITORY = Path(__file__).parents[2]
CACHE = Path.home() / ".cache" / "m365-mcp-deploy"
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
PATIENCE_SECONDS = 60.0
IMAGE = "localhost/m365-mcp-server:test"
DEMO_IMAGE = "localhost/m365-mcp-server:test-demo"
PROGRAMS = ("podman", "buildah", "runc", "debootstrap", "iptables", "ip")

CONTAINERS_CONF = """
[containers]
default_ulimits = ["nofile=16384:16384", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
lock_type = "file"
tmp_dir = "{folder}/tmp"
volume_path = "{folder}/volumes"
[network]
network_backend = "netavark"
network_config_dir = "{folder}/networks"
"""
STORAGE_CONF = """
[storage]
driver = "overlay"
graphroot = "{folder}/images"
runroot = "{folder}/run"
"""
HARDENED = ["--read-only", "--tmpfs", "/tmp", "--cap-drop", "all", "--security-opt", "no-new-privileges"]  # noqa: S108
HARDENED += ["--memory", "384m", "--pids-limit", "256"]


@dataclass(frozen=True)
class Base:
    """A stand-in for an official image: Debian packages, and what the official image has beside them."""

    name: str
    release: str
    packages: str
    script: str = "true"
    config: tuple[str, ...] = ()


PYTHON = Base(
    "docker.io/library/python:3.12-slim",
    "trixie",
    "python3,python3-venv,ca-certificates",
    # Like the official image: `python` by that name, and no bytecode of the standard library.
    "ln -s python3 usr/bin/python; find usr/lib/python3* -name __pycache__ -prune -exec rm -r {} +",
)
REDIS = Base(
    "docker.io/library/redis:7-alpine",
    "bookworm",
    "redis-server",
    "sed -i '/^redis:/d' etc/passwd etc/group; echo redis:x:1000: >> etc/group;"
    "echo redis:x:999:1000::/data:/bin/sh >> etc/passwd; install -d -o 999 -g 1000 data",
    ("VOLUME /data", "WORKDIR /data", 'CMD ["redis-server"]'),
)


def find_tool(name: str) -> str | None:
    """Return the program from the tests' own environment, else from PATH."""
    own = REPOSITORY / ".venv-deploy" / "bin" / name
    return str(own) if own.exists() else shutil.which(name)


def mirror() -> str:
    """Return the Debian mirror this machine is set up with."""
    addresses = run(["apt-get", "indextargets", "--format", "$(REPO_URI)"]).stdout.split()
    return next(address for address in addresses if address.rstrip("/").endswith("/debian"))


def why_not() -> str | None:
    """Say why no container can be built or run here, or None."""
    if os.geteuid() != 0:
        return "building and running containers needs root"
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"not installed: {', '.join(missing)} (deploy/install-test-tools.sh)" if missing else None


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    """Return what `condition` returns once that is true."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come about within {PATIENCE_SECONDS:.0f} seconds")
        time.sleep(0.05)
    return found


def run(arguments: list[str], *, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; a failure shows what it said."""
    ran = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=600, **options)
    if check and ran.returncode:
        raise AssertionError(f"{' '.join(arguments)}\nended with {ran.returncode}\n{ran.stdout}\n{ran.stderr}"[-6000:])
    return ran


@dataclass
class Container:
    """A running container of an engine."""

    engine: Engine
    name: str

    def inspect(self, path: str) -> str:
        return self.engine.podman("inspect", "--format", f"{{{{{path}}}}}", self.name).strip()

    def execute(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command inside and return how it went."""
        return run(["podman", "exec", self.name, *command], env=self.engine.environment, check=False)

    @property
    def log(self) -> str:
        ran = run(["podman", "logs", self.name], env=self.engine.environment, check=False)
        return ran.stdout + ran.stderr

    def check_health(self) -> str:
        """Run the image's health check and return what the engine makes of it."""
        ran = run(["podman", "healthcheck", "run", self.name], env=self.engine.environment, check=False)
        return "healthy" if ran.returncode == 0 else "unhealthy"

    def stop(self, seconds: int = 40) -> int:
        """Send SIGTERM, SIGKILL after `seconds`, and return the exit code."""
        self.engine.podman("stop", "--time", str(seconds), self.name)
        return int(self.inspect(".State.ExitCode"))

    def remove(self) -> None:
        run(["podman", "rm", "-f", "-v", "-t", "0", self.name], env=self.engine.environment, check=False)


class Engine:
    """Podman and buildah over a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **foreign_environment(),
            "CONTAINERS_CONF": str(folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
            "BUILDAH_ISOLATION": "chroot",  # OCI isolation fails where cgroups are mixed
        }
        (folder / "containers.conf").write_text(CONTAINERS_CONF.format(folder=folder))
        (folder / "storage.conf").write_text(STORAGE_CONF.format(folder=folder))

    def podman(self, *arguments: str) -> str:
        return run(["podman", *arguments], env=self.environment).stdout

    def load(self, base: Base) -> None:
        """Make the base image known under the official name."""
        changes = [word for change in base.config for word in ("--change", change)]
        self.podman("import", *changes, str(root_file_system(base)), base.name)

    def build(self, *arguments: str, tag: str = IMAGE) -> None:
        """Build the repository's Dockerfile; nothing is pulled."""
        options = ["--layers", "--isolation", "chroot", "--network", "host", "--pull-never", "--format", "docker"]
        run(["buildah", "bud", *options, *arguments, "-t", tag, str(REPOSITORY)], env=self.environment)

    @contextlib.contextmanager
    def running(self, name: str, *arguments: str, environment: dict[str, str] | None = None) -> Iterator[Container]:
        """Run the image with every restriction, and remove the container at the end of the block."""
        settings = [word for key, value in (environment or {}).items() for word in ("--env", f"{key}={value}")]
        container = Container(self, name)
        try:
            self.podman("run", "--detach", "--name", name, *HARDENED, *settings, *arguments, IMAGE)
            yield container
        finally:
            container.remove()

    def run_to_end(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run the image, confined and without any settings, until it ends by itself."""
        return run(["podman", "run", "--rm", *HARDENED, IMAGE, *command], env=self.environment, check=False)

    @contextlib.contextmanager
    def mounted(self, image: str = IMAGE) -> Iterator[Path]:
        """Show the image's files."""
        folder = Path(self.podman("image", "mount", image).strip())
        try:
            yield folder
        finally:
            self.podman("image", "unmount", image)

    def image(self) -> dict[str, Any]:
        """Return what stands in the image's configuration."""
        [found] = json.loads(self.podman("image", "inspect", IMAGE))
        return dict(found)

    @contextlib.contextmanager
    def docker_socket(self) -> Iterator[str]:
        """Serve Docker's API for the real Compose; health checks are run here, as podman leaves them to systemd."""
        address = f"unix://{self.folder}/api.sock"
        log = (self.folder / "api.log").open("wb")
        service = subprocess.Popen(
            ["podman", "system", "service", "--time", "0", address], env=self.environment, stdout=log, stderr=log
        )
        done = threading.Event()
        checks = threading.Thread(target=self._check_health_until, args=(done,))
        checks.start()
        try:
            wait_for((self.folder / "api.sock").exists, "podman's socket")
            yield address
        finally:
            done.set()
            checks.join()
            service.terminate()
            service.wait()
            log.close()

    def pin_bridges(self) -> None:
        """Fix the hardware addresses of this engine's bridges.

        Podman lets a bridge take that of a container, so that it changes when that one is restarted, and the others
        cannot reach their name server for 40 seconds. Docker fixes it itself.
        """
        for name in self.podman("network", "ls", "-q", "--filter", f"name={self.folder.name}").split():
            bridge = self.podman("network", "inspect", "--format", "{{.NetworkInterface}}", name).strip()
            address = Path("/sys/class/net", bridge, "address").read_text().strip()
            run(["ip", "link", "set", "dev", bridge, "address", address])

    def _check_health_until(self, done: threading.Event) -> None:
        while not done.wait(0.5):
            for name in run(["podman", "ps", "-q"], env=self.environment, check=False).stdout.split():
                Container(self, name).check_health()

    def close(self) -> None:
        """End every container of this engine, and leave no mount, network or file.

        A container whose network another one shares can only be removed after that one, so several rounds are made.
        Whatever cannot be removed is a failure: its files are left, and nothing is torn away from under it.
        """
        wait_for(self._is_emptied, f"the end of all containers of {self.folder}")
        self.podman("network", "prune", "-f")
        run(["buildah", "rm", "-a"], env=self.environment, check=False)
        for monitor in _processes_naming(self.folder):  # of commands run inside; they would linger for five minutes
            with contextlib.suppress(ProcessLookupError):
                os.kill(monitor, signal.SIGKILL)
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in reversed([mount for mount in mounts if mount.startswith(f"{self.folder}/")]):
            run(["umount", "-l", mount], check=False)
        shutil.rmtree(self.folder)

    def _is_emptied(self) -> bool:
        run(["podman", "rm", "-fa", "-v", "-t", "0"], env=self.environment, check=False)
        return self.podman("ps", "-aq") == ""


def _processes_naming(folder: Path) -> list[int]:
    """Return podman's monitor processes whose arguments name the folder, which only ours do."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_text(errors="replace").split("\0")
            if words[0].endswith("/conmon") and any(word.startswith(f"{folder}/") for word in words):
                found.append(int(path.parent.name))
    return found


def forget_dead_rules() -> None:
    """Remove from the firewall what engines that were killed have left there; nobody reaches a port they published."""
    chain = "NETAVARK-HOSTPORT-DNAT"
    for rule in run(["iptables", "-t", "nat", "-S", chain], check=False).stdout.splitlines():
        name = re.search(r"dnat name: (m365-deploy-[^_ ]+)", rule)
        if name and not _processes_naming(Path(tempfile.gettempdir(), name[1])):
            run(["iptables", "-t", "nat", *shlex.split(rule.replace("-A", "-D", 1))])


@contextlib.contextmanager
def opened_engine() -> Iterator[Engine]:
    """Open an engine that knows the base images and nothing else."""
    forget_dead_rules()
    engine = Engine(Path(tempfile.mkdtemp(prefix="m365-deploy-")))
    try:
        engine.load(PYTHON)
        yield engine
    finally:
        engine.close()


def root_file_system(base: Base) -> Path:
    """Return the base image's files as an archive; made once on a machine, and anew when the recipe changes."""
    recipe = f"{base.release} {base.packages} {base.script}".encode() + AUTHORITIES.read_bytes()
    CACHE.mkdir(parents=True, exist_ok=True)
    archive = CACHE / f"{base.release}-{hashlib.sha256(recipe).hexdigest()[:16]}.tar"
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not archive.exists():
            _bootstrap(base, archive)
    return archive


def _bootstrap(base: Base, archive: Path) -> None:
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        root = Path(folder) / "root"
        run(["debootstrap", "--variant=minbase", f"--include={base.packages}", base.release, str(root), mirror()])
        run(["sh", "-euc", base.script], cwd=root)
        # The machine's own authorities, so that pip inside can reach what pip outside reaches.
        (root / "etc/ssl/certs").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(AUTHORITIES, root / "etc/ssl/certs/ca-certificates.crt")
        whole = Path(folder) / "whole.tar"
        leave_out = [f"--exclude=./{path}" for path in ("var/cache/apt/*", "var/lib/apt/lists/*", "usr/share/doc/*")]
        run(["tar", "-C", str(root), "--numeric-owner", *leave_out, "-cf", str(whole), "."])
        whole.replace(archive)
