"""deploy/register-app.sh asks for the Graph permissions that the server asks for with the same settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from m365_mcp import settings
from m365_mcp.settings.permissions import GROUPS, PERMISSIONS
from tests.deploy import fake_az_constants as az
from tests.deploy.azure import Azure, open_azure

pytestmark = pytest.mark.deploy

URL = ("--base-url", "https://mcp.example.com", "--show-secret")
ALL = ",".join(PERMISSIONS)
CASES: list[list[tuple[str, ...]]] = [
    [("--toolsets", toolset) for toolset in PERMISSIONS],
    [("--toolsets", toolset, "--send-level", level) for toolset in PERMISSIONS for level in ("draft", "off")],
    [(), ("--toolsets", ALL), ("--toolsets", "People, Drafts"), ("--send-level", "draft"), ("--send-mode", "draft")],
    [("--send-from",), ("--send-from", "--send-level", "draft"), ("--send-mode", "draft", "--send-level", "off")],
]


@pytest.fixture
def azure(tmp_path: Path) -> Azure:
    """Return the script with an empty directory."""
    return open_azure(tmp_path)


def asked_for(azure: Azure) -> set[str]:
    """Return the names of the permissions of Graph in the one registration."""
    (graph,) = (api for api in azure.app["requiredResourceAccess"] if api["resourceAppId"] == az.GRAPH_APP)
    return {az.PERMISSIONS[entry["id"]] for entry in graph["resourceAccess"]}


@pytest.mark.parametrize("options", [case for cases in CASES for case in cases], ids=" ".join)
def test_script_asks_for_what_the_server_asks_for(azure: Azure, options: tuple[str, ...]) -> None:
    """With the settings that the script prints, the server requests exactly the permissions that were registered."""
    printed, logged = azure.register(*URL, *options)
    (azure.folder / "printed.env").write_text(printed)

    needed = set(settings.load(_env_file=azure.folder / "printed.env").graph_permissions)

    assert asked_for(azure) == needed
    assert set(azure.state["grants"][azure.app["appId"]].split()) == needed
    assert all(name in logged for name in needed)


def test_policies_that_name_groups_get_their_permission(azure: Azure) -> None:
    """--policy-groups adds the permission with which the server asks for groups."""
    azure.register(*URL, "--policy-groups", "--send-level", "draft")

    assert asked_for(azure) == {"User.Read", GROUPS}


def test_further_toolset_is_added_to_what_is_there(azure: Azure) -> None:
    """A second run with a toolset adds its permissions once, and takes none away."""
    azure.register(*URL)
    azure.register(*URL, "--toolsets", "people")
    azure.register(*URL, "--send-level", "off")

    (graph,) = azure.app["requiredResourceAccess"]
    assert asked_for(azure) == {"Mail.Send", "User.Read", "People.Read", "User.ReadBasic.All"}
    assert len(graph["resourceAccess"]) == 4


def test_consent_that_misses_one_permission_is_not_taken_for_granted(azure: Azure) -> None:
    """Mail.Send.Shared alone is not Mail.Send: the script looks for each name, and ends with the command to run."""
    (azure.folder / "bin/az").write_text(
        (azure.folder / "bin/az")
        .read_text()
        .replace("exec", 'case "$*" in *list-grants*) echo "Mail.Send.Shared User.Read"; exit;; esac\nexec')
    )

    _, logged = azure.register(*URL, "--send-from", code=1)

    assert "admin consent was not granted" in logged


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--toolsets", "drafts,calendar"), "--toolsets may name drafts, attachments, replies, schedule and people"),
        (("--toolsets", "drafts,,people"), "--toolsets may name"),
        (("--send-level", "all"), "--send-level must be"),
        (("--send-mode", "both"), "--send-mode must be"),
    ],
)
def test_unknown_value_is_one_clear_sentence(azure: Azure, options: tuple[str, ...], sentence: str) -> None:
    """Exit code 2 and one line, before Azure is asked."""
    _, logged = azure.register(*URL, *options, code=2)

    assert sentence in logged
    assert len(logged.splitlines()) == 1
    assert not azure.file.exists()


def test_help_names_every_toolset(azure: Azure) -> None:
    """--help has the names of the server's toolsets, all of them."""
    printed, _ = azure.register("--help")

    assert all(toolset in printed for toolset in PERMISSIONS)
