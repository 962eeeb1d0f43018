"""Rows of the acceptance suite about how the server is set up, released and described."""

from __future__ import annotations

import json
import re
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from structlog.testing import capture_logs

from m365_mcp import settings
from m365_mcp.commands.in_force import in_force
from m365_mcp.errors.base import SettingsMistake
from m365_mcp.settings import Settings
from tests.attacks.serving import post_mcp, serving
from tests.inprocess import EVERY_TOOLSET, SETTINGS

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / ".env.example"
FREE = "gmail.com,contoso.example,outlook.com"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"m365_send_allowed_domains": FREE}, "gmail.com, outlook.com"),
        ({"m365_send_allowed_domains": "hotmail.com", "m365_send_level": "draft"}, "hotmail.com"),
        (
            {
                "m365_send_allowed_domains": FREE,
                "m365_send_approval": "external",
                "m365_internal_domains": "outlook.com",
            },
            "outlook.com",
        ),
        ({"m365_send_allowed_domains": FREE, "m365_send_approval": "external"}, ""),
        ({"m365_send_allowed_domains": FREE, "m365_send_approval": "all"}, ""),
        ({"m365_send_allowed_domains": "contoso.example"}, ""),
        ({}, ""),
    ],
)
async def test_g12_allowed_free_mail_domain_without_approval_is_a_warning(changes: dict[str, Any], named: str) -> None:
    """The log says it at the start and `doctor` in its table; with approval for such mail neither does."""
    shown = StringIO()
    with capture_logs() as lines:
        async with serving(**changes) as world:
            chosen, policies = world.container.settings, world.container.services.outgoing.policies.policies
            console = Console(width=200, file=shown)
            console.print(in_force(chosen, policies))

    warned = [line["domains"] for line in lines if line["event"] == "free_mail_is_allowed"]
    assert warned == ([named] if named else [])
    assert (f"anybody can have an address at {named}" in shown.getvalue()) is bool(named)


SAMPLES = [line.partition("=") for line in EXAMPLE.read_text().splitlines() if re.match(r"[A-Z_]+=(your-|<)", line)]


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, _, value in SAMPLES])
def test_k3_sample_value_of_the_example_stops_the_start(name: str, value: str) -> None:
    """Whoever forgets to replace one is told which, and the server does not run with it."""
    with pytest.raises(SettingsMistake, match=name):
        settings.load(**{**SETTINGS, name.lower(): value})


def test_k3_no_secret_has_a_default() -> None:
    """A secret that is not set is none, so no two installations share one; the example has a sample for each."""
    secrets = {name for name, field in Settings.model_fields.items() if "Secret" in str(field.annotation)}

    assert {"azure_client_secret", "jwt_signing_key", "storage_encryption_key"} <= secrets
    assert [name for name in secrets if Settings.model_fields[name].get_default(call_default_factory=True)] == []
    assert SAMPLES


async def test_k6_tools_that_clients_get_are_those_that_were_reviewed() -> None:
    """What tools/list answers is, to the letter, docs/tools.json, so that a change is seen in the diff of a release."""
    reviewed = {tool["name"]: tool for tool in json.loads((ROOT / "docs" / "tools.json").read_text())}
    everything = {"m365_toolsets": EVERY_TOOLSET, "m365_send_bcc": True, "m365_send_from": True}
    async with serving(**everything, m365_send_approval="all", m365_show_previews=True) as world:
        access = (await world.sign_in()).access
        answer = await post_mcp(world, access, {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}})

    assert {tool["name"]: tool for tool in answer.json()["result"]["tools"]} == reviewed


SIGNING = (
    (ROOT / "docs" / "deploy.md").read_text().partition("### Signing and checking a release")[2].partition("\n### ")[0]
)
COMMANDS = [line for line in re.findall(r"`?(cosign [^`\n]+)", SIGNING) if "--key" in line]


def options_of(command: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z]+) (\S+)", command))


def test_k5_documented_steps_sign_and_check_what_a_release_consists_of() -> None:
    """Checksums, image and SBOM are signed with the private key; each is checked with the public one and no tag."""
    by_verb = {command.split()[1]: command for command in COMMANDS}
    signed, checked = (
        {verb for verb in by_verb if verb.startswith("verify") is is_check} for is_check in (False, True)
    )

    assert (signed, checked) == ({"sign-blob", "sign", "attest"}, {"verify-blob", "verify", "verify-attestation"})
    assert {options_of(by_verb[verb])["key"] for verb in signed} == {"cosign.key"}
    assert {options_of(by_verb[verb])["key"] for verb in checked} == {"cosign.pub"}
    assert options_of(by_verb["sign-blob"])["bundle"] == options_of(by_verb["verify-blob"])["bundle"]
    assert options_of(by_verb["attest"])["type"] == options_of(by_verb["verify-attestation"])["type"] == "cyclonedx"
    for verb in ("sign", "attest", "verify", "verify-attestation"):
        assert by_verb[verb].endswith("@sha256:<digest>")
    makefile = (ROOT / "Makefile").read_text()
    assert "dist/sbom.cdx.json" in makefile
    assert "SHA256SUMS" in makefile
