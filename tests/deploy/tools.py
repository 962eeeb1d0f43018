"""Finds the programs that the deployment tests drive: those of `.venv-deploy` first, then those on PATH."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
K8S = ROOT / "k8s"
BUILDS = ("k8s", *sorted(f"k8s/overlays/{folder.name}" for folder in (K8S / "overlays").iterdir() if folder.is_dir()))

Document = dict[str, Any]


def program(name: str) -> str:
    """Return the path of the program; a machine without it cannot tell whether the deployment is right."""
    found = shutil.which(name, path=str(ROOT / ".venv-deploy" / "bin")) or shutil.which(name)
    assert found, f"{name} is neither in .venv-deploy nor on PATH"
    return found


def run(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and return what it said."""
    return subprocess.run([str(a) for a in arguments], capture_output=True, text=True, timeout=120, **options)


def _builder() -> tuple[str, ...]:
    try:
        return program("kustomize"), "build"
    except AssertionError:
        return program("kubectl"), "kustomize"


def build(folder: str | Path) -> str:
    """Return what kustomize makes of the folder."""
    done = run(*_builder(), ROOT / folder)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@cache
def _built(folder: str) -> str:
    return build(folder)


def documents(folder: str) -> list[Document]:
    """Return the objects that kustomize makes of the folder, for the caller to change as it likes."""
    return parse(_built(folder))


def parse(text: str) -> list[Document]:
    return [document for document in yaml.safe_load_all(text) if document]
