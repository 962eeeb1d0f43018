"""Runs deploy/register-app.sh on a directory that a stand-in for az keeps."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from m365_mcp.settings import foreign_environment
from tests.deploy import fake_az_constants as az
from tests.deploy.tools import ROOT, program, run

SCRIPT = ROOT / "deploy/register-app.sh"


@dataclass
class Azure:
    """The script and the directory that it works on."""

    folder: Path

    @property
    def file(self) -> Path:
        return self.folder / "state.json"

    @property
    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.file.read_text())
        return found

    @property
    def app(self) -> dict[str, Any]:
        app: dict[str, Any]
        (app,) = self.state["apps"]
        return app

    def change(self, do: Callable[[dict[str, Any]], object]) -> None:
        state = self.state if self.file.exists() else json.loads(json.dumps(az.EMPTY))
        do(state)
        self.file.write_text(json.dumps(state))

    def register(self, *arguments: str | Path, code: int = 0) -> tuple[str, str]:
        """Run the script and return what it printed and what it logged."""
        path = f"{self.folder / 'bin'}:{foreign_environment()['PATH']}"
        done = run("bash", SCRIPT, *arguments, cwd=self.folder, env={"PATH": path, "REGISTER_APP_PAUSE": "0"})
        assert done.returncode == code, done.stderr
        return done.stdout, done.stderr


def open_azure(folder: Path) -> Azure:
    """Put a stand-in for az into the folder, on an empty directory, and return the script with it."""
    (folder / "bin").mkdir()
    executable = folder / "bin/az"
    python, fake = program("checkov").replace("checkov", "python"), Path(__file__).with_name("fake_az.py")
    executable.write_text(f'#!/bin/sh\nexec "{python}" "{fake}" "{folder / "state.json"}" "$@"\n')
    executable.chmod(0o755)
    return Azure(folder)
