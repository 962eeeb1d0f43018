"""The commands of the documents: those that can run here do, and all of them name what exists."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from m365_mcp.cli import app
from m365_mcp.settings import Settings, foreign_environment
from tests.docs.blocks import Block, blocks, blocks_of
from tests.docs.pages import ROOT, is_translation, pages, source_of
from tests.e2e.person import Assistant
from tests.e2e.programs import Server

BLOCKS = blocks()
SHELL = [block for block in BLOCKS if block.is_shell]
RUN = [block for block in SHELL if not block.marker]
OURS = re.compile(r"(?:\.venv/bin/)?m365-mcp ")
SETTING = re.compile(r"\b((?:MCP|M365|AZURE|REDIS|STORAGE|JWT)_[A-Z0-9_]+)=")
NAMED_FILE = re.compile(r"(?<![\w./-])((?:k8s|deploy|docs|tests|requirements|simulator)/[\w./-]+)")
# A command of ours is a program of its own, which takes seconds to start.
SLOW = [pytest.param(b, marks=[pytest.mark.full] if OURS.search(b.text) else []) for b in RUN]


def place(block: Block) -> str:
    """Name a test by its block."""
    return block.place


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language in ("json", "yaml")], ids=place)
def test_data_is_well_formed(block: Block) -> None:
    """A block of JSON or YAML can be read."""
    assert json.loads(block.text) if block.language == "json" else list(yaml.safe_load_all(block.text))


@pytest.mark.parametrize("block", [block for block in SHELL if block.language in ("bash", "sh", "shell")], ids=place)
def test_shell_is_well_formed(block: Block) -> None:
    """bash can parse the block, with a word for each name in angle brackets."""
    text = re.sub(r"<([a-z][a-z -]*)>", "name", block.text)
    ran = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize("block", SHELL, ids=place)
def test_what_a_block_names_exists(block: Block) -> None:
    """Targets of make, commands and options of m365-mcp, settings and files are there."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    fields = {name.upper() for name in Settings.model_fields}
    for command in block.commands:
        words = shlex.split(command)
        if words[0] == "make":
            assert [word for word in words[1:] if "=" not in word and word not in targets] == []
        if OURS.match(command):
            assert unknown_options(words[1:]) == []
        assert set(SETTING.findall(command)) - {"REDIS_PASSWORD"} <= fields
        assert [name for name in NAMED_FILE.findall(command) if not (ROOT / name).exists()] == []


def unknown_options(words: list[str]) -> list[str]:
    """Return what `m365-mcp` does not know of a command line: the command, or its options."""
    chain, apps, rest = app.parse_commands(words)
    if not chain:
        return words[:1]
    arguments = apps[-1].assemble_argument_collection()
    known = {name for argument in arguments for name in argument.names} | {"--help", "--version"}
    return [word for word in rest if word.startswith("--") and word.split("=")[0] not in known]


@pytest.mark.parametrize("line", ["serve --wokers 2", "sesions list", "doctor --jsn"])
def test_mistyped_commands_are_found(line: str) -> None:
    """The check above tells of a command, and of an option, that does not exist."""
    assert unknown_options(line.split()) != []


@pytest.mark.parametrize("block", [block for block in SHELL if block.marker], ids=place)
def test_marker_tells_a_reason_or_a_test(block: Block) -> None:
    """A marker that names a test names one that is there."""
    kind, _, what = block.marker.partition(": ")
    assert kind == "not run here" or (ROOT / what).is_file()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Hold what the commands of a page find: the files of a checkout, and `m365-mcp` on the path."""
    shutil.copy(ROOT / ".env.example", tmp_path)
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/m365-mcp"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m m365_mcp "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    return tmp_path


@pytest.mark.e2e
@pytest.mark.parametrize("block", SLOW, ids=place)
async def test_block_runs(block: Block, checkout: Path, server: Server, signed_in_ada: Assistant) -> None:
    """The block runs to its end beside a server with a signed-in person; a command that fails ends it."""
    text = block.text.replace("http://localhost:8000", server.url)
    environment = {**foreign_environment(), **server.program.environment}
    environment["PATH"] = f"{checkout / 'bin'}:{environment['PATH']}"

    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "Traceback" not in ran.stderr


def test_translations_have_the_commands_of_their_sources() -> None:
    """A translation has no command that its source does not have; comments in a block may be translated."""
    for page in filter(is_translation, pages()):
        known = {line for block in blocks_of(source_of(page)) for line in block.commands}
        assert [line for b in blocks_of(page) if b.is_shell for line in b.commands if line not in known] == [], page


def test_counts_are_in_the_documents() -> None:
    """docs/testing.md says how many blocks of commands are run, and how many are only checked."""
    elsewhere = sum(block.marker.startswith("run by") for block in SHELL)
    checked = len(SHELL) - len(RUN) - elsewhere
    sentence = f"{len(RUN)} are run by `tests/docs`, {elsewhere} by other tests, and {checked} are checked only."
    assert sentence in (ROOT / "docs/testing.md").read_text(encoding="utf-8")
