"""Rules of the house that a machine can check: sizes, docstrings, and what must not stand in a file."""

import ast
import gc
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(path for folder in ("src", "simulator/src") for path in (ROOT / folder).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))


@cache
def parsed(path: Path) -> ast.Module:
    """Parse a file while nothing is garbage-collected.

    The collector may find a failed task of an earlier test, whose logged traceback calls the parser within the parser.
    Python up to 3.11.7 answers that with "AST constructor recursion depth mismatch" (CPython issue 106905).
    """
    gc.disable()
    try:
        return ast.parse(path.read_text())
    finally:
        gc.enable()


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(parsed(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_modules_are_small_and_say_what_they_are_for() -> None:
    """At most 300 lines, no function over 40, and a docstring at the top."""
    long_modules = [str(path) for path in SOURCES if len(path.read_text().splitlines()) > 300]
    long_functions = [f"{path}: {node.name}" for path in SOURCES for node in functions(path) if length(node) > 40]

    assert long_modules == []
    assert long_functions == []
    assert [str(path) for path in SOURCES if not ast.get_docstring(parsed(path))] == []


def test_functions_are_short_on_the_whole() -> None:
    """The median function of both packages has at most ten lines."""
    lengths = sorted(length(node) for path in SOURCES for node in functions(path))

    assert lengths[len(lengths) // 2] <= 10


def test_every_test_states_its_behaviour() -> None:
    """A test has a docstring of one sentence or more."""
    tests = [(path, node) for path in TESTS for node in functions(path) if node.name.startswith("test_")]

    assert len(tests) > 1000
    assert [f"{path}: {node.name}" for path, node in tests if not ast.get_docstring(node)] == []


def test_no_file_names_a_package_registry_or_a_machine() -> None:
    """Where packages come from, and where this was written, stands nowhere."""
    words = ["pypi" + r"\.org", "python" + "hosted", "registry" + r"\.npmjs", "deb" + r"\.debian"]
    search = ["git", "grep", "-lE", "|".join(words)]
    found = subprocess.run(search, cwd=ROOT, capture_output=True, text=True, check=False)

    assert found.stdout == ""


RETRY_LIBRARIES = {"stamina", "tenacity", "backoff", "random"}
PRODUCT = [path for path in SOURCES if (ROOT / "src" / "m365_mcp") in path.parents]


def places(paths: list[Path]) -> list[str]:
    return [path.relative_to(ROOT / "src" / "m365_mcp").as_posix() for path in paths]


def compared_texts(path: Path) -> list[str]:
    """Return the texts in a module that are no default of an argument, such as an address to listen on."""
    defaults = {id(value) for node in functions(path) for value in (*node.args.defaults, *node.args.kw_defaults)}
    constants = [node for node in ast.walk(parsed(path)) if isinstance(node, ast.Constant) and id(node) not in defaults]
    return [node.value for node in constants if isinstance(node.value, str)]


def test_only_one_module_knows_how_this_machine_is_written() -> None:
    """No module but `loopback` compares a host with a name or an address of this machine; the demo makes addresses."""
    spelled = re.compile(r"^(localhost|\[?::1\]?|127\.0\.0\.1)$|127\\\.0|\(localhost")
    users = [path for path in PRODUCT if any(spelled.search(text) for text in compared_texts(path))]

    assert [place for place in places(users) if not place.startswith("commands/demo/")] == ["loopback.py"]


def imports_of(path: Path) -> set[str]:
    nodes = list(ast.walk(parsed(path)))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    named = {
        f"{node.module}.{alias.name}" for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    return plain | named


def test_errors_are_recorded_only_where_they_leave_for_the_framework() -> None:
    """What FastMCP and Starlette call records errors, and so do the limits before it; three at the edge read them."""
    recorders = [path for path in PRODUCT if any("request_error" in name for name in imports_of(path))]

    assert places(recorders) == [
        "auth/callback_endpoint.py",
        "auth/callbacks.py",
        "auth/client_metadata/clients.py",
        "auth/consent_endpoint.py",
        "auth/proxy.py",
        "auth/registrations.py",
        "auth/revocation.py",
        "auth/session_access.py",
        "auth/upstream.py",
        "storage/encrypted_store.py",
        "web/approval_requests.py",
        "web/error_override.py",
        "web/oauth_requests.py",
        "web/origins.py",
        "web/pages/error_page.py",
        "web/rate_limits.py",
        "web/redirect_uris.py",
        "web/sign_in_trail.py",
        "web/store_reserve.py",
        "web/uploads.py",
    ]


def test_there_is_one_way_to_try_again() -> None:
    """Only `retries` imports stamina, another retry library, or random numbers for pauses."""
    users = [path for path in PRODUCT if {name.partition(".")[0] for name in imports_of(path)} & RETRY_LIBRARIES]

    assert places(users) == ["retries.py"]


@pytest.mark.xdist_group("canary")
def test_group_of_a_test_reaches_the_scheduler(request: pytest.FixtureRequest) -> None:
    """With several workers the group stands at the end of a test's id, by which xdist keeps the group together."""
    is_one_of_several = hasattr(request.config, "workerinput")

    assert request.node.nodeid.endswith("@canary") == is_one_of_several
