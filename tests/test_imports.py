"""What is imported when: `--help` imports hardly anything, and a server nothing that no request needs.

The limits are numbers of modules, with room for a few more; a library that somebody adds brings dozens.
docs/architecture.md, "Late imports", has the rule. Each process is started by hand, with `python -X importtime`.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from m365_mcp.settings import foreign_environment
from tests.e2e.programs import Program, free_port
from tests.ids import VARIABLES
from tests.trust import NO_AUTHORITY

COMMAND = [sys.executable, "-X", "importtime", "-m", "m365_mcp"]
HEAVY = {"asyncio", "cedarpy", "cryptography", "fastmcp", "httpx2", "jinja2", "mcp", "pydantic", "redis", "structlog"}
# What no request needs: other clients and commands, the simulator, parts of FastMCP that no tool of ours uses.
UNUSED = {"authlib.jose", "azure.identity", "fastmcp.cli", "fastmcp.client", "griffe", "m365_mcp.commands.doctor"}
UNUSED |= {
    "fastmcp.server.openapi",
    "fastmcp.server.providers.openapi",
    "fastmcp.server.proxy",
    "m365_simulator",
    "msal",
}
# redis-py 8.1 imports `opentelemetry.sdk.metrics` where it is installed; the image does not have it by default.
UNUSED |= {"google", "m365_mcp.tracing.export", "opentelemetry.exporter", "opentelemetry.sdk.trace"}
UNUSED |= {"docket", "jsonschema", "openapi_pydantic", "webauthn", "yaml"}
HELPS = ["", "serve", "demo", "doctor", "policy", "policy explain", "sessions", "sessions end", "passkeys remove"]
HELPS += ["contacts", "audit verify", "simulator", "call", "settings"]


def imported(log: str) -> set[str]:
    """Return the names of the modules in what `-X importtime` has written."""
    return set(re.findall(r"^import time: .*\| +(\S+)$", log, re.MULTILINE))


def packages(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


@pytest.mark.parametrize("command", HELPS)
def test_help_imports_hardly_anything(command: str, tmp_path: Path) -> None:
    """The help of every command needs cyclopts and rich, and none of the server's libraries."""
    words = [*COMMAND, *command.split(), "--help"]
    done = subprocess.run(words, cwd=tmp_path, env=foreign_environment(), capture_output=True, text=True, check=True)
    modules = imported(done.stderr)

    assert "Usage: m365-mcp" in done.stdout
    assert not packages(modules) & HEAVY
    assert 200 < len(modules) < 380  # 340, most of them of rich, cyclopts and markdown-it-py


def test_wrong_command_and_version_import_hardly_anything(tmp_path: Path) -> None:
    """A mistake of typing, and the version, need no more than the help."""
    for word, code in (("keys", 2), ("version", 0), ("--version", 0)):
        words = [*COMMAND, word]
        done = subprocess.run(
            words, cwd=tmp_path, env=foreign_environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == code
        assert not packages(imported(done.stderr)) & HEAVY


def test_mistake_in_the_settings_is_told_without_fastmcp(tmp_path: Path) -> None:
    """A server that cannot start says so before it imports what takes a second."""
    done = subprocess.run(
        [*COMMAND, "serve"], cwd=tmp_path, env=foreign_environment(), capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert "AZURE_CLIENT_ID" in done.stderr
    assert not packages(imported(done.stderr)) & {"cedarpy", "fastmcp", "jinja2", "mcp", "redis"}


def test_server_imports_only_what_requests_need(tmp_path: Path) -> None:
    """A server that answers `/livez` has everything that a call needs, and nothing else."""
    port = free_port()
    variables = {**VARIABLES, "MCP_HOST": "127.0.0.1", "MCP_PORT": str(port), "MCP_METRICS_PORT": "0"}
    variables |= {"MCP_SERVER_BASE_URL": f"http://localhost:{port}", "MCP_SHUTDOWN_DELAY_SECONDS": "0"}
    variables |= {"REDIS_URL": f"redis://127.0.0.1:{free_port()}/0", "MCP_DATA_DIR": str(tmp_path)}
    program = Program([*COMMAND, "serve"], tmp_path / "log", variables)
    program.start()
    program.wait_until(lambda: answers(f"http://127.0.0.1:{port}/livez"))
    program.end()
    modules = imported(program.log.read_text())

    assert not {name for name in modules if any(f"{name}.".startswith(f"{one}.") for one in UNUSED)}
    assert {"m365_mcp.app", "cedarpy", "m365_mcp.mail.markdown.parser"} <= modules
    assert len(modules) < 2300  # 2,202


def answers(url: str) -> bool:
    try:
        return httpx2.get(url, verify=NO_AUTHORITY, trust_env=False).status_code == 200
    except httpx2.HTTPError:
        return False


def test_collector_passes_over_what_was_imported() -> None:
    """What exists at the end of the imports is in no later collection."""
    program = "import gc; from m365_mcp.commands.running import importing\nwith importing(): import json, mcp\n"
    program += "print(gc.isenabled(), gc.get_freeze_count() > 20_000, len(gc.get_objects()) < 1_000)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["True", "True", "True"]


def test_collector_goes_on_after_an_import_that_fails() -> None:
    """A mistake in the settings leaves the collector on."""
    program = "import gc; from m365_mcp.commands.running import importing\ntry:\n with importing(): import nothing\n"
    program += "except ImportError: print(gc.isenabled(), gc.get_freeze_count())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["True", "0"]


def test_server_has_no_types_checked_while_it_runs() -> None:
    """A store of py-key-value that is imported afterwards takes its arguments as they are."""
    program = "from m365_mcp import settings\nsettings.skip_type_checks()\n"
    program += "from key_value.aio.stores.memory import MemoryStore\nMemoryStore(max_entries_per_collection='many')"
    done = subprocess.run([sys.executable, "-W", "error::UserWarning", "-c", program], check=False)

    assert done.returncode == 0
