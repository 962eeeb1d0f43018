"""The official conformance suite of MCP, and what of it a server without the suite's own tools cannot pass."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.e2e.conformance import NEEDS_CONFORMANCE, run_suite, with_token
from tests.e2e.grants import signed_in
from tests.e2e.programs import Server, Simulator

BOTH = ("tools-list", "prompts-list", "resources-list", "dns-rebinding-protection")
PASSES = {
    "2025-11-25": (*BOTH, "server-initialize", "ping", "logging-set-level"),
    "2026-07-28": (
        *BOTH,
        "caching",
        "http-header-validation",
        "sep-2164-resource-not-found",
        "server-sse-multiple-streams",
        "input-required-result-ignore-extra-params",
        "input-required-result-unsupported-methods",
    ),
}
# Scenarios that need a tool, prompt or resource of the suite's own reference server, and why this server has none.
CANNOT = {
    "tools-call-*": "the tools test_simple_text, test_image_content and so on are not there",
    "completion-complete": "no argument is completed",
    "prompts-get-*": "there are no prompts",
    "resources-*": "there are no resources",
    "elicitation-*": "the tools test_elicitation_sep1034_defaults and so on are not there",
    "input-required-result-*": "the tools test_input_required_result_* are not there",
    "tasks-*": "the extension for tasks is not offered",
    "json-schema-2020-12": "the tool json_schema_2020_12_tool is not there",
    "http-custom-header-server-validation": "no tool has an x-mcp-header",
    "server-stateless": "the tool test_missing_capability is not there",
}
# Of the scenario `server-stateless` these two checks need the tool, and all others must pass.
OF_STATELESS = {"sep-2575-server-rejects-undeclared-capability", "sep-2575-missing-capability-http-400"}


@NEEDS_CONFORMANCE
@pytest.mark.full
@pytest.mark.parametrize("revision", PASSES)
async def test_i8_l4_official_suite_fails_only_for_what_this_server_has_not(
    server: Server, simulator: Simulator, tmp_path: Path, revision: str
) -> None:
    """Every scenario that needs no tool of the suite's own passes, and each message is valid by MCP's schema."""
    grant = await signed_in(server, simulator)
    with with_token(server.url, grant.access) as url:
        found = run_suite(url, revision, tmp_path)

    failed = {name: scenario.failed for name, scenario in found.items() if scenario.failed}
    assert [name for name in failed if not any(fnmatch(name, pattern) for pattern in CANNOT)] == []
    assert {name: failed.get(name) for name in PASSES[revision]} == dict.fromkeys(PASSES[revision])
    assert [name for name in PASSES[revision] if not found[name].passed] == []
    assert failed.get("server-stateless", OF_STATELESS) == OF_STATELESS
    assert [name for name, checks in failed.items() if "wire-schema-valid" in checks] == []
    assert len(simulator.outbox) == 0
