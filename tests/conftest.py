"""What holds for all tests: repeatable examples, a zone far from UTC, silent retries, groups that share programs."""

from __future__ import annotations

import gc
import hashlib
import os
import time
from collections import defaultdict
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from m365_mcp.retries import keep_silent
from tests.e2e.programs import Redis, make_redis

keep_silent()  # stamina logs nothing, as in a server

# `make test` runs the quick profile and leaves out what is marked `full`; continuous integration adds `--full`.
settings.register_profile("quick", derandomize=True, deadline=None, max_examples=50, stateful_step_count=25)
settings.register_profile("full", derandomize=True, deadline=None, max_examples=500, stateful_step_count=40)
settings.load_profile("quick")

# The fixtures that bring running programs, and the group of the tests that share them. The first that fits counts.
SHARED_PROGRAMS = {
    "attaching_server": "attaching",
    "whole_server": "whole server",
    "shared_full_server": "full server",
    "shared_server": "server",
    "chromium": "corpus",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that continuous integration uses."""
    parser.addoption("--full", action="store_true", help="run what is marked `full`, and Hypothesis at length")
    parser.addoption("--corpus-pictures", metavar="FOLDER", help="keep pictures of the corpus, before and after")


def pytest_configure(config: pytest.Config) -> None:
    """Load the profile, and tell the workers what is asked for; they cannot know whether a person named files."""
    config.option.large = _is_large(config)
    config.args.sort(key=_depth)
    gc.disable()  # until the tests are collected
    if config.option.full:
        settings.load_profile("full")


def _depth(argument: str) -> int:
    """Return how deep an argument is in folders.

    pytest 9.1 collects a folder anew for each file of it that is named. So the files of a folder come before those of
    its subfolders, which else have two nodes, of which one knows the fixtures of the conftest.py there.
    """
    return len(Path(argument.partition("::")[0]).absolute().parts)


def pytest_collection_finish() -> None:
    """Collect garbage from now on, and not among the thousands of tests that were collected: they live to the end."""
    gc.freeze()
    gc.enable()


def pytest_unconfigure() -> None:
    """Let the interpreter end as always."""
    gc.unfreeze()


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Run more workers than there are cores: tests wait for programs. What is large wants a core for itself."""
    cores = os.cpu_count() or 1
    return cores if _is_large(config) else 2 * cores


def _is_large(config: pytest.Config) -> bool:
    """Return whether to run what is marked `full`: with --full, and when a person names files or folders."""
    asked = config.option.full or config.args_source is pytest.Config.ArgsSource.ARGS
    return bool(getattr(config.option, "large", asked))


@pytest.fixture(scope="session", autouse=True)
def far_from_utc() -> Iterator[None]:
    """Give tests, and the programs they start, a local time that is not UTC, so that a mix-up of the two shows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    """Start a Redis for the tests of one file; some folders have another of this name."""
    redis = make_redis(tmp_path_factory.mktemp("redis"))
    redis.program.shared = True
    redis.start()
    yield redis
    assert redis.program.end() == 0


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name a parameter of bytes by its hash: the bytes themselves may be long, and are no text."""
    return hashlib.sha256(val).hexdigest()[:8] if isinstance(val, bytes) else None


@pytest.hookimpl(tryfirst=True)  # xdist reads the marks in this hook, too, and would otherwise come first
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests that start programs, keep those that share them in one worker, and leave out what is large."""
    for item in items:
        for mark in _marks(item):
            item.add_marker(mark)
    if not config.option.large:
        left_out = {item for item in items if item.get_closest_marker("full")} | set(_beyond_the_sample(items))
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]


def _beyond_the_sample(items: Collection[pytest.Item]) -> Iterator[pytest.Item]:
    """Yield the cases that `make test` leaves out of each test marked `sample(N)`: all but N, evenly spread."""
    cases = defaultdict(list)
    for item in sorted(items, key=lambda item: item.nodeid):
        if (mark := item.get_closest_marker("sample")) and not item.get_closest_marker("full"):
            cases[item.nodeid.partition("[")[0], *mark.args].append(item)
    for (_, wanted), all_cases in cases.items():
        kept = {index * len(all_cases) // wanted for index in range(wanted)}
        yield from (item for index, item in enumerate(all_cases) if index not in kept)


def _marks(item: pytest.Item) -> Iterator[str | pytest.MarkDecorator]:
    folder, used = item.path.parent.name, getattr(item, "fixturenames", ())
    if folder in ("e2e", "chaos"):
        yield "e2e"
    if folder == "deploy":
        yield "deploy"
    if "chromium" in used:
        yield "browser"
        yield "full"
    if item.get_closest_marker("xdist_group") is None and (group := _group(item, folder, used)):
        yield pytest.mark.xdist_group(group)


def _group(item: pytest.Item, folder: str, used: Collection[str]) -> str | None:
    if folder == "chaos":
        return "chaos"
    if folder == "deploy":  # the image is built once
        return "containers" if "bare_engine" in used else item.path.stem
    return next((group for fixture, group in SHARED_PROGRAMS.items() if fixture in used), None)
